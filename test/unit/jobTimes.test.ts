import { JobTimes, JobTimesStore } from '../../nodes/RunComfy/jobs/jobTimes';
import { mean } from '../../bench/stats';
import { durationsOf } from '../../bench/workload';
import { simulateRun } from './pollingSimulation';

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed + 1);

/** Executions of ten jobs each, one after the other: the figures of all but the first. */
function fromTheSecondOn(fromMs: number, toMs: number) {
	let polls = 0;
	const lateMs: number[] = [];
	const durations: number[] = [];
	for (const seed of SEEDS) {
		const times = new JobTimes();
		for (let execution = 0; execution < 8; execution++) {
			const jobs = durationsOf(10, seed * 100 + execution, fromMs, toMs);
			const run = simulateRun(jobs, { times });
			if (execution === 0) continue;
			polls += run.polls;
			lateMs.push(...run.lateMs);
			durations.push(...jobs);
		}
	}
	return { pollsPerJob: polls / durations.length, lateness: mean(lateMs) / mean(durations) };
}

describe('Polls from the second execution on, simulated', () => {
	it('are at most 8 a job of 8 to 16 s, at a mean lateness of at most 4 %', () => {
		const { pollsPerJob, lateness } = fromTheSecondOn(8_000, 16_000);
		expect(pollsPerJob).toBeLessThanOrEqual(8);
		expect(lateness).toBeLessThanOrEqual(0.04);
	});

	it('are at most 5 a job of 12 s ± 10 %, at 3 %', () => {
		const { pollsPerJob, lateness } = fromTheSecondOn(10_800, 13_200);
		expect(pollsPerJob).toBeLessThanOrEqual(5);
		expect(lateness).toBeLessThanOrEqual(0.03);
	});

	it.each([1, 3, 5, 7, 9, 15, 40, 300])(
		'find a model that suddenly takes %i s instead of 12 no later than 5 s, and learn it',
		(seconds) => {
			for (const seed of SEEDS) {
				const times = new JobTimes();
				simulateRun(durationsOf(40, seed, 10_800, 13_200), { times });
				const [from, to] = [seconds * 900, seconds * 1_100];
				const { lateMs } = simulateRun(durationsOf(60, seed, from, to), { times });
				// The call itself takes 10 ms here.
				expect(Math.max(...lateMs)).toBeLessThanOrEqual(5_010);
				const { expected } = times;
				expect(expected?.fromMs).toBeGreaterThan(from / 3);
				expect(expected?.toMs).toBeLessThan(to * 1.3 + 1_000);
			}
		},
	);
});

describe('JobTimes', () => {
	const expectedAfter = (...jobs: Array<[number, number]>) => {
		const known = new JobTimes();
		for (const job of jobs) known.add(...job);
		return known.expected;
	};

	it('expects nothing before the first job', () => expect(expectedAfter()).toBeUndefined());

	it('expects the end around the middle between two polls, closer to it the more jobs it knows', () => {
		const widths = [1, 2, 5, 20].map((count) => {
			const jobs = Array.from({ length: count }, (): [number, number] => [9_000, 11_000]);
			const { fromMs, toMs } = expectedAfter(...jobs) ?? { fromMs: NaN, toMs: NaN };
			expect(fromMs + toMs).toBeCloseTo(20_000);
			return toMs - fromMs;
		});
		expect(widths).toEqual([...widths].sort((a, b) => b - a));
		expect(widths[0]).toBe(9_000);
		expect(widths[3]).toBeLessThan(200);
	});

	it('forgets what was long ago', () => {
		const slow = Array.from({ length: 20 }, (): [number, number] => [60_000, 60_000]);
		const fast = Array.from({ length: 20 }, (): [number, number] => [4_000, 4_000]);
		expect(expectedAfter(...fast, ...slow)?.fromMs).toBeGreaterThan(59_000);
		expect(expectedAfter(...slow, ...fast)?.toMs).toBeLessThan(5_000);
	});
});

describe('JobTimesStore', () => {
	it('carries what it has learned to the next execution, as JSON', () => {
		const first = new JobTimesStore();
		first.of('a/b', { speed: 'TURBO', prompt: 'a long beach' }).add(4_000, 4_000);
		const second = new JobTimesStore(JSON.parse(JSON.stringify(first.toJson())));
		expect(second.of('a/b', { speed: 'TURBO' }).expected).toEqual(
			first.of('a/b', { speed: 'TURBO' }).expected,
		);
		expect(second.of('c/d', {}).expected).toBeUndefined();
	});

	it('tells models, and inputs that decide the time, apart; not prompts, addresses, and seeds', () => {
		const store = new JobTimesStore();
		store
			.of('a/b', { speed: 'TURBO', steps: 4, hd: false, prompt: 'One long beach', seed: 1 })
			.add(4_000, 4_000);
		store.of('a/b', { speed: 'QUALITY', steps: 4, hd: false }).add(60_000, 60_000);
		const middle = (input: Record<string, unknown>) => {
			const { fromMs, toMs } = store.of('a/b', input).expected ?? { fromMs: NaN, toMs: NaN };
			return (fromMs + toMs) / 2;
		};
		const url = `https://example.com/${'x'.repeat(40)}.png`;
		expect(
			middle({ speed: 'TURBO', steps: 4, hd: false, prompt: 'Another beach', seed: 2, image: url }),
		).toBe(4_000);
		expect(middle({ speed: 'QUALITY', steps: 4, hd: false })).toBe(60_000);
		// Not seen yet: all jobs of the model count.
		for (const unseen of [
			{ steps: 4, hd: true },
			{ speed: 'TURBO', steps: 5, hd: false },
			{ nested: { n: 1 } },
		])
			expect(middle(unseen)).toBe(32_000);
	});

	it('is bounded: it keeps the kinds of jobs used last', () => {
		const store = new JobTimesStore();
		for (let n = 0; n < 300; n++)
			for (let job = 0; job < 30; job++) store.of('a/b', { n }).add(1_000 + n, 1_000 + n);
		const json = store.toJson();
		expect(json.length).toBe(100);
		expect(json.every(([, latest]) => latest.length === 20)).toBe(true);
		expect(JSON.stringify(json).length).toBeLessThan(20_000);
		const again = new JobTimesStore(json);
		expect(again.of('a/b', { n: 299 }).expected?.fromMs).toBeCloseTo(1_293, -1);
	});

	it('is to be stored again only when there is something to tell', () => {
		const store = new JobTimesStore();
		expect(store.isChanged).toBe(false);
		store.of('a/b', {});
		expect(store.isChanged).toBe(false);
		for (let job = 0; job < 20; job++) store.of('a/b', {}).add(10_000, 10_000);
		expect(store.isChanged).toBe(true);
		const next = new JobTimesStore(store.toJson());
		expect(next.isChanged).toBe(false);
		next.of('a/b', {}).add(10_000, 10_400);
		expect(next.isChanged).toBe(false);
		next.of('a/b', {}).add(20_000, 20_000);
		expect(next.isChanged).toBe(true);
	});

	it.each<[string, unknown]>([
		['nothing', undefined],
		['text', 'garbage'],
		['an object', { a: [1] }],
		[
			'lists of something else',
			[null, 1, ['x'], [1, [2]], ['x', 'y'], ['x', [null, 'a', -1, NaN, Infinity, 1.7e308, {}]]],
		],
	])('starts empty from %s', (_, stored) => {
		const store = new JobTimesStore(stored);
		expect(store.of('x', {}).expected).toBeUndefined();
		expect(store.toJson()).toEqual([]);
	});
});
