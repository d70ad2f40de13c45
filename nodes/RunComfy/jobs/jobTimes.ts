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

	/** @param latest in milliseconds, the newest last. */
	constructor(readonly latest: number[] = []) {
		this.expected = expectedEndOf(latest);
	}

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

function expectedEndOf(latest: number[]): ExpectedEnd | undefined {
	const known = latest.length;
	if (known === 0) return undefined;
	const shortest = Math.min(...latest);
	const longest = Math.max(...latest);
	// The next job may well be shorter or longer than a few known ones; the more are known, the less so.
	const margin = Math.max(
		(longest - shortest) / Math.max(1, known - 1),
		(longest * ASSUMED_SPREAD) / known ** 1.5,
	);
	return { fromMs: shortest - margin, toMs: longest + margin };
}
