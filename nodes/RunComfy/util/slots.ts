import type { Signal } from './time';

interface Waiting {
	weight: number;
	start: () => void;
}

/** Limits how much work runs at once. Work that does not fit waits in a queue: first in, first out. */
export class Slots {
	private used = 0;
	private waiting: Waiting[] = [];

	constructor(private readonly capacity: number) {}

	/**
	 * Runs the work as soon as there is capacity for it.
	 * @param weight how much capacity it takes; work that exceeds the whole capacity runs alone.
	 * @param signal ends the wait: the work then starts without capacity, and has to end at once by itself.
	 */
	async use<T>(work: () => Promise<T>, weight = 1, signal?: Signal): Promise<T> {
		const bounded = Math.min(Math.max(0, weight), this.capacity);
		const taken = (await this.take(bounded, signal)) ? bounded : 0;
		try {
			return await work();
		} finally {
			this.used -= taken;
			this.startWaiting();
		}
	}

	/** @returns false when the signal came first. */
	private async take(weight: number, signal?: Signal): Promise<boolean> {
		if (this.waiting.length === 0 && this.used + weight <= this.capacity) {
			this.used += weight;
			return true;
		}
		if (signal?.aborted === true) return false;
		return await new Promise<boolean>((resolve) => {
			const onAbort = () => {
				this.waiting = this.waiting.filter((other) => other !== mine);
				this.startWaiting();
				resolve(false);
			};
			const start = () => {
				signal?.removeEventListener('abort', onAbort);
				resolve(true);
			};
			const mine = { weight, start };
			this.waiting.push(mine);
			signal?.addEventListener('abort', onAbort);
		});
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

/** Works on all values, in their order, on so many at once at most. */
export async function inParallel<T>(
	values: Iterable<T>,
	atOnce: number,
	work: (value: T) => Promise<void>,
): Promise<void> {
	const waiting = values[Symbol.iterator]();
	const worker = async () => {
		for (let next = waiting.next(); next.done !== true; next = waiting.next()) await work(next.value);
	};
	await Promise.all(Array.from({ length: atOnce }, worker));
}
