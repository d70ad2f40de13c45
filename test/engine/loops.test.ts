import { items, outputItems, TestEnvironment } from './testEnvironment';

const RETRY = { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 };

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
