import type { IRun } from 'n8n-workflow';

import { failure, items, outputItems, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

const RETRY = { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 };
const SHORT_CALLS = { callTimeouts: { submitMs: 300, pollMs: 300, cancelMs: 1_000 } };

/** Retry On Fail runs the whole node again, and nothing is submitted again. */
describe('Retry On Fail', () => {
	let env: TestEnvironment;

	afterEach(async () => await env.close());

	const open = async (options: TestEnvironmentOptions = {}) => {
		env = await TestEnvironment.open({ settings: RETRY, ...options });
		return env;
	};

	it('resumes what was submitted, and does not poll again what is finished', async () => {
		// Item 1 is slower than its timeout in the first two tries; item 0 is finished in the first one.
		await open({ items: items(2), sandbox: { queueMs: 0, runMs: (n) => (n === 0 ? 100 : 2_500) } });
		const run = await env.run({
			prompt: '={{ "scene " + $json.n }}',
			options: { timeout: 1, maxConcurrency: 1 },
		});
		expect(run.status).toBe('success');
		expect(env.tries).toHaveLength(3);
		expect(env.sandbox.stats.submits).toBe(2);
		const [first, second] = env.sandbox.jobs;
		expect(outputItems(run).map(({ json }) => json.requestId)).toEqual([first?.requestId, second?.requestId]);
		expect(outputItems(run).map(({ json }) => json.seed)).toEqual([first?.input.seed, second?.input.seed]);
		expect(first?.polls ?? 0).toBeLessThanOrEqual(2);
	});

	it.each([
		'lostAfter',
		'hangAfter',
		'truncated',
		'noId',
		'serverError',
		'badGateway',
		'lostBefore',
		'hangBefore',
	] as const)(
		'never submits again when the outcome of a submit is unknown (%s), not even in a retry',
		async (kind) => {
			await open({ runtime: SHORT_CALLS });
			env.sandbox.faults.add({ on: 'submit', kind, times: 1 });
			const { message, description, itemIndex } = failure(await env.run());
			expect(env.tries).toHaveLength(3);
			expect(env.sandbox.stats.submits).toBe(1);
			expect(message).toContain('It is not known whether RunComfy accepted this request');
			expect(message).toContain('It was not sent again');
			expect(description).toContain('Generations page');
			expect(itemIndex).toBe(0);
		},
	);

	it.each(['tooMany', 'errorCode'] as const)('submits again after a clear refusal (%s)', async (kind) => {
		await open();
		env.sandbox.faults.add({ on: 'submit', kind, times: 2, retryAfter: 0, errorCode: 400001 });
		const run = await env.run();
		expect(run.status).toBe('success');
		expect(env.sandbox.stats).toMatchObject({ submits: 3, accepted: 1 });
		// “Too many requests” is waited out within one try; a refusal is for the next one.
		expect(env.tries).toHaveLength(kind === 'tooMany' ? 1 : 3);
	});

	it.each(['failed', 'cancelled'] as const)(
		'submits again after RunComfy has reported the job %s',
		async (job) => {
			await open();
			env.sandbox.faults.add({ job, times: 1 });
			const run = await env.run();
			expect(run.status).toBe('success');
			expect(env.sandbox.stats.accepted).toBe(2);
			expect(outputItems(run)[0]?.json.requestId).toBe(env.sandbox.jobs[1]?.requestId);
		},
	);

	it('cancels what is queued when an item fails, and submits in the retry only what was cancelled or failed', async () => {
		await open({
			items: items(4),
			// In the first try 0 fails soon, 1 runs, 2 and 3 are queued; in the second all are quick.
			sandbox: {
				queueMs: (n, prompt) => (n < 4 && /[23]/.test(prompt) ? 60_000 : 0),
				runMs: (n, prompt) => (n < 4 && prompt.endsWith('1') ? 1_500 : 400),
			},
		});
		env.sandbox.faults.add({ job: 'failed', times: 1, promptIncludes: 'scene 0' });
		const execution = env.start({ prompt: '={{ "scene " + $json.n }}', options: { maxConcurrency: 4 } });
		const run = await execution.done;
		expect(run.status).toBe('success');
		expect(env.tries).toHaveLength(2);
		// Four, then again the failed one and the two cancelled ones. The running one was resumed.
		expect(env.sandbox.stats).toMatchObject({ accepted: 7, cancels: 2, cancelled: 2 });
		const running = env.sandbox.jobs.find(({ input }) => input.prompt === 'scene 1');
		expect(outputItems(run)[1]?.json.requestId).toBe(running?.requestId);
	});

	it('only downloads again after a failed download', async () => {
		await open();
		env.sandbox.faults.add({ on: 'output', kind: 'webPage', times: 1 });
		const run = await env.run({ downloadFiles: true });
		expect(run.status).toBe('success');
		expect(env.sandbox.stats).toMatchObject({ submits: 1, downloads: 2 });
		expect(env.sandbox.jobs[0]?.polls).toBeLessThanOrEqual(2);
	});

	it('returns the same requests when it does not wait', async () => {
		await open({ items: items(2), runtime: SHORT_CALLS });
		env.sandbox.faults.add({ on: 'submit', kind: 'errorCode', times: 1, promptIncludes: 'scene 1' });
		const run = await env.run({
			prompt: '={{ "scene " + $json.n }}',
			waitForCompletion: false,
			options: { maxConcurrency: 1, cancelOnStop: false },
		});
		expect(run.status).toBe('success');
		expect(env.sandbox.stats).toMatchObject({ submits: 3, accepted: 2 });
	});

	it('submits again only what failed, when an error item makes n8n run the node again', async () => {
		await open({ items: items(2), settings: { ...RETRY, onError: 'continueErrorOutput' } });
		env.sandbox.faults.add({ job: 'failed', promptIncludes: 'scene 0' });
		const run = await env.run({ prompt: '={{ "scene " + $json.n }}' });
		expect(env.tries).toHaveLength(3);
		expect(env.sandbox.jobs.filter(({ input }) => input.prompt === 'scene 1')).toHaveLength(1);
		expect(outputItems(run)).toHaveLength(1);
		expect(outputItems(run, 'RunComfy', 1)).toHaveLength(1);
	});

	it('resumes in a new execution that n8n starts from the data of the failed one (“Retry execution”)', async () => {
		await open({ sandbox: { queueMs: 1_500 }, settings: {} });
		const failed: IRun = await env.run({ options: { timeout: 1 } });
		expect(failed.status).toBe('error');
		// What n8n keeps in its database, as n8n's own retry prepares it.
		const data = structuredClone(JSON.parse(JSON.stringify(failed.data))) as IRun['data'];
		delete data.resultData.error;
		data.resultData.runData.RunComfy?.pop();
		const retried = await env.engine.start(env.workflow({ options: { timeout: 3 } }), 'trigger', data).done;
		expect(retried.status).toBe('success');
		expect(env.sandbox.stats.submits).toBe(1);
	});
});

describe('A loop that runs the node several times', () => {
	it.each([
		['other items', '={{ "turn " + $runIndex }}'],
		['the very same items', 'A beach'],
	])('submits new requests in each turn, with %s', async (_what, prompt) => {
		const env = await TestEnvironment.open({ loops: 3, items: items(2), settings: RETRY });
		const run = await env.run({ prompt });
		expect(run.status).toBe('success');
		expect(run.data.resultData.runData.RunComfy).toHaveLength(3);
		expect(env.sandbox.stats.accepted).toBe(6);
		const ids = [0, 1, 2].flatMap((turn) =>
			outputItems(run, 'RunComfy', 0, turn).map(({ json }) => json.requestId),
		);
		expect(new Set(ids).size).toBe(6);
		await env.close();
	});

	it('submits new requests after a turn that returned error items', async () => {
		const env = await TestEnvironment.open({
			loops: 2,
			items: items(1),
			sandbox: { queueMs: (n) => (n === 0 ? 60_000 : 0) },
			settings: { onError: 'continueRegularOutput' },
		});
		await env.run({ options: { timeout: 1 } });
		expect(env.sandbox.stats.accepted).toBe(2);
		await env.close();
	});
});

describe('A failure', () => {
	let env: TestEnvironment;

	afterEach(async () => await env.close());

	it('lists all other requests by item, and starts no further item', async () => {
		env = await TestEnvironment.open({
			items: items(6),
			sandbox: {
				queueMs: (_n, prompt) => (prompt === 'scene 3' ? 60_000 : 0),
				runMs: (_n, prompt) => ({ 'scene 0': 600, 'scene 1': 100 })[prompt] ?? 60_000,
			},
		});
		env.sandbox.faults.add({ job: 'failed', promptIncludes: 'scene 0' });
		const { message, description, itemIndex } = failure(
			await env.run({
				prompt: '={{ "scene " + $json.n }}',
				options: { maxConcurrency: 4, pollInterval: 0.2 },
			}),
		);
		const idOf = (n: number) =>
			env.sandbox.jobs.find(({ input }) => input.prompt === `scene ${n}`)?.requestId;
		expect(message).toContain(`RunComfy request ${idOf(0)} failed`);
		expect(itemIndex).toBe(0);
		expect(description).toContain('Item 0 failed.');
		expect(description).toContain(`${idOf(2)} (item 2, running)`);
		expect(description).toMatch(new RegExp(`Cancelled while queued: [^.]*${idOf(3)}`));
		expect(description).toMatch(new RegExp(`Finished and paid for: [^.]*${idOf(1)}`));
		expect(description).toContain('Retry On Fail');
		expect(idOf(5)).toBeUndefined();
	});

	it('does not cancel queued requests when cancelling is off', async () => {
		env = await TestEnvironment.open({
			items: items(2),
			sandbox: { queueMs: (n) => (n === 0 ? 0 : 60_000) },
		});
		env.sandbox.faults.add({ job: 'failed', times: 1 });
		const { description } = failure(await env.run({ options: { cancelOnStop: false } }));
		expect(env.sandbox.stats.cancels).toBe(0);
		expect(description).toContain('Still running at RunComfy');
	});

	it.each([
		['continueErrorOutput', 1],
		['continueRegularOutput', 0],
	] as const)('becomes one item under %s, and the others continue', async (onError, errorOutput) => {
		env = await TestEnvironment.open({ items: items(3), settings: { onError } });
		env.sandbox.faults.add({ job: 'failed', promptIncludes: 'scene 1' });
		const run = await env.run({ prompt: '={{ "scene " + $json.n }}' });
		expect(run.status).toBe('success');
		const failedId = env.sandbox.jobs.find(({ input }) => input.prompt === 'scene 1')?.requestId;
		const good = outputItems(run).filter(({ json }) => json.status === 'succeeded');
		expect(good.map(({ pairedItem }) => pairedItem)).toEqual([{ item: 0 }, { item: 2 }]);
		for (const { json } of good) expect(Object.keys(json)).not.toContain('error');
		const bad = outputItems(run, 'RunComfy', errorOutput).filter(({ json }) => 'error' in json);
		expect(bad).toHaveLength(1);
		expect(bad[0]?.pairedItem).toEqual({ item: 1 });
		expect(bad[0]?.json).toMatchObject({
			n: 1,
			error: { requestId: failedId, message: expect.stringContaining(String(failedId)) as string },
		});
	});

	it('logs each request id as soon as it is known', async () => {
		env = await TestEnvironment.open({ items: items(3) });
		await env.run();
		for (const { requestId } of env.sandbox.jobs) {
			const lines = env.log.filter(({ level, message }) => level === 'info' && message.includes(requestId));
			expect(lines).toHaveLength(1);
		}
	});
});
