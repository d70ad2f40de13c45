import type { Random } from './time';

/** Exponential backoff, in milliseconds. */
export interface BackoffRange {
	firstMs: number;
	longestMs: number;
}

/** After a transient error of one call. */
export const ERROR_BACKOFF: BackoffRange = { firstMs: 500, longestMs: 8_000 };
/** After “too many requests”, for the whole run. */
export const RATE_LIMIT_BACKOFF: BackoffRange = { firstMs: 1_000, longestMs: 60_000 };
/** The longest Retry-After that is respected; longer ones are cut to it. */
const MAX_RETRY_AFTER_MS = 60_000;
/** A free call is repeated a few times, because most of its errors are transient. */
const MAX_TRIES = 4;

/**
 * Exponential backoff with jitter over the upper half, so that callers that failed together do not retry together.
 * @param failures in a row, from 1.
 */
export function backoffMs(failures: number, range: BackoffRange, random: Random): number {
	return fullBackoffMs(failures, range) * (0.5 + 0.5 * random());
}

function fullBackoffMs(failures: number, { firstMs, longestMs }: BackoffRange): number {
	return Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30));
}

/**
 * The pause before the next retry: the server's Retry-After or our own backoff, whichever is longer. So a Retry-After of
 * zero, or in the past, does not lead to calls in a tight loop. Half of the backoff is jitter, which comes on top of
 * Retry-After as well: callers that were refused together are often given the same one.
 * @param failures in a row, from 1.
 * @param retryAfterMs the pause that the server asks for; undefined when it asks for none.
 */
export function retryPauseMs(
	failures: number,
	retryAfterMs: number | undefined,
	range: BackoffRange,
	random: Random,
): number {
	const half = fullBackoffMs(failures, range) / 2;
	return Math.max(Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS), half) + half * random();
}

export interface RetryOptions {
	random: Random;
	/** Waits. It may throw to end the retries. */
	pause: (ms: number) => Promise<void>;
	/** The number of calls, including the first. */
	maxTries?: number;
	backoff?: BackoffRange;
}

/**
 * Repeats a call as long as its answer is a transient error.
 * @param call what it throws is not retried.
 * @param transient returns undefined for a final answer; for a transient error, the pause that the server asks for.
 * @returns the last answer. It is still a transient error when the tries are used up.
 */
export async function retry<T>(
	call: () => Promise<T>,
	transient: (answer: T) => { retryAfterMs?: number | undefined } | undefined,
	{ random, pause, maxTries = MAX_TRIES, backoff = ERROR_BACKOFF }: RetryOptions,
): Promise<T> {
	for (let tries = 1; ; tries++) {
		const answer = await call();
		const error = transient(answer);
		if (error === undefined || tries >= maxTries) return answer;
		await pause(retryPauseMs(tries, error.retryAfterMs, backoff, random));
	}
}
