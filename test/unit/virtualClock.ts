import type { Clock, Signal } from '../../nodes/RunComfy/util/time';

interface Timer {
	at: number;
	/** Timers of the same moment fire in the order in which they were set. */
	order: number;
	fire: () => void;
}

function isBefore(a: Timer, b: Timer): boolean {
	return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** A binary heap: thousands may sleep at once. */
class Timers {
	private readonly heap: Timer[] = [];
	private readonly cancelled = new Set<Timer>();
	private added = 0;

	get size(): number {
		return this.heap.length - this.cancelled.size;
	}

	add(at: number, fire: () => void): Timer {
		const timer = { at, order: this.added++, fire };
		let place = this.heap.push(timer) - 1;
		while (place > 0) {
			const parent = (place - 1) >> 1;
			if (!isBefore(timer, this.heap[parent] as Timer)) break;
			this.heap[place] = this.heap[parent] as Timer;
			place = parent;
		}
		this.heap[place] = timer;
		return timer;
	}

	cancel(timer: Timer): void {
		this.cancelled.add(timer);
	}

	/** The next one; it stays. */
	peek(): Timer | undefined {
		for (let first = this.heap[0]; first !== undefined; first = this.heap[0]) {
			if (!this.cancelled.delete(first)) return first;
			this.removeFirst();
		}
		return undefined;
	}

	removeFirst(): void {
		const last = this.heap.pop();
		if (last === undefined || this.heap.length === 0) return;
		let place = 0;
		for (;;) {
			let child = 2 * place + 1;
			const [left, right] = [this.heap[child], this.heap[child + 1]];
			if (left === undefined) break;
			if (right !== undefined && isBefore(right, left)) child++;
			const smaller = this.heap[child] as Timer;
			if (!isBefore(smaller, last)) break;
			this.heap[place] = smaller;
			place = child;
		}
		this.heap[place] = last;
	}
}

/**
 * Time that passes only when nothing else is left to do: hours of waiting take milliseconds, and every moment is exact.
 */
export class VirtualClock implements Clock {
	private time = 0;
	private readonly timers = new Timers();

	now = (): number => this.time;

	/** What the computer's clock has jumped by. */
	jumpMs = 0;

	timeOfDay = (): number => this.time + this.jumpMs;

	/** Sleepers that have not been woken: must be 0 when everything is over. */
	get sleeping(): number {
		return this.timers.size;
	}

	sleep = async (ms: number, signal?: Signal): Promise<void> => {
		if (ms <= 0 || signal?.aborted === true) return;
		await new Promise<void>((resolve) => {
			const onAbort = () => {
				this.timers.cancel(timer);
				resolve();
			};
			const timer = this.timers.add(this.time + ms, () => {
				signal?.removeEventListener('abort', onAbort);
				resolve();
			});
			signal?.addEventListener('abort', onAbort);
		});
	};

	/** Does something at a moment. */
	at(time: number, act: () => void): void {
		this.timers.add(time, act);
	}

	/** Lets so much time pass, and everything happen that is due. */
	async advance(ms: number): Promise<void> {
		const end = this.time + ms;
		for (;;) {
			await new Promise((resolve) => setImmediate(resolve));
			const next = this.timers.peek();
			if (next === undefined || next.at > end) break;
			this.fire(next);
		}
		this.time = end;
	}

	/** Lets time pass until the promise is settled. Throws when nothing is left that could settle it. */
	async run<T>(promise: Promise<T>): Promise<T> {
		let settled = false;
		const mark = () => {
			settled = true;
		};
		promise.then(mark, mark);
		for (;;) {
			await new Promise((resolve) => setImmediate(resolve));
			if (settled) return await promise;
			const next = this.timers.peek();
			if (next === undefined) throw new Error(`Nothing left to wait for at ${this.time} ms`);
			this.fire(next);
		}
	}

	/** Fires the next one. */
	private fire(timer: Timer): void {
		this.timers.removeFirst();
		this.time = Math.max(this.time, timer.at);
		timer.fire();
	}
}
