import { CATALOG, TEXT_TO_AUDIO, TEXT_TO_IMAGE } from '../sandbox/catalog';
import { until } from '../until';
import { failure, items, outputItems, TestEnvironment } from './testEnvironment';

const RETRY = { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 };
const ERROR_OUTPUT = { onError: 'continueErrorOutput' as const };

describe('The spending limit over a whole execution', () => {
	let env: TestEnvironment;

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

	it('submits nothing when it does not cover all items', async () => {
		env = await TestEnvironment.open({ items: items(5) });
		env.sandbox.faults.add(priceOf(0.02));
		const run = await env.run(runOf(0.09));
		expect(failure(run)).toMatchObject({
			message: 'Nothing was submitted: 5 items cost about $0.10, more than the Spending Limit of $0.09',
			description: expect.stringContaining('The limit pays for 4 of them.') as string,
		});
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('says that it does not pay for one item', async () => {
		env = await TestEnvironment.open();
		env.sandbox.faults.add(priceOf(0.02));
		expect(failure(await env.run(runOf(0.01)))).toMatchObject({
			message: 'Nothing was submitted: 1 item costs about $0.02, more than the Spending Limit of $0.01',
			description: 'The limit does not pay for one item. Raise “Spending Limit (USD)”.',
		});
	});

	it('runs as many as it covers when items may fail one by one', async () => {
		env = await TestEnvironment.open({ items: items(5), settings: ERROR_OUTPUT });
		env.sandbox.faults.add(priceOf(0.02));
		const run = await env.run(runOf(0.09));
		expect(outputItems(run)).toHaveLength(4);
		const [refused] = outputItems(run, 'RunComfy', 1);
		expect(refused?.json.error).toMatchObject({
			message: expect.stringContaining('the Spending Limit of $0.09 does not pay for it') as string,
		});
		expect(env.sandbox.stats.accepted).toBe(4);
	});

	it('allows all when it covers them, and reports what was spent', async () => {
		env = await TestEnvironment.open({ items: items(5) });
		env.sandbox.faults.add(priceOf(0.02));
		const run = await env.run(runOf(0.1, { includeCost: false }));
		expect(outputItems(run)).toHaveLength(5);
		const report = 'Spent $0.10 on 5 requests, of a Spending Limit of $0.10.';
		expect(env.log.map(({ message }) => message)).toContain(`RunComfy: ${report}`);
		const [turn] = run.data.resultData.runData.RunComfy ?? [];
		expect(turn?.hints).toEqual([{ message: report, type: 'info', location: 'outputPane' }]);
	});

	it('counts the price of requests it does not wait for', async () => {
		env = await TestEnvironment.open({ items: items(2) });
		env.sandbox.faults.add(priceOf(0.02));
		const run = await env.run({ ...runOf(0.5), waitForCompletion: false });
		expect(outputItems(run)).toHaveLength(2);
		expect(env.log.map(({ message }) => message)).toContain(
			'RunComfy: Spent $0.04 on 2 requests, of a Spending Limit of $0.50. 2 of them are still running.',
		);
	});

	/** A model whose price is not known. */
	const unpriced = (spendingLimit: number, options: object) => ({
		...runOf(spendingLimit, { maxConcurrency: 5, ...options }),
		...{ modelId: { mode: 'id', value: TEXT_TO_AUDIO }, inputsJson: '{"tags": "x"}' },
	});

	it('runs items one after another where no price is known, and says so', async () => {
		env = await TestEnvironment.open({ items: items(5), settings: ERROR_OUTPUT });
		const run = await env.run(unpriced(0.2, {}));
		expect(outputItems(run)).toHaveLength(3);
		expect(env.sandbox.stats.mostJobsAtOnce).toBe(1);
		const [turn] = run.data.resultData.runData.RunComfy ?? [];
		expect(turn?.hints?.[0]?.message).toContain('one after another');
	});

	it('runs them side by side at the cost that the user expects', async () => {
		env = await TestEnvironment.open({
			items: items(5),
			settings: ERROR_OUTPUT,
			sandbox: { runMs: 60_000 },
		});
		const { done } = env.start(unpriced(0.25, { expectedCost: 0.08 }));
		await until('three run side by side', () => env.sandbox.stats.accepted === 3);
		env.endJobs();
		expect(outputItems(await done)).toHaveLength(3);
	});

	it('applies to Replace Background too, whose price is per image', async () => {
		env = await TestEnvironment.open({ items: items(5) });
		const run = await env.run({ options: { spendingLimit: 0.2 } });
		expect(failure(run).message).toBe(
			'Nothing was submitted: 5 items cost about $0.30, more than the Spending Limit of $0.20',
		);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('counts the cost of earlier tries', async () => {
		env = await TestEnvironment.open({ sandbox: { costUsd: 0.06 }, settings: { ...RETRY, maxTries: 5 } });
		env.sandbox.faults.add(priceOf(0.06), { job: 'failed' });
		const { message } = failure(await env.run(runOf(0.13)));
		expect(message).toContain('more than what is left of the Spending Limit of $0.13');
		expect(spentUsd()).toBeCloseTo(0.12);
		expect(lastReport()).toContain('Spent $0.12 on 2 requests');
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

	it('holds over the turns of a loop that alternate models whose cost is not reported', async () => {
		const model = CATALOG.find(({ model_id }) => model_id === TEXT_TO_IMAGE);
		if (model === undefined) throw new Error('The catalog has changed');
		const price = { base_price_usd: 0.06, price_unit: 'request' };
		const models = ['a/one', 'a/two'].map((model_id) => ({ ...model, ...price, model_id }));
		env = await TestEnvironment.open({ loops: 6, sandbox: { costUsd: null, models } });
		const modelId = { mode: 'id', value: '={{ $runIndex % 2 ? "a/one" : "a/two" }}' };
		const { message } = failure(await env.run({ ...runOf(0.13), modelId }));
		expect(message).toContain('the Spending Limit of $0.13');
		expect(env.sandbox.stats.accepted).toBe(2);
		expect(lastReport()).toContain('Spent $0.12 on 2 requests');
	});
});
