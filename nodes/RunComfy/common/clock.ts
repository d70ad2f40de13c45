/** Time as the node sees it; a virtual one in tests. All values in milliseconds. */
export interface Clock {
	/** Monotonic: only differences count. It does not jump when the computer's clock is adjusted. */
	now(): number;
	/** The time of day since the epoch. It may jump: only for dates in HTTP headers and in what is stored. */
	timeOfDay(): number;
	/** Resolves after `ms`, or at once when the signal is aborted. It never rejects: the caller checks the signal. */
	sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A number from 0 (inclusive) to 1 (exclusive), like `Math.random`. */
export type Random = () => number;
