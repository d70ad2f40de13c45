import type { RunComfyClient } from '../api/client';
import { RunComfyError } from '../api/problems';
import { StoppedError } from '../common/stoppedError';
import type { Clock, Random } from '../common/clock';
import { JobTimes } from './jobTimes';
import type { Ledger } from './ledger';
import { Purchases } from './purchases';
import type { Purse } from './purse';
import { Throttle, type Verdict } from './throttle';

export interface Log {
	debug(message: string): void;
	info(message: string): void;
	warn(message: string): void;
}

export interface RunDependencies {
	client: RunComfyClient;
	clock: Clock;
	random: Random;
	ledger: Ledger;
	log: Log;
	/** The guard for the purse; undefined when the user has set no limit. */
	purse?: Purse;
	/** n8n's Stop; undefined where the host has none. */
	stopSignal: AbortSignal | undefined;
	/** How many items are under way, and calls in flight, at most. */
	maxConcurrency: number;
	/** Whether an early end cancels what is still queued. */
	cancelOnStop: boolean;
	/** Whether an item's failure becomes its row, or ends the run. */
	continueOnFail: boolean;
	/** How long Stop waits for the answer of a submit that is in flight, so that its id is known. */
	stopGraceMs: number;
}

export const STOP_GRACE_MS = 5_000;

export type ItemOutcome<T> = { ok: true; value: T } | { ok: false; error: unknown };

/** The run is over for this item, through no fault of its own. */
export class RunEndedError extends Error {
	override readonly name = 'RunEndedError';

	constructor() {
		super('The run ended before this item was done');
	}
}

/** The first failure of a run that does not continue on fail, with what it leaves behind. */
export class ItemFailedError extends Error {
	override readonly name = 'ItemFailedError';

	constructor(
		readonly itemIndex: number,
		/** What the item failed with. */
		readonly reason: unknown,
		/** Sentences about the other requests of the run; empty when there are none. */
		readonly others: string,
	) {
		super('An item failed');
	}
}

/**
 * One run of the node over its items: how many at once, in which order, and how it ends. Knows nothing of what is done
 * with an item; whatever waits inside an item's work waits through this object, so that nothing outlives the run.
 */
export class Run {
	readonly purchases = new Purchases();
	readonly throttle: Throttle;
	private readonly ending = new AbortController();
	private readonly times = new Map<string, JobTimes>();
	private readonly waits = new Set<AbortController>();
	private readonly graces = new Set<() => void>();
	private endedBy: 'stop' | { itemIndex: number; reason: unknown } | undefined;

	constructor(readonly dependencies: RunDependencies) {
		const { maxConcurrency, clock, random } = dependencies;
		this.throttle = new Throttle(maxConcurrency, clock, random, this.ending.signal);
	}

	get purse(): Purse | undefined {
		return this.dependencies.purse;
	}

	/** How long the jobs of this run took so far, one model by one. */
	timesOf(modelId: string): JobTimes {
		const known = this.times.get(modelId) ?? new JobTimes();
		this.times.set(modelId, known);
		return known;
	}

	/** Throws when the run has ended early. To be asked before anything that costs money or time. */
	throwIfEnded(): void {
		if (this.ending.signal.aborted) throw new RunEndedError();
	}

	/** Waits; throws as soon as the run ends early. */
	async pause(ms: number): Promise<void> {
		this.throwIfEnded();
		if (ms > 0) await this.untilEnd(async (signal) => await this.dependencies.clock.sleep(ms, signal));
		this.throwIfEnded();
	}

	/**
	 * Does something that ends with the run, whatever ends it. Each gets a signal of its own: Node takes many listeners
	 * on one signal for a leak and warns.
	 */
	async untilEnd<T>(make: (signal: AbortSignal) => Promise<T>): Promise<T> {
		const wait = new AbortController();
		if (this.ending.signal.aborted) wait.abort();
		this.waits.add(wait);
		try {
			return await make(wait.signal);
		} finally {
			this.waits.delete(wait);
		}
	}

	/** One call through the throttle; throws when the run ended before it could be made. */
	async call<T>(make: () => Promise<T>, judge: (answer: T) => Verdict): Promise<T> {
		const answer = await this.throttle.call(make, judge);
		if (answer === undefined) throw new RunEndedError();
		return answer;
	}

	/**
	 * A signal for a call that Stop must not break off at once: it trips `stopGraceMs` after Stop. Giving up after
	 * another item's failure does not trip it at all: nobody is waiting, and the answer holds an id that is paid for.
	 * @param make gets the signal; when it settles, nothing of this is left.
	 */
	async shielded<T>(make: (signal: AbortSignal) => Promise<T>): Promise<T> {
		const { clock, stopGraceMs } = this.dependencies;
		const breakOff = new AbortController();
		const answered = new AbortController();
		const onStop = () => {
			void clock.sleep(stopGraceMs, answered.signal).then(() => breakOff.abort());
		};
		this.graces.add(onStop);
		try {
			return await make(breakOff.signal);
		} finally {
			this.graces.delete(onStop);
			answered.abort();
		}
	}

	/**
	 * Works on all items, at most `maxConcurrency` at once, and gives their outcomes in the order of the items.
	 * @throws StoppedError, ItemFailedError: after everything has come to rest and what was queued is cancelled.
	 */
	async forEachItem<T>(
		count: number,
		work: (itemIndex: number) => Promise<T>,
	): Promise<Array<ItemOutcome<T>>> {
		const { stopSignal, maxConcurrency, continueOnFail } = this.dependencies;
		const outcomes: Array<ItemOutcome<T>> = [];
		let next = 0;
		const worker = async () => {
			while (next < count && (await this.throttle.enterItem())) {
				// Another worker may have taken the last item while this one waited to be let in.
				const itemIndex = next < count ? next++ : undefined;
				try {
					if (itemIndex !== undefined) outcomes[itemIndex] = { ok: true, value: await work(itemIndex) };
				} catch (error) {
					if (error instanceof RunEndedError || itemIndex === undefined) continue;
					outcomes[itemIndex] = { ok: false, error };
					if (error instanceof RunComfyError && error.problem.requestId !== undefined) {
						this.purchases.release(error.problem.requestId);
					}
					if (!continueOnFail) this.end({ itemIndex, reason: error });
				} finally {
					this.throttle.leaveItem();
				}
			}
		};

		const onStop = () => {
			for (const grace of this.graces) grace();
			this.end('stop');
		};
		if (stopSignal?.aborted === true) onStop();
		stopSignal?.addEventListener('abort', onStop, { once: true });
		try {
			await Promise.all(Array.from({ length: Math.min(count, maxConcurrency) }, worker));
			if (this.endedBy !== undefined) await this.comeToRest();
		} finally {
			stopSignal?.removeEventListener('abort', onStop);
		}
		return outcomes;
	}

	private end(by: NonNullable<typeof this.endedBy>): void {
		if (this.endedBy !== undefined) return;
		this.endedBy = by;
		this.ending.abort();
		for (const wait of this.waits) wait.abort();
		// At once, and not only when all workers are back: one of them may still await the answer of its submit.
		void this.cancelQueued();
	}

	private async cancelQueued(): Promise<void> {
		const { client, ledger, cancelOnStop } = this.dependencies;
		if (!cancelOnStop) return;
		await this.purchases.cancelQueued(client, (itemIndex) => {
			ledger.forget(itemIndex);
			this.purse?.refund(itemIndex);
		});
	}

	/** Nothing of this run is under way any more: cancels what came in late, and tells what is left. */
	private async comeToRest(): Promise<never> {
		await this.cancelQueued();
		const { log } = this.dependencies;
		if (this.endedBy === 'stop' || this.endedBy === undefined) {
			const report = await this.report();
			log.warn(
				report === '' ? 'RunComfy: stopped; nothing had been submitted.' : `RunComfy: stopped. ${report}`,
			);
			throw new StoppedError(report);
		}
		const { itemIndex, reason } = this.endedBy;
		const failedRequest = reason instanceof RunComfyError ? reason.problem.requestId : undefined;
		const others = await this.report(failedRequest);
		if (others !== '') log.warn(`RunComfy: gave up after item ${itemIndex} failed. ${others}`);
		throw new ItemFailedError(itemIndex, reason, others);
	}

	/** Sentences about everything that was bought, and what was spent on it when somebody counts. */
	private async report(except?: string): Promise<string> {
		const bought = await this.purchases.report(except);
		const { purse } = this;
		return purse === undefined || bought === '' ? bought : `${bought} ${purse.report()}`;
	}
}
