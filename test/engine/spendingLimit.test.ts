import { CATALOG, TEXT_TO_IMAGE } from '../sandbox/catalog';
import { failure, items, outputItems, TestEnvironment } from './testEnvironment';

const RETRY = { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 };
const ERROR_OUTPUT = { onError: 'continueErrorOutput' as const };

describe('The spending limit over a whole execution', () => {
	let env: TestEnvironment;

	afterEach(async () => await env.close());

	const runOf = (spendingLimit: number, options: object = {}) => ({
		resource: 'model',
		operation: 'run',
		modelId: { mode: 'id', value: TEXT_TO_IMAGE },
		inputMode: 'json',
		inputsJson: '={{ JSON.stringify({ prompt: "item " + $json.n }) }}',
		options: { spendingLimit, maxConcurrency: 1, ...options },
	});
	const priceOf = (usd: number, unit = 'request') => ({
		on: 'model' as const,
		kind: 'answer' as const,
		answer: { status: 200, body: { model_id: TEXT_TO_IMAGE, base_price_usd: usd, price_unit: unit } },
	});
	const spentUsd = () =>
		env.sandbox.jobs
			.filter(({ requestId }) => env.sandbox.stateOf(requestId) !== 'cancelled')
			.reduce((sum, { costUsd }) => sum + costUsd, 0);

	/** The node's last log line; n8n may log the error after it. */
	const lastReport = () => env.log.filter(({ message }) => message.startsWith('RunComfy: ')).at(-1)?.message;

	it('counts the cost of earlier tries', async () => {
		env = await TestEnvironment.open({ sandbox: { costUsd: 0.06 }, settings: { ...RETRY, maxTries: 5 } });
		env.sandbox.faults.add(priceOf(0.06), { job: 'failed' });
		const { message } = failure(await env.run(runOf(0.13)));
		expect(message).toContain('more than what is left of the Spending Limit of $0.13');
		expect(spentUsd()).toBeCloseTo(0.12);
		expect(lastReport()).toContain('Spent $0.12 on 2 requests');
	});

	it('lets one request of unknown price run at a time, timeouts and retries included', async () => {
		env = await TestEnvironment.open({
			items: items(5),
			sandbox: { costUsd: 0.5, runMs: 60_000 },
			settings: { ...RETRY, ...ERROR_OUTPUT, maxTries: 2 },
		});
		env.sandbox.faults.add(priceOf(0.05, 'second'));
		await env.run(runOf(0.01, { timeout: 1, maxConcurrency: 5 }));
		expect(env.sandbox.stats.accepted).toBe(1);
	});

	it('fails only the item whose price cannot be read, when the node continues on errors', async () => {
		env = await TestEnvironment.open({ items: items(4), settings: ERROR_OUTPUT });
		const value = `={{ $json.n === 2 ? "no/such" : "${TEXT_TO_IMAGE}" }}`;
		const run = await env.run({ ...runOf(1), modelId: { mode: 'id', value } });
		expect(outputItems(run)).toHaveLength(3);
		expect(outputItems(run, 'RunComfy', 1).map(({ json }) => json)).toMatchObject([
			{ n: 2, error: { message: 'RunComfy has no model “no/such”' } },
		]);
		expect(env.sandbox.stats.submits).toBe(3);
	});

	it('submits nothing, and names the item, when its price cannot be read and a failed item ends the run', async () => {
		env = await TestEnvironment.open({ items: items(4) });
		const value = `={{ $json.n === 2 ? "no/such" : "${TEXT_TO_IMAGE}" }}`;
		const { message, itemIndex } = failure(await env.run({ ...runOf(1), modelId: { mode: 'id', value } }));
		expect(message).toContain('RunComfy has no model “no/such”');
		expect(itemIndex).toBe(2);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('does not hang when “Retry execution” does not wait, and the price is unknown', async () => {
		env = await TestEnvironment.open({ items: items(2), sandbox: { runMs: 60_000 } });
		env.sandbox.faults.add(priceOf(0.05, 'second'));
		const failed = await env.run(runOf(1, { timeout: 1 }));
		const retried = await env.retry(failed, {
			...runOf(1),
			waitForCompletion: '={{ $json.n === 1 }}',
		}).done;
		const { message, description } = failure(retried);
		const { requestId } = env.sandbox.jobs[0] ?? {};
		expect(message).toContain('the cost of an earlier request is not known');
		expect(message + description).toContain(requestId);
		expect(env.sandbox.stats.accepted).toBe(1);
	});

	it.each(['noUrl', 'failed'] as const)('counts a cost reported with %s', async (job) => {
		env = await TestEnvironment.open({
			items: items(3),
			sandbox: { costUsd: 5 },
			settings: ERROR_OUTPUT,
		});
		env.sandbox.faults.add(priceOf(0.05, 'second'), { job });
		await env.run(runOf(1));
		expect(env.sandbox.stats.accepted).toBe(1);
		expect(lastReport()).toContain('Spent $5.00 on 1 request,');
	});

	it('treats a listed price of 0 as unknown', async () => {
		env = await TestEnvironment.open({ items: items(4), sandbox: { costUsd: 5 }, settings: ERROR_OUTPUT });
		env.sandbox.faults.add(priceOf(0));
		await env.run(runOf(0.01, { maxConcurrency: 4 }));
		expect(env.sandbox.stats.accepted).toBe(1);
	});

	it('raises the reservations of running requests as soon as a real cost exceeds the price', async () => {
		env = await TestEnvironment.open({
			items: items(8),
			sandbox: { costUsd: 3, runMs: (n) => (n === 0 ? 100 : 1_500) },
			settings: ERROR_OUTPUT,
		});
		env.sandbox.faults.add(priceOf(1));
		// Two at once at $1 each; after the first result each counts as $3, and 3 + 3 + 3 is more than 8.
		await env.run(runOf(8, { maxConcurrency: 2 }));
		expect(spentUsd()).toBe(6);
	});

	it('releases the reservation of a refused submit at once', async () => {
		env = await TestEnvironment.open({ items: items(3), settings: ERROR_OUTPUT });
		env.sandbox.faults.add(priceOf(0.06), {
			on: 'submit',
			kind: 'answer',
			answer: { status: 422, body: { error_code: 422001 } },
			times: 2,
		});
		const run = await env.run(runOf(0.06));
		expect(outputItems(run)).toHaveLength(1);
		expect(env.sandbox.stats).toMatchObject({ submits: 3, accepted: 1 });
	});

	it('releases the reservation of a request cancelled while queued for the retry', async () => {
		env = await TestEnvironment.open({
			items: items(2),
			sandbox: { costUsd: 0.06, queueMs: (n) => (n === 1 ? 60_000 : 0), runMs: 300 },
			settings: RETRY,
		});
		env.sandbox.faults.add(priceOf(0.06), { job: 'failed', times: 1, promptIncludes: 'item 0' });
		const run = await env.run(runOf(0.18, { maxConcurrency: 2 }));
		// The failed one and both of the second try; the queued one was cancelled, and cost nothing.
		expect(run.status).toBe('success');
		expect(env.sandbox.stats).toMatchObject({ accepted: 4, cancelled: 1 });
	});

	it('holds over the turns of a loop that alternate models whose cost is not reported', async () => {
		const model = CATALOG.find(({ model_id }) => model_id === TEXT_TO_IMAGE);
		if (model === undefined) throw new Error('The catalog has changed');
		const models = ['a/one', 'a/two'].map((model_id) => ({ ...model, model_id, base_price_usd: 0.06 }));
		env = await TestEnvironment.open({ loops: 6, sandbox: { costUsd: null, models } });
		const modelId = { mode: 'id', value: '={{ $runIndex % 2 ? "a/one" : "a/two" }}' };
		const { message } = failure(await env.run({ ...runOf(0.13), modelId }));
		expect(message).toContain('the Spending Limit of $0.13');
		expect(env.sandbox.stats.accepted).toBe(2);
		expect(lastReport()).toContain('Spent $0.12 on 2 requests');
	});

	it('holds over the turns of a loop', async () => {
		env = await TestEnvironment.open({ loops: 4, sandbox: { costUsd: 0.06 }, settings: {} });
		env.sandbox.faults.add(priceOf(0.06));
		await env.run(runOf(0.13));
		expect(env.sandbox.stats.accepted).toBe(2);
	});
});
