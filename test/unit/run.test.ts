import { makeRun, SECOND, setUp } from './fakeApi';

describe('Many items at once, on a virtual clock', () => {
	it('takes as long as the longest job plus 10 %, when there is room for all', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 1 * SECOND, runMs: (8 + (n % 40)) * SECOND }));
		const { start } = makeRun(api, { maxConcurrency: 100 });
		const outcomes = await clock.run(start(100));
		expect(outcomes).toHaveLength(100);
		expect(clock.now()).toBeLessThanOrEqual(48 * SECOND * 1.1);
		expect(clock.sleeping).toBe(0);
	});

	it('returns results in the order of the items, whatever order they finish in', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 0, runMs: (20 - n) * SECOND }));
		const { start } = makeRun(api, { maxConcurrency: 20 });
		const outcomes = await clock.run(start(20));
		expect(outcomes.map((outcome) => outcome.ok && outcome.value.requestId)).toEqual(
			Array.from({ length: 20 }, (_, i) => `job-${i}`),
		);
	});

	it('never exceeds the concurrency, in unfinished requests or calls in flight', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 500, runMs: 3_000 + (n % 7) * 900 }));
		api.latencyMs = 80;
		const { start } = makeRun(api, { maxConcurrency: 7 });
		await clock.run(start(60));
		expect(api.mostAlive).toBe(7);
		expect(api.mostInFlight).toBeLessThanOrEqual(7);
	});

	it('works through a thousand items', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 4 * SECOND }));
		const { start } = makeRun(api, { maxConcurrency: 100 });
		const outcomes = await clock.run(start(1_000));
		expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1_000);
		expect(api.jobs).toHaveLength(1_000);
		expect(clock.sleeping).toBe(0);
	});
});
