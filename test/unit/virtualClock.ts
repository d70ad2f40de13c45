import type { Clock } from '../../nodes/RunComfy/common/clock';

interface Alarm {
	at: number;
	ring: () => void;
}

/**
 * Time that passes only when nothing else is left to do: hours of waiting take milliseconds, and every moment is exact.
 */
export class VirtualClock implements Clock {
	private time = 0;
	private alarms: Alarm[] = [];

	now = (): number => this.time;

	/** What the computer's clock has jumped by. */
	jumpMs = 0;

	timeOfDay = (): number => this.time + this.jumpMs;

	/** Sleepers that have not been woken: must be 0 when everything is over. */
	get sleeping(): number {
		return this.alarms.length;
	}

	sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
		if (ms <= 0 || signal?.aborted === true) return;
		await new Promise<void>((resolve) => {
			const onAbort = () => {
				this.alarms = this.alarms.filter((other) => other !== alarm);
				resolve();
			};
			const alarm: Alarm = {
				at: this.time + ms,
				ring: () => {
					signal?.removeEventListener('abort', onAbort);
					resolve();
				},
			};
			this.alarms.push(alarm);
			signal?.addEventListener('abort', onAbort, { once: true });
		});
	};

	/** Does something at a moment. */
	at(time: number, act: () => void): void {
		this.alarms.push({ at: time, ring: act });
	}

	/** Lets so much time pass, and everything happen that is due. */
	async advance(ms: number): Promise<void> {
		const end = this.time + ms;
		for (;;) {
			await new Promise((resolve) => setImmediate(resolve));
			const next = this.nextAlarm();
			if (next === undefined || next.at > end) break;
			this.ring(next);
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
			const next = this.nextAlarm();
			if (next === undefined) throw new Error(`Nothing left to wait for at ${this.time} ms`);
			this.ring(next);
		}
	}

	private nextAlarm(): Alarm | undefined {
		return this.alarms.reduce<Alarm | undefined>(
			(a, b) => (a === undefined || b.at < a.at ? b : a),
			undefined,
		);
	}

	private ring(alarm: Alarm): void {
		this.alarms = this.alarms.filter((other) => other !== alarm);
		this.time = Math.max(this.time, alarm.at);
		alarm.ring();
	}
}
