/** Time as the queue sees it; a virtual one in tests. */
export interface Clock {
	/** Milliseconds; only differences count, but Retry-After dates need it to be the time of day. */
	now(): number;
	/** Resolves after `ms`, or at once when the signal trips: it never rejects, the caller looks at the signal. */
	sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A number from 0 (inclusive) to 1 (exclusive), like `Math.random`. */
export type Random = () => number;
