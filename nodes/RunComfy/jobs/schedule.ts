import type { Random } from '../common/clock';

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

/**
 * The pause before the next poll.
 * @param waitedMs since the job was submitted; 0 gives the pause before the first poll.
 * @param intervalMs the user's shortest pause.
 * @param quietUntilMs no job is expected to finish before this much waiting; see `JobTimes`.
 */
export function nextPauseMs(waitedMs: number, intervalMs: number, random: Random, quietUntilMs = 0): number {
	const longest = Math.max(intervalMs, MAX_PAUSE_MS);
	const spread = waitedMs === 0 ? random() * Math.min(intervalMs, FIRST_POLL_SPREAD_MS) : 0;
	const growing = Math.min(longest, Math.max(intervalMs, waitedMs * SHARE_OF_WAIT)) + spread;
	// Never longer than the longest pause: a job that is faster than all before it is still found in time.
	return Math.max(growing, Math.min(longest, quietUntilMs - waitedMs));
}
