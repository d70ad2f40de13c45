import { TEXT_TO_IMAGE } from '../sandbox/catalogue';
import { until } from '../until';
import { failure, items, outputItems, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

/** What the ledger promises, on n8n's own engine: retries, the spending limit, ids, clocks. */

const RETRY = { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 };
const ERROR_OUTPUT = { onError: 'continueErrorOutput' as const };
const SHORT_CALLS = { callTimeouts: { submitMs: 300, pollMs: 300, cancelMs: 1_000 } };

describe('Paid once', () => {
	let env: TestEnvironment;

	afterEach(async () => {
		jest.restoreAllMocks();
		await env.close();
	});

	const open = async (options: TestEnvironmentOptions = {}) => {
		env = await TestEnvironment.open({ settings: RETRY, ...options });
		return env;
	};

	const promptsOf = () => env.sandbox.jobs.map(({ input }) => String(input.prompt));

	it.each([
		['a seed', { prompt: 'A beach', options: { seed: '={{ Math.floor(Math.random() * 2147483647) }}' } }],
		['the time', { prompt: '={{ "at " + $now.toMillis() + Math.random() }}' }],
		['an image', { imageUrl: '={{ "https://example.com/" + Math.random() + ".png" }}' }],
	])('resumes in a retry although %s differs in every try', async (_what, parameters) => {
		// In the first two tries nothing is finished before the timeout.
		await open({ items: items(2), sandbox: { queueMs: 0, runMs: 2_500 } });
		const { options = {}, ...fields } = parameters as { options?: object };
		const run = await env.run({ ...fields, options: { timeout: 1, pollInterval: 0.2, ...options } });
		expect(env.tries.length).toBeGreaterThan(1);
		expect(run.status).toBe('success');
		expect(env.sandbox.stats.submits).toBe(2);
		expect(outputItems(run).map(({ json }) => json.seed)).toEqual(
			env.sandbox.jobs.map(({ input }) => input.seed),
		);
	});

	it('does not submit an item again whose outcome is unknown, although its prompt differs in every try', async () => {
		await open({ items: items(2), runtime: SHORT_CALLS });
		env.sandbox.faults.add({ on: 'submit', kind: 'lostAfter', times: 1, promptIncludes: 'item 0' });
		await env.run({ prompt: '={{ "item " + $json.n + " " + Math.random() }}' });
		expect(env.tries).toHaveLength(3);
		expect(promptsOf().filter((prompt) => prompt.startsWith('item 0'))).toHaveLength(1);
		expect(promptsOf().filter((prompt) => prompt.startsWith('item 1')).length).toBeLessThanOrEqual(1);
	});

	it.each([
		['301', { status: 301, headers: { location: '/elsewhere' } }],
		['303', { status: 303, headers: { location: '/elsewhere' } }],
		['307', { status: 307, headers: { location: '/elsewhere' } }],
		['400 with an internal error', { status: 400, body: { error_code: 500001 } }],
		['400 without a code', { status: 400, body: 'Bad request' }],
		['401 without a code', { status: 401, body: {} }],
		['422 without a code', { status: 422, body: { detail: [] } }],
		['an unknown code', { status: 200, body: { error_code: 400777 } }],
	])('treats the outcome as unknown after %s, and never submits again', async (_what, answer) => {
		await open();
		env.sandbox.faults.add({ on: 'submit', kind: 'answer', answer, isDone: true });
		const { message } = failure(await env.run());
		expect(message).toContain('It is not known whether RunComfy accepted this request');
		expect(env.tries).toHaveLength(3);
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it.each([0, 'Thu, 01 Jan 1970 00:00:00 GMT'])(
		'does not submit in a tight loop when Retry-After asks for no pause (%s)',
		async (retryAfter) => {
			await open({ items: items(5), settings: {} });
			env.sandbox.faults.add({ on: 'submit', kind: 'tooMany', retryAfter });
			const execution = env.start();
			await new Promise((resolve) => setTimeout(resolve, 2_000));
			await env.stop(execution);
			expect(env.sandbox.stats.submits).toBeLessThanOrEqual(10);
		},
	);

	it('a wrong option of the first item fails that item only', async () => {
		await open({ items: items(3), settings: ERROR_OUTPUT });
		const run = await env.run({ options: { timeout: '={{ $json.n === 0 ? "soon" : 60 }}' } });
		expect(outputItems(run)).toHaveLength(2);
		expect(outputItems(run, 'RunComfy', 1).map(({ json }) => json)).toEqual([
			{
				n: 0,
				error: {
					message: '“Timeout (Seconds)” must be a number from 1 to 86400',
					description: 'Nothing was submitted. Correct the field and run again.',
				},
			},
		]);
	});

	it('accepts any request id that can be part of a URL: special characters, or a number', async () => {
		await open({
			items: items(3),
			sandbox: { requestId: (n) => ['a/b?c=d&e#f', 4711, 'ünï cöde.…'][n] ?? 'x' },
		});
		const run = await env.run({ options: { maxConcurrency: 1 } });
		expect(run.status).toBe('success');
		expect(outputItems(run).map(({ json }) => json.requestId)).toEqual(['a/b?c=d&e#f', '4711', 'ünï cöde.…']);
	});

	it('shows an unusable request id in the error and in the log', async () => {
		await open({ settings: {} });
		const answer = { status: 200, body: { request_id: { id: 'odd-17' } } };
		env.sandbox.faults.add({ on: 'submit', kind: 'answer', answer, isDone: true });
		const { message } = failure(await env.run());
		expect(message).toContain('odd-17');
		expect(env.log.some(({ level, message: line }) => level === 'warn' && line.includes('odd-17'))).toBe(
			true,
		);
	});

	it.each([
		['forward by 90 s during a submit', 90_000],
		['back by 20 s', -20_000],
	])('is unaffected when the system clock jumps %s', async (_what, jumpMs) => {
		await open({ sandbox: { queueMs: 0, runMs: 1_000 }, settings: {} });
		env.sandbox.faults.add({ on: 'submit', kind: 'slow', delayMs: 300 });
		const realNow = Date.now.bind(Date);
		const from = performance.now();
		const execution = env.start();
		await until('the submit is in flight', () => env.sandbox.stats.accepted === 1);
		jest.spyOn(Date, 'now').mockImplementation(() => realNow() + jumpMs);
		const run = await execution.done;
		expect(run.status).toBe('success');
		expect(outputItems(run)[0]?.json.requestId).toBe(env.sandbox.jobs[0]?.requestId);
		expect(performance.now() - from).toBeLessThan(4_000);
	});

	it('Get Result waits for a request that RunComfy cannot find yet', async () => {
		await open({ settings: {} });
		await env.run({ waitForCompletion: false });
		env.sandbox.faults.add({ on: 'result', kind: 'notFound', times: 3 });
		const requestId = env.sandbox.jobs[0]?.requestId;
		const run = await env.run({ resource: 'request', operation: 'getResult', requestId });
		expect(outputItems(run)[0]?.json).toMatchObject({ requestId, status: 'succeeded' });
	});

	it('tolerates that a new request cannot be found yet, in a retry too', async () => {
		await open();
		env.sandbox.faults.add({ on: 'result', kind: 'notFound', times: 4 });
		const run = await env.run({ options: { timeout: 1 } });
		expect(env.tries.length).toBeGreaterThan(1);
		expect(run.status).toBe('success');
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it('accepts a final status beside an error code, and quotes RunComfy’s reason unchanged', async () => {
		await open({ settings: {} });
		const body = { status: 'failed', error_code: 500001, error: { message: 'ResourceNotFound: lora' } };
		env.sandbox.faults.add({ on: 'result', kind: 'answer', answer: { status: 200, body } });
		const { message } = failure(await env.run({ options: { timeout: 20 } }));
		expect(message).toBe(
			`RunComfy request ${env.sandbox.jobs[0]?.requestId} failed: “ResourceNotFound: lora”`,
		);
	});
});

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

	it('counts the cost of earlier tries', async () => {
		env = await TestEnvironment.open({ sandbox: { costUsd: 0.06 }, settings: { ...RETRY, maxTries: 5 } });
		env.sandbox.faults.add(priceOf(0.06), { job: 'failed' });
		const { message } = failure(await env.run(runOf(0.13)));
		expect(message).toContain('more than what is left of the Spending Limit of $0.13');
		expect(spentUsd()).toBeCloseTo(0.12);
		expect(env.log.at(-1)?.message).toContain('Spent $0.12 on 2 requests');
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

	it.each(['noUrl', 'failed'] as const)('counts a cost reported with %s', async (job) => {
		env = await TestEnvironment.open({
			items: items(3),
			sandbox: { costUsd: 5 },
			settings: ERROR_OUTPUT,
		});
		env.sandbox.faults.add(priceOf(0.05, 'second'), { job });
		await env.run(runOf(1));
		expect(env.sandbox.stats.accepted).toBe(1);
		expect(env.log.at(-1)?.message).toContain('Spent $5.00 on 1 request,');
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

	it('holds over the turns of a loop', async () => {
		env = await TestEnvironment.open({ loops: 4, sandbox: { costUsd: 0.06 }, settings: {} });
		env.sandbox.faults.add(priceOf(0.06));
		await env.run(runOf(0.13));
		expect(env.sandbox.stats.accepted).toBe(2);
	});
});
