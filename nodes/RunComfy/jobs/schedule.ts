import type { Random } from '../common/clock';

/** When to poll next. Pure; all times in milliseconds. */

/** The longest pause between two looks, unless the user's own interval is longer. */
const MAX_PAUSE_MS = 5_000;
/**
 * Pauses grow with the time already waited, so that the last, useless wait stays a fixed share of the job: on average
 * half of this. docs/benchmarks.md shows what other shares cost and gain.
 */
const SHARE_OF_WAIT = 0.07;
/** Jobs submitted together are looked at at different moments; the first pause decides, so that no later one is longer for it. */
const FIRST_LOOK_SPREAD_MS = 1_000;

/**
 * The pause before the next look.
 * @param waitedMs since the job was submitted; 0 gives the pause before the first look.
 * @param intervalMs the user's shortest pause.
 * @param quietUntilMs no end is to be expected before this much waiting; see `JobTimes`.
 */
export function nextPauseMs(waitedMs: number, intervalMs: number, random: Random, quietUntilMs = 0): number {
	const longest = Math.max(intervalMs, MAX_PAUSE_MS);
	const spread = waitedMs === 0 ? random() * Math.min(intervalMs, FIRST_LOOK_SPREAD_MS) : 0;
	const growing = Math.min(longest, Math.max(intervalMs, waitedMs * SHARE_OF_WAIT)) + spread;
	// Never longer than the longest pause: a job that is faster than all before it is not found much too late.
	return Math.max(growing, Math.min(longest, quietUntilMs - waitedMs));
}
