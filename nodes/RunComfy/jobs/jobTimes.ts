/** Jobs of one model change their pace with its queue: only the latest count. */
const REMEMBERED = 20;
/** Fewer say nothing. */
const MIN_KNOWN = 3;

/** How long the latest jobs of a run took, so that the next ones need no looks while none of them can be done yet. */
export class JobTimes {
	private readonly latest: number[] = [];

	/**
	 * One more job is done. When exactly it ended is not known, only between which two looks: the middle is right on
	 * average (RunComfy's own times are optional, and their meaning is not documented).
	 * @param lastUndoneMs waited at the last look that found it unfinished, or 0.
	 * @param doneMs waited at the look that found it done.
	 */
	add(lastUndoneMs: number, doneMs: number): void {
		this.latest.push((lastUndoneMs + doneMs) / 2);
		if (this.latest.length > REMEMBERED) this.latest.shift();
	}

	/** How long to wait before a look is worth it: somewhat less than the shortest job took; 0 when too little is known. */
	get quietUntilMs(): number {
		const known = this.latest.length;
		if (known < MIN_KNOWN) return 0;
		const shortest = Math.min(...this.latest);
		// The shortest of few is not the shortest of all; by so much the next one is likely to undercut it.
		const margin = (Math.max(...this.latest) - shortest) / known;
		return shortest - margin;
	}
}
