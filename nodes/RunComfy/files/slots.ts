/** At most so many at once, in order of arrival. */
export class Slots {
	private waiting: Array<() => void> = [];

	constructor(private free: number) {}

	/** Does the work as soon as there is room, or when the signal is aborted: then the work has to end at once by itself. */
	async use<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
		const hasSlot = await this.take(signal);
		try {
			return await work();
		} finally {
			if (hasSlot) this.release();
		}
	}

	private async take(signal: AbortSignal): Promise<boolean> {
		if (this.free > 0) {
			this.free--;
			return true;
		}
		if (signal.aborted) return false;
		return await new Promise((resolve) => {
			const onAbort = () => {
				this.waiting = this.waiting.filter((other) => other !== onTurn);
				resolve(false);
			};
			const onTurn = () => {
				signal.removeEventListener('abort', onAbort);
				resolve(true);
			};
			this.waiting.push(onTurn);
			signal.addEventListener('abort', onAbort, { once: true });
		});
	}

	private release(): void {
		const next = this.waiting.shift();
		if (next === undefined) this.free++;
		else next();
	}
}
