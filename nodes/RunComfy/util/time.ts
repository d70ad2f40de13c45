/** How late a deadline may be noticed. */
const MAX_LATE_MS = 250;

/**
 * Deadlines of calls, watched by one sleep for all of them: a sleep for each call, which nearly always has to be ended
 * early, costs more than everything else that is done for the call here.
 */
export class Deadlines {
	private readonly pending = new Set<{ at: number; onOver: () => void }>();
	private isWatching = false;

	constructor(private readonly clock: Clock) {}

	/**
	 * @param ms from now.
	 * @param onOver called at most once, at most `MAX_LATE_MS` late.
	 * @returns what ends it.
	 */
	start(ms: number, onOver: () => void): () => void {
		const deadline = { at: this.clock.now() + ms, onOver };
		this.pending.add(deadline);
		if (!this.isWatching) void this.watch();
		return () => this.pending.delete(deadline);
	}

	private async watch(): Promise<void> {
		this.isWatching = true;
		while (this.pending.size > 0) {
			await this.clock.sleep(Math.max(1, Math.min(MAX_LATE_MS, ...this.left())));
			const now = this.clock.now();
			for (const deadline of [...this.pending]) {
				if (deadline.at > now) continue;
				this.pending.delete(deadline);
				deadline.onOver();
			}
		}
		this.isWatching = false;
	}

	private left(): number[] {
		const now = this.clock.now();
		return [...this.pending].map(({ at }) => at - now);
	}
}

/** Gives the event loop a turn whenever long work has kept it busy. */
export class Breather {
	private busySince: number;
	private breath: Promise<void> | undefined;

	constructor(
		private readonly clock: Clock,
		private readonly maxBusyMs: number,
	) {
		this.busySince = clock.now();
	}

	/** To be awaited before each piece of the work. All that wait share one breath: each would be busy for as long again. */
	async breathe(): Promise<void> {
		if (this.clock.now() - this.busySince <= this.maxBusyMs) return;
		this.breath ??= this.clock.sleep(0).then(() => {
			this.breath = undefined;
			this.busySince = this.clock.now();
		});
		await this.breath;
	}
}

/** What is used here of an `AbortSignal`. */
export interface Signal {
	readonly aborted: boolean;
	addEventListener(type: 'abort', listener: () => void): void;
	removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * A signal that its maker aborts. An `AbortSignal` costs much more, which counts in every poll, and Node warns of a leak
 * when one has more than ten listeners.
 */
export class LightSignal implements Signal {
	private readonly listeners = new Set<() => void>();
	private isAborted = false;

	get aborted(): boolean {
		return this.isAborted;
	}

	addEventListener(_type: 'abort', listener: () => void): void {
		this.listeners.add(listener);
	}

	removeEventListener(_type: 'abort', listener: () => void): void {
		this.listeners.delete(listener);
	}

	/** Calls each listener, but none that an earlier one removes. */
	abort(): void {
		if (this.isAborted) return;
		this.isAborted = true;
		for (const listener of this.listeners) listener();
		this.listeners.clear();
	}
}

/** What the promise resolves to, or undefined as soon as the signal is aborted: then nobody waits for the promise. */
export async function unlessAborted<T>(promise: Promise<T>, signal: Signal): Promise<T | undefined> {
	if (signal.aborted) {
		void promise.catch(() => {});
		return undefined;
	}
	let onAbort = () => {};
	const aborted = new Promise<undefined>((resolve) => {
		onAbort = () => resolve(undefined);
		signal.addEventListener('abort', onAbort);
	});
	try {
		return await Promise.race([promise, aborted]);
	} finally {
		signal.removeEventListener('abort', onAbort);
	}
}

/** The node's source of time; tests pass a virtual clock. All values are in milliseconds. */
export interface Clock {
	/** Monotonic time: only differences have a meaning. It does not jump when the system clock is adjusted. */
	now(): number;
	/** The time since the epoch. It may jump, so use it only for dates in HTTP headers and in stored data. */
	timeOfDay(): number;
	/** Resolves after `ms`, or as soon as the signal is aborted. It never rejects: the caller checks the signal. */
	sleep(ms: number, signal?: Signal): Promise<void>;
}

/** A number from 0 (inclusive) to 1 (exclusive), like `Math.random`. */
export type Random = () => number;
