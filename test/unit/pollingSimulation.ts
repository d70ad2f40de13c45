import { JobTimes, nextPauseMs } from '../../nodes/RunComfy/jobs/schedule';
import { seededRandom } from '../sandbox/random';

/** The polls of one run of the node, simulated without network and waiting: thousands of jobs in milliseconds. */

/** From a call to its answer. */
const ROUND_TRIP_MS = 10;
const AT_ONCE = 10;

export interface SimulationOptions {
	/** What is known from earlier jobs; learns from these. */
	times?: JobTimes;
	intervalMs?: number;
	schedule?: typeof nextPauseMs;
}

export interface SimulatedRun {
	polls: number;
	/** How long each finished job waited for the poll that found it. */
	lateMs: number[];
}

/** Polls jobs of these durations, ten at once, in this order. */
export function simulateRun(
	durationsMs: number[],
	{ times = new JobTimes(), intervalMs = 1_000, schedule = nextPauseMs }: SimulationOptions = {},
): SimulatedRun {
	const random = seededRandom(11);
	const left = durationsMs.values();
	const run: SimulatedRun = { polls: 0, lateMs: [] };
	const pauseMs = (waitedMs: number) => schedule(waitedMs, intervalMs, random, times.expected);
	const running: Array<{ submittedAt: number; durationMs: number; pollAt: number; lastPendingMs: number }> =
		[];
	const submit = (submittedAt: number) => {
		const { value: durationMs } = left.next();
		if (durationMs === undefined) return;
		running.push({ submittedAt, durationMs, pollAt: submittedAt + pauseMs(0), lastPendingMs: 0 });
	};
	for (let slot = 0; slot < AT_ONCE; slot++) submit(ROUND_TRIP_MS);
	while (running.length > 0) {
		const job = running.reduce((a, b) => (b.pollAt < a.pollAt ? b : a));
		const waitedMs = job.pollAt - job.submittedAt;
		run.polls++;
		if (waitedMs < job.durationMs) {
			job.lastPendingMs = waitedMs;
			job.pollAt += ROUND_TRIP_MS + pauseMs(waitedMs);
			continue;
		}
		times.add(job.lastPendingMs, waitedMs);
		run.lateMs.push(waitedMs - job.durationMs);
		running.splice(running.indexOf(job), 1);
		submit(job.pollAt + 2 * ROUND_TRIP_MS);
	}
	return run;
}
