import type { CallRule } from '../sandbox/faults';
import { failure, items, outputItems, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

const RETRY = { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 };
const SHORT_CALLS = { callTimeouts: { submitMs: 300, pollMs: 300, cancelMs: 1_000 } };

describe('A failure', () => {
	let env: TestEnvironment;

	it('lists all other requests by item, and starts no further item', async () => {
		env = await TestEnvironment.open({
			items: items(6),
			sandbox: {
				queueMs: (_n, prompt) => (prompt === 'scene 3' ? 60_000 : 0),
				runMs: (_n, prompt) => ({ 'scene 0': 2_000, 'scene 1': 100 })[prompt] ?? 60_000,
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
		expect(description).toMatch(new RegExp(`Cancelled: [^.]*${idOf(3)}`));
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
		const file = { data: { data: 'AAAA', mimeType: 'image/png', fileName: 'shoe.png' } };
		const withFiles = items(3).map((item) => ({ ...item, binary: file }));
		env = await TestEnvironment.open({ items: withFiles, settings: { onError } });
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
		expect(bad[0]?.json).toEqual({
			n: 1,
			error: {
				message: expect.stringContaining(`RunComfy request ${failedId} failed`) as string,
				description: expect.any(String) as string,
				requestId: failedId,
			},
		});
		expect(bad[0]?.binary).toMatchObject({ data: { fileName: 'shoe.png' } });
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

/** A submit that may have been accepted is never sent again. */
describe('A submit whose outcome is unknown', () => {
	let env: TestEnvironment;

	const open = async (options: TestEnvironmentOptions = {}) => {
		env = await TestEnvironment.open({ settings: RETRY, ...options });
		return env;
	};

	const promptsOf = () => env.sandbox.jobs.map(({ input }) => String(input.prompt));

	it.each<Partial<CallRule> & Pick<CallRule, 'kind'>>([
		{ kind: 'lostAfter' },
		{ kind: 'hangAfter' },
		{ kind: 'answer', isDone: true, answer: { status: 307, headers: { location: '/elsewhere' } } },
		{ kind: 'answer', isDone: true, answer: { status: 409, body: {} } },
	])('is never sent again, not even in a retry (%j)', async (fault) => {
		await open({ runtime: SHORT_CALLS });
		env.sandbox.faults.add({ on: 'submit', times: 1, ...fault });
		const { message, description, itemIndex } = failure(await env.run());
		expect(env.tries).toHaveLength(3);
		expect(env.sandbox.stats.submits).toBe(1);
		expect(message).toContain('It is not known whether RunComfy accepted this request');
		expect(message).toContain('It was not sent again');
		expect(description).toContain('Generations page');
		expect(itemIndex).toBe(0);
	});

	it('does not submit an item again whose outcome is unknown, although its prompt differs in every try', async () => {
		await open({ items: items(2), runtime: SHORT_CALLS });
		env.sandbox.faults.add({ on: 'submit', kind: 'lostAfter', times: 1, promptIncludes: 'item 0' });
		await env.run({ prompt: '={{ "item " + $json.n + " " + Math.random() }}' });
		expect(env.tries).toHaveLength(3);
		expect(promptsOf().filter((prompt) => prompt.startsWith('item 0'))).toHaveLength(1);
		expect(promptsOf().filter((prompt) => prompt.startsWith('item 1')).length).toBeLessThanOrEqual(1);
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
});

describe('A loop that runs the node several times', () => {
	it('submits new requests in each turn, though its items are the same', async () => {
		const env = await TestEnvironment.open({ loops: 3, items: items(2), settings: RETRY });
		const run = await env.run({ prompt: 'A beach' });
		expect(run.status).toBe('success');
		expect(run.data.resultData.runData.RunComfy).toHaveLength(3);
		expect(env.sandbox.stats.accepted).toBe(6);
		const ids = [0, 1, 2].flatMap((turn) =>
			outputItems(run, 'RunComfy', 0, turn).map(({ json }) => json.requestId),
		);
		expect(new Set(ids).size).toBe(6);
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
	});
});
