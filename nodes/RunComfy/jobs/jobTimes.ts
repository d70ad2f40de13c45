/** Jobs take longer or shorter as the endpoint's queue changes: only the latest count. */
const REMEMBERED = 20;
/** Fewer are no basis for an estimate. */
const MIN_KNOWN = 3;

/** How long the latest jobs of a run took, so that later jobs are not polled while none of them can have finished. */
export class JobTimes {
	private readonly latest: number[] = [];

	/**
	 * Records one more finished job. When exactly it ended is not known, only between which two polls: the middle is
	 * right on average (RunComfy's own times are optional, and their meaning is not documented).
	 * @param lastPendingMs waited at the last poll that found it unfinished, or 0.
	 * @param finishedMs waited at the poll that found it finished.
	 */
	add(lastPendingMs: number, finishedMs: number): void {
		this.latest.push((lastPendingMs + finishedMs) / 2);
		if (this.latest.length > REMEMBERED) this.latest.shift();
	}

	/** How long to wait before the first poll: somewhat less than the shortest job took; 0 when too little is known. */
	get quietUntilMs(): number {
		const known = this.latest.length;
		if (known < MIN_KNOWN) return 0;
		const shortest = Math.min(...this.latest);
		// The next job may well be shorter than the shortest of a few; the more are known, the less so.
		const margin = (Math.max(...this.latest) - shortest) / known;
		return shortest - margin;
	}
}
