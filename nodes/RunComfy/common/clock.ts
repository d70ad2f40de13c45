import type { Signal } from './signal';

/** The node's source of time; tests pass a virtual clock. All values are in milliseconds. */
export interface Clock {
	/** Monotonic time: only differences have a meaning. It does not jump when the system clock is adjusted. */
	now(): number;
	/** The time since the epoch. It may jump, so use it only for dates in HTTP headers and in stored data. */
	timeOfDay(): number;
	/** Resolves after `ms`, or as soon as the signal is aborted. It never rejects: the caller checks the signal. */
	sleep(ms: number, signal?: Signal): Promise<void>;
}

/** A number from 0 (inclusive) to 1 (exclusive), like `Math.random`. */
export type Random = () => number;
