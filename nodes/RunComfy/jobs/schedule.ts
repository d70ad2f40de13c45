import type { Random } from '../common/clock';
import type { ExpectedEnd } from './jobTimes';

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
