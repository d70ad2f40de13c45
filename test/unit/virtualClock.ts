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

	timeOfDay = (): number => this.time;

	/** Sleepers that have not been woken: must be 0 when everything is over. */
	get sleeping(): number {
		return this.alarms.length;
	}

	sleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
		if (ms <= 0 || signal?.aborted === true) return;
		await new Promise<void>((resolve) => {
			const alarm: Alarm = { at: this.time + ms, ring: resolve };
			this.alarms.push(alarm);
			signal?.addEventListener(
				'abort',
				() => {
					this.alarms = this.alarms.filter((other) => other !== alarm);
					resolve();
				},
				{ once: true },
			);
		});
	};

	/** Does something at a moment. */
	at(time: number, act: () => void): void {
		this.alarms.push({ at: time, ring: act });
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
			const next = this.alarms.reduce<Alarm | undefined>(
				(a, b) => (a === undefined || b.at < a.at ? b : a),
				undefined,
			);
			if (next === undefined) throw new Error(`Nothing left to wait for at ${this.time} ms`);
			this.alarms = this.alarms.filter((alarm) => alarm !== next);
			this.time = Math.max(this.time, next.at);
			next.ring();
		}
	}
}
