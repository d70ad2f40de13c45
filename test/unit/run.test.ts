import { StoppedError } from '../../nodes/RunComfy/util/errors';
import { makeRun, request, SECOND, setUp, type FakeApi } from './fakeApi';

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

describe('Reading the fields of many items, on a virtual clock', () => {
	it('gives n8n’s event loop a turn before it has been busy for 50 ms', async () => {
		const { api } = setUp(() => ({ queueMs: 0, runMs: 0 }));
		let now = 0;
		let busySince = 0;
		let longestMs = 0;
		const breathe = () => {
			longestMs = Math.max(longestMs, now - busySince);
			busySince = now;
		};
		const clock = {
			now: () => now,
			timeOfDay: () => now,
			sleep: async () => await Promise.resolve(breathe()),
		};
		const { start } = makeRun(api, { clock, limitUsd: 0.01 });
		const running = start(10_000, (i) => {
			now += 0.3;
			return request(api, i);
		});
		await expect(running).rejects.toThrow('10000 items cost about $600.00');
		breathe();
		expect(longestMs).toBeGreaterThan(5);
		expect(longestMs).toBeLessThan(50);
	});

	const fromSlowStorage = (api: FakeApi) => async (itemIndex: number) => {
		await api.clock.sleep(300);
		return request(api, itemIndex);
	};

	it('opens the files of 60 items side by side: the first submit leaves within a second', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		const { start } = makeRun(api);
		await clock.run(start(60, fromSlowStorage(api)));
		expect(api.jobs).toHaveLength(60);
		expect(api.calls[0]?.at).toBeLessThanOrEqual(1 * SECOND);
	});

	it('ends at once when it is stopped, and submits nothing', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		const { start, stop } = makeRun(api);
		let endedAt = NaN;
		const running = start(60, fromSlowStorage(api)).finally(() => (endedAt = clock.now()));
		clock.at(100, stop);
		await expect(clock.run(running)).rejects.toBeInstanceOf(StoppedError);
		expect(endedAt).toBe(100);
		expect(api.calls).toEqual([]);
	});
});
