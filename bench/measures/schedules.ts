import { JobTimes } from '../../nodes/RunComfy/jobs/jobTimes';
import { nextPauseMs } from '../../nodes/RunComfy/jobs/schedule';
import { seededRandom } from '../../test/sandbox/random';
import { mean } from '../stats';
import { durationsOf, type Span } from '../workload';

/** When to look, simulated: the node's own functions without wire and waiting, on thousands of jobs. */
export interface Schedule {
	name: string;
	/** The pause before the next look. */
	pauseMs(waitedMs: number, random: () => number, times: JobTimes): number;
}

export interface SchedulePoint {
	name: string;
	intervalSeconds: number;
	looksPerJob: number;
	/** Mean lateness over the mean duration. */
	lateness: number;
}

/** This node's schedule, as it is. `learning` false shows a run's first jobs, about which nothing is known yet. */
export function thisNode(intervalMs: number, learning: boolean): Schedule {
	return {
		name: learning ? 'this node, later jobs of a run' : 'this node, first jobs of a run',
		pauseMs: (waitedMs, random, times) =>
			nextPauseMs(waitedMs, intervalMs, random, learning ? times.quietUntilMs : 0),
	};
}

/** The same pause always, as the loops of other nodes have it. */
export function everyMs(intervalMs: number): Schedule {
	return { name: 'same pause always', pauseMs: () => intervalMs };
}

/** Pauses that grow with the time waited, by another share than this node's. */
export function growingBy(share: number, intervalMs: number): Schedule {
	return {
		name: `pauses grow by ${Math.round(share * 100)} %`,
		pauseMs: (waitedMs) => Math.min(5_000, Math.max(intervalMs, waitedMs * share)),
	};
}

const JOBS = 4_000;
const SLOTS = 10;
/** From the call to its answer; the same for all. */
const ROUND_TRIP_MS = 10;

export function simulate(schedule: Schedule, intervalMs: number, span: Span): SchedulePoint {
	const random = seededRandom(11);
	const times = new JobTimes();
	const durations = durationsOf(JOBS, 5, span);
	const lateMs: number[] = [];
	let looks = 0;
	let next = 0;
	const slots: Array<{ at: number; submittedAt: number; duration: number; lastUndoneMs: number }> = [];
	const submit = (now: number) => {
		const duration = durations[next++];
		if (duration === undefined) return;
		const submittedAt = now + ROUND_TRIP_MS;
		slots.push({
			at: submittedAt + schedule.pauseMs(0, random, times),
			submittedAt,
			duration,
			lastUndoneMs: 0,
		});
	};
	for (let slot = 0; slot < SLOTS; slot++) submit(0);
	while (slots.length > 0) {
		const job = slots.reduce((a, b) => (b.at < a.at ? b : a));
		const waitedMs = job.at - job.submittedAt;
		looks++;
		if (waitedMs < job.duration) {
			job.lastUndoneMs = waitedMs;
			job.at += ROUND_TRIP_MS + schedule.pauseMs(waitedMs, random, times);
			continue;
		}
		times.add(job.lastUndoneMs, waitedMs);
		lateMs.push(waitedMs - job.duration);
		slots.splice(slots.indexOf(job), 1);
		submit(job.at + ROUND_TRIP_MS);
	}
	return {
		name: schedule.name,
		intervalSeconds: intervalMs / 1000,
		looksPerJob: looks / JOBS,
		lateness: mean(lateMs) / mean(durations),
	};
}

const INTERVALS_MS = [200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000];

/** The schedules side by side, each over a range of shortest pauses. */
export function measureSchedules(span: Span): SchedulePoint[] {
	return INTERVALS_MS.flatMap((intervalMs) =>
		[
			everyMs(intervalMs),
			growingBy(0.03, intervalMs),
			growingBy(0.15, intervalMs),
			thisNode(intervalMs, false),
			thisNode(intervalMs, true),
		].map((schedule) => simulate(schedule, intervalMs, span)),
	);
}
