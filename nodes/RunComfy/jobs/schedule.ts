import type { Random } from '../util/time';

/** Jobs take longer or shorter as the model's queue changes: only the latest count. */
const REMEMBERED = 20;
/** Of one known job, the next may differ by this share of its duration; of several, by less. */
const ASSUMED_SPREAD = 0.45;

/** When a job will probably end, in milliseconds after its submit. */
export interface ExpectedEnd {
	fromMs: number;
	toMs: number;
}

/**
 * How long the latest jobs of one endpoint took in this execution, so that later ones are polled when they may end, and
 * rarely before.
 */
export class JobTimes {
	/** Undefined while nothing is known. */
	expected: ExpectedEnd | undefined;
	/** In milliseconds, the newest last. */
	readonly latest: number[] = [];

	/**
	 * Records one more finished job. When exactly it ended is not known, only between which two polls: the middle is
	 * right on average (RunComfy's own times are optional, and their meaning is not documented).
	 * @param lastPendingMs waited at the last poll that found it unfinished, or 0.
	 * @param finishedMs waited at the poll that found it finished.
	 */
	add(lastPendingMs: number, finishedMs: number): void {
		// The first poll after a long pause says little about the time before the expected end: it probably ended then.
		const { fromMs } = this.expected ?? { fromMs: 0 };
		const earliestMs = fromMs < finishedMs ? Math.max(lastPendingMs, 2 * fromMs - finishedMs) : lastPendingMs;
		this.latest.push(Math.round((earliestMs + finishedMs) / 2));
		if (this.latest.length > REMEMBERED) this.latest.shift();
		this.expected = expectedEndOf(this.latest);
	}
}

function expectedEndOf(latest: number[]): ExpectedEnd {
	const known = latest.length;
	const shortest = Math.min(...latest);
	const longest = Math.max(...latest);
	// The next job may well be shorter or longer than a few known ones; the more are known, the less so.
	const margin = Math.max(
		(longest - shortest) / Math.max(1, known - 1),
		(longest * ASSUMED_SPREAD) / known ** 1.5,
	);
	return { fromMs: shortest - margin, toMs: longest + margin };
}

/** When to poll next. Pure; all times in milliseconds. */

/** The longest pause between two polls, unless the user's own interval is longer. */
const MAX_PAUSE_MS = 5_000;
/**
 * Pauses grow with the time already waited, so that a finished job waits for its poll no longer than a fixed share of its
 * duration: on average half of this. docs/benchmarks.md shows what other shares cost and gain.
 */
const SHARE_OF_WAIT = 0.07;
/** Spreads the polls of jobs that were submitted together. Only the first pause is spread, so that no later one grows. */
const FIRST_POLL_SPREAD_MS = 1_000;
/** While the end is expected, pauses may be this share of the user's interval. */
const SHARE_OF_INTERVAL = 0.5;
/** Jobs of similar durations need few polls anyway, so pauses are a smaller share of their duration. */
const SMALLEST_SHARE = 0.0525;
/** So many pauses cover the time in which the end is expected, as far as the shares allow it. */
const PAUSES_WHILE_EXPECTED = 6;

/**
 * The pause before the next poll.
 * @param waitedMs since the job was submitted; 0 gives the pause before the first poll.
 * @param intervalMs the user's shortest pause.
 * @param expected when the job will probably end; undefined while nothing is known.
 */
export function nextPauseMs(
	waitedMs: number,
	intervalMs: number,
	random: Random,
	expected?: ExpectedEnd,
): number {
	const longest = Math.max(intervalMs, MAX_PAUSE_MS);
	if (expected === undefined || waitedMs >= expected.toMs) {
		const spread = waitedMs === 0 ? random() * Math.min(intervalMs, FIRST_POLL_SPREAD_MS) : 0;
		return Math.min(longest, Math.max(intervalMs, waitedMs * SHARE_OF_WAIT)) + spread;
	}
	const pauseMs = pauseWhileExpected(intervalMs, expected);
	// The first poll that may find the end is one pause after the earliest end.
	const quietMs = Math.max(pauseMs, expected.fromMs + pauseMs - waitedMs);
	// Never longer than the longest pause: a job that is faster than all before it is still found in time.
	return quietMs / Math.ceil(quietMs / longest);
}

function pauseWhileExpected(intervalMs: number, { fromMs, toMs }: ExpectedEnd): number {
	const middleMs = (fromMs + toMs) / 2;
	const pauseMs = Math.min(
		middleMs * SHARE_OF_WAIT,
		Math.max(middleMs * SMALLEST_SHARE, (toMs - fromMs) / PAUSES_WHILE_EXPECTED),
	);
	return Math.max(intervalMs * SHARE_OF_INTERVAL, pauseMs);
}
