import { failure, items, outputItems, TestEnvironment } from './testEnvironment';

describe('A failure', () => {
	let env: TestEnvironment;

	afterEach(async () => await env.close());

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
