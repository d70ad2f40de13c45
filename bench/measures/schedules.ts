import { JobTimes } from '../../nodes/RunComfy/jobs/jobTimes';
import { nextPauseMs } from '../../nodes/RunComfy/jobs/schedule';
import { seededRandom } from '../../test/sandbox/random';
import { mean } from '../stats';
import { durationsOf } from '../workload';

/** Polls and lateness by schedule, simulated on thousands of jobs, without network and waiting. */
export const LATER = 'this node, later jobs of a run';
export const FIRST = 'this node, first jobs of a run';
/** The pause before the next poll. */
const SCHEDULES: Record<string, typeof nextPauseMs> = {
	[LATER]: nextPauseMs,
	[FIRST]: (waitedMs, intervalMs, random) => nextPauseMs(waitedMs, intervalMs, random, 0),
	'same pause always': (_, intervalMs) => intervalMs,
	'pauses grow by 3 %': (waitedMs, intervalMs) => Math.min(5_000, Math.max(intervalMs, 0.03 * waitedMs)),
	'pauses grow by 15 %': (waitedMs, intervalMs) => Math.min(5_000, Math.max(intervalMs, 0.15 * waitedMs)),
};
const INTERVALS_MS = [200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000];
/** From a call to its answer; the same for all. */
const ROUND_TRIP_MS = 10;

export function measureSchedules() {
	return INTERVALS_MS.flatMap((intervalMs) =>
		Object.entries(SCHEDULES).map(([name, schedule]) => {
			return { name, intervalSeconds: intervalMs / 1000, ...simulate(schedule, intervalMs) };
		}),
	);
}

function simulate(schedule: typeof nextPauseMs, intervalMs: number) {
	const random = seededRandom(11);
	const times = new JobTimes();
	const durations = durationsOf(4_000, 5);
	const left = durations.values();
	const lateMs: number[] = [];
	let polls = 0;
	const pauseMs = (waitedMs: number) => schedule(waitedMs, intervalMs, random, times.quietUntilMs);
	const running: Array<{ submittedAt: number; duration: number; pollAt: number; lastUndoneMs: number }> = [];
	const submit = (submittedAt: number) => {
		const { value: duration } = left.next();
		if (duration === undefined) return;
		running.push({ submittedAt, duration, pollAt: submittedAt + pauseMs(0), lastUndoneMs: 0 });
	};
	for (let slot = 0; slot < 10; slot++) submit(ROUND_TRIP_MS);
	while (running.length > 0) {
		const job = running.reduce((a, b) => (b.pollAt < a.pollAt ? b : a));
		const waitedMs = job.pollAt - job.submittedAt;
		polls++;
		if (waitedMs < job.duration) {
			job.lastUndoneMs = waitedMs;
			job.pollAt += ROUND_TRIP_MS + pauseMs(waitedMs);
			continue;
		}
		times.add(job.lastUndoneMs, waitedMs);
		lateMs.push(waitedMs - job.duration);
		running.splice(running.indexOf(job), 1);
		submit(job.pollAt + 2 * ROUND_TRIP_MS);
	}
	return { pollsPerJob: polls / durations.length, lateness: mean(lateMs) / mean(durations) };
}
