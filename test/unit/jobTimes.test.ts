import { mean } from '../../bench/stats';
import { durationsOf } from '../../bench/workload';
import { JobTimes, nextPauseMs } from '../../nodes/RunComfy/jobs/schedule';
import { simulateRun } from './pollingSimulation';

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed + 1);

/** Ten jobs at once, eight times in one execution: the figures of all but the first ten. */
function ofLaterJobs(fromMs: number, toMs: number) {
	let polls = 0;
	const lateMs: number[] = [];
	const durations: number[] = [];
	for (const seed of SEEDS) {
		const times = new JobTimes();
		for (let batch = 0; batch < 8; batch++) {
			const jobs = durationsOf(10, seed * 100 + batch, fromMs, toMs);
			const run = simulateRun(jobs, { times });
			if (batch === 0) continue;
			polls += run.polls;
			lateMs.push(...run.lateMs);
			durations.push(...jobs);
		}
	}
	return { pollsPerJob: polls / durations.length, lateness: mean(lateMs) / mean(durations) };
}

describe('Polls of the first jobs of an execution, of which nothing is known, simulated', () => {
	it('are at most 12 a job of 8 to 16 s, at a mean lateness of at most 4.2 %', () => {
		const durations = durationsOf(4_000, 5);
		const { polls, lateMs } = simulateRun(durations, {
			schedule: (waitedMs, intervalMs, random) => nextPauseMs(waitedMs, intervalMs, random),
		});
		expect(polls / durations.length).toBeLessThanOrEqual(12);
		expect(mean(lateMs) / mean(durations)).toBeLessThanOrEqual(0.042);
	});
});

describe('Polls of later jobs of an execution, simulated', () => {
	it('are at most 8 a job of 8 to 16 s, at a mean lateness of at most 4 %', () => {
		const { pollsPerJob, lateness } = ofLaterJobs(8_000, 16_000);
		expect(pollsPerJob).toBeLessThanOrEqual(8);
		expect(lateness).toBeLessThanOrEqual(0.04);
	});

	it('are at most 5 a job of 12 s ± 10 %, at 3 %', () => {
		const { pollsPerJob, lateness } = ofLaterJobs(10_800, 13_200);
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
