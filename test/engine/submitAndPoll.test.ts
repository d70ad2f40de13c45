import { until } from '../until';
import { failure, items, outputItems, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

const ERROR_OUTPUT = { onError: 'continueErrorOutput' as const };

describe('Submitting and polling', () => {
	let env: TestEnvironment;

	afterEach(async () => {
		jest.restoreAllMocks();
		await env.close();
	});

	const open = async (options: TestEnvironmentOptions = {}) => {
		env = await TestEnvironment.open(options);
		return env;
	};

	it.each([0, 'Thu, 01 Jan 1970 00:00:00 GMT'])(
		'does not submit in a tight loop when Retry-After asks for no pause (%s)',
		async (retryAfter) => {
			await open({ items: items(5), settings: {}, speed: 1 });
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
					description: 'Nothing was submitted in this run. Correct the field, and run again.',
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

	it.each([
		['forward by 90 s during a submit', 90_000],
		['back by 20 s', -20_000],
	])('is unaffected when the system clock jumps %s', async (_what, jumpMs) => {
		await open({ sandbox: { queueMs: 0, runMs: 1_000 }, settings: {}, speed: 1 });
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
