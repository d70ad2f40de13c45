/** A bound on how much is done at once. Who does not fit waits, in order of arrival. */
export class Slots {
	private used = 0;
	private readonly waiting: Array<{ weight: number; start: () => void }> = [];

	constructor(private readonly capacity: number) {}

	/**
	 * Does the work as soon as there is room.
	 * @param weight how much room it takes; one that takes more than there is runs alone.
	 */
	async use<T>(work: () => Promise<T>, weight = 1): Promise<T> {
		const bounded = Math.min(weight, this.capacity);
		if (this.waiting.length === 0 && this.used + bounded <= this.capacity) this.used += bounded;
		else await new Promise<void>((start) => this.waiting.push({ weight: bounded, start }));
		try {
			return await work();
		} finally {
			this.used -= bounded;
			this.startWaiting();
		}
	}

	private startWaiting(): void {
		for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
			if (this.used + next.weight > this.capacity) return;
			this.waiting.shift();
			this.used += next.weight;
			next.start();
		}
	}
}
