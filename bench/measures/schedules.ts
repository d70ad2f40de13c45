import { JobTimes, nextPauseMs } from '../../nodes/RunComfy/jobs/schedule';
import { simulateRun } from '../../test/unit/pollingSimulation';
import { mean } from '../stats';
import { durationsOf } from '../workload';

/** Polls and lateness by schedule, simulated on thousands of jobs, without network and waiting. */
export const LATER = 'this node, later jobs of a run';
export const FIRST = 'this node, first jobs of a run';
export const SIMILAR = 'the same, durations within ±10 %';
/** The pause before the next poll. */
const SCHEDULES: Record<string, typeof nextPauseMs> = {
	[LATER]: nextPauseMs,
	[FIRST]: (waitedMs, intervalMs, random) => nextPauseMs(waitedMs, intervalMs, random),
	'same pause always': (_, intervalMs) => intervalMs,
	'pauses grow by 3 %': (waitedMs, intervalMs) => Math.min(5_000, Math.max(intervalMs, 0.03 * waitedMs)),
	'pauses grow by 15 %': (waitedMs, intervalMs) => Math.min(5_000, Math.max(intervalMs, 0.15 * waitedMs)),
};
const INTERVALS_MS = [200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000];
const JOBS = 4_000;
/** All run at once. */
const JOBS_AT_ONCE = 10;

export function measureSchedules() {
	return INTERVALS_MS.flatMap((intervalMs) => [
		...Object.entries(SCHEDULES).map(([name, schedule]) =>
			rowOf(name, intervalMs, durationsOf(JOBS, 5), (durations) =>
				simulateRun(durations, { intervalMs, schedule }),
			),
		),
		rowOf(SIMILAR, intervalMs, durationsOf(JOBS, 5, 10_800, 13_200), (durations) =>
			laterJobs(durations, intervalMs),
		),
	]);
}

function rowOf(
	name: string,
	intervalMs: number,
	durations: number[],
	simulate: (durations: number[]) => { polls: number; lateMs: number[] },
) {
	const { polls, lateMs } = simulate(durations);
	return {
		name,
		intervalSeconds: intervalMs / 1000,
		pollsPerJob: polls / lateMs.length,
		lateness: mean(lateMs) / mean(durations),
	};
}

/** Runs of twenty jobs: the polls of the later ten. */
function laterJobs(durations: number[], intervalMs: number): { polls: number; lateMs: number[] } {
	const total = { polls: 0, lateMs: [] as number[] };
	for (let from = 0; from < durations.length; from += 2 * JOBS_AT_ONCE) {
		const times = new JobTimes();
		const middle = from + JOBS_AT_ONCE;
		simulateRun(durations.slice(from, middle), { times, intervalMs });
		const later = simulateRun(durations.slice(middle, middle + JOBS_AT_ONCE), { times, intervalMs });
		total.polls += later.polls;
		total.lateMs.push(...later.lateMs);
	}
	return total;
}
