import type { Clock } from '../../nodes/RunComfy/common/clock';

interface Timer {
	at: number;
	fire: () => void;
}

/**
 * Time that passes only when nothing else is left to do: hours of waiting take milliseconds, and every moment is exact.
 */
export class VirtualClock implements Clock {
	private time = 0;
	private timers: Timer[] = [];

	now = (): number => this.time;

	/** What the computer's clock has jumped by. */
	jumpMs = 0;

	timeOfDay = (): number => this.time + this.jumpMs;

	/** Sleepers that have not been woken: must be 0 when everything is over. */
	get sleeping(): number {
		return this.timers.length;
	}

	sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
		if (ms <= 0 || signal?.aborted === true) return;
		await new Promise<void>((resolve) => {
			const onAbort = () => {
				this.timers = this.timers.filter((other) => other !== timer);
				resolve();
			};
			const timer: Timer = {
				at: this.time + ms,
				fire: () => {
					signal?.removeEventListener('abort', onAbort);
					resolve();
				},
			};
			this.timers.push(timer);
			signal?.addEventListener('abort', onAbort, { once: true });
		});
	};

	/** Does something at a moment. */
	at(time: number, act: () => void): void {
		this.timers.push({ at: time, fire: act });
	}

	/** Lets so much time pass, and everything happen that is due. */
	async advance(ms: number): Promise<void> {
		const end = this.time + ms;
		for (;;) {
			await new Promise((resolve) => setImmediate(resolve));
			const next = this.nextTimer();
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
			const next = this.nextTimer();
			if (next === undefined) throw new Error(`Nothing left to wait for at ${this.time} ms`);
			this.fire(next);
		}
	}

	private nextTimer(): Timer | undefined {
		return this.timers.reduce<Timer | undefined>(
			(a, b) => (a === undefined || b.at < a.at ? b : a),
			undefined,
		);
	}

	private fire(timer: Timer): void {
		this.timers = this.timers.filter((other) => other !== timer);
		this.time = Math.max(this.time, timer.at);
		timer.fire();
	}
}
