import { RunComfyError } from '../api/problems';
import { StoppedError } from '../util/errors';
import { Slots } from '../util/slots';
import { type Clock, LightSignal, type Random, type Signal } from '../util/time';
import type { Budget } from './budget';
import { cancelRequest } from './cancelRequest';
import type { LedgerTurn } from './ledger';
import { type Late, Throttle, type Verdict } from './throttle';
import type { RequestApi } from './types';

export interface Log {
	debug(message: string): void;
	info(message: string): void;
	warn(message: string): void;
}

export interface RunDependencies {
	/** The requests of an endpoint of the ledger, which may be an entry of an earlier process. */
	requestApiOf: (endpointId: string) => RequestApi;
	clock: Clock;
	random: Random;
	/** This run's part of the execution's ledger. */
	turn: LedgerTurn;
	log: Log;
	/** Undefined when the user has set no spending limit. */
	budget?: Budget;
	/** Whether the run only resumes what earlier tries have submitted, because it ends with an item's error anyway. */
	onlyResumes?: () => boolean;
	/** n8n's Stop; undefined where the host has none. */
	stopSignal: AbortSignal | undefined;
	/** How many items are worked on, and calls in flight, at most. */
	maxConcurrency: number;
	/** Whether an early end cancels what RunComfy can still cancel. */
	cancelOnStop: boolean;
	/** Whether n8n may run the node again after a failure. Then it resumes what is running. */
	retriesOnFail: boolean;
	/** Whether an item's failure becomes its error item, or ends the run. */
	continueOnFail: boolean;
	/** After Stop: how long the answer of a submit in flight, and then cancels, may take. In milliseconds. */
	stopGraceMs: number;
}

export const STOP_GRACE_MS = 5_000;
/** A request whose id arrives at the end of the grace period still gets a cancel. */
const MIN_CANCEL_MS = 1_000;
/** The bodies of all submits in flight together; a larger one is sent alone. */
const MAX_SUBMIT_BYTES = 32_000_000;

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
	readonly throttle: Throttle;
	/** Bounds the memory of request bodies. */
	readonly submitBytes = new Slots(MAX_SUBMIT_BYTES);
	private readonly ending = new LightSignal();
	private readonly gracePeriods = new Set<() => void>();
	private readonly cancelling = new Map<string, Promise<void>>();
	private endedBy: 'stop' | { itemIndex: number; reason: unknown } | undefined;
	private endedAt = 0;

	constructor(readonly dependencies: RunDependencies) {
		const { maxConcurrency, clock, random } = dependencies;
		this.throttle = new Throttle(maxConcurrency, clock, random, this.ending);
	}

	/** Aborted when the run ends early, whatever ends it. */
	get signal(): Signal {
		return this.ending;
	}

	/** Throws when the run has ended early. To be called before anything that costs money or time. */
	throwIfEnded(): void {
		if (this.ending.aborted) throw new RunEndedError();
	}

	/** Waits; throws as soon as the run ends early. */
	async pause(ms: number): Promise<void> {
		this.throwIfEnded();
		if (ms > 0) await this.dependencies.clock.sleep(ms, this.ending);
		this.throwIfEnded();
	}

	/**
	 * One call through the throttle; throws when the run ended before it could be made.
	 * @param late the answer when the call cannot be made by then.
	 */
	async call<T>(make: () => Promise<T>, judge: (answer: T) => Verdict, late?: Late<T>): Promise<T> {
		const answer = await this.throttle.call(make, judge, late);
		if (answer === undefined) throw new RunEndedError();
		return answer;
	}

	/**
	 * A signal for a call that Stop must not abort at once: it is aborted `stopGraceMs` after Stop. Giving up after
	 * another item's failure does not abort it at all: nobody is waiting, and the answer holds an id that is paid for.
	 * @param work gets the signal; when it settles, nothing of this is left.
	 */
	async withStopGracePeriod<T>(work: (signal: Signal) => Promise<T>): Promise<T> {
		const { clock, stopGraceMs } = this.dependencies;
		const graceOver = new LightSignal();
		const answered = new LightSignal();
		const onStop = () => {
			void clock.sleep(stopGraceMs, answered).then(() => graceOver.abort());
		};
		this.gracePeriods.add(onStop);
		try {
			return await work(graceOver);
		} finally {
			this.gracePeriods.delete(onStop);
			answered.abort();
		}
	}

	/**
	 * Works on all items, at most `maxConcurrency` at once, and gives their outcomes in the order of the items.
	 * @param order of work; the items' own order when left out.
	 * @throws StoppedError, ItemFailedError: after everything has come to an end and what was queued is cancelled.
	 */
	async forEachItem<T>(
		count: number,
		work: (itemIndex: number) => Promise<T>,
		order: number[] = Array.from({ length: count }, (_, itemIndex) => itemIndex),
	): Promise<Array<ItemOutcome<T>>> {
		const { stopSignal, maxConcurrency, continueOnFail, turn } = this.dependencies;
		const outcomes: Array<ItemOutcome<T>> = [];
		let next = 0;
		const worker = async () => {
			while (next < count && (await this.throttle.enterItem())) {
				// Another worker may have taken the last item while this one waited to be let in.
				const itemIndex = order[next++];
				try {
					if (itemIndex !== undefined) outcomes[itemIndex] = { ok: true, value: await work(itemIndex) };
				} catch (error) {
					if (error instanceof RunEndedError || itemIndex === undefined) continue;
					outcomes[itemIndex] = { ok: false, error };
					if (error instanceof RunComfyError && error.problem.requestId !== undefined) {
						turn.reported(error.problem.requestId);
					}
					if (!continueOnFail) this.end({ itemIndex, reason: error });
				} finally {
					this.throttle.leaveItem();
				}
			}
		};

		const onStop = () => {
			for (const startGrace of this.gracePeriods) startGrace();
			this.end('stop');
		};
		if (stopSignal?.aborted === true) onStop();
		stopSignal?.addEventListener('abort', onStop, { once: true });
		try {
			await Promise.all(Array.from({ length: Math.min(count, maxConcurrency) }, worker));
			if (this.endedBy !== undefined) await this.finalize();
		} finally {
			stopSignal?.removeEventListener('abort', onStop);
		}
		return outcomes;
	}

	private end(by: NonNullable<typeof this.endedBy>): void {
		// Stop counts even when an item has failed before.
		if (by === 'stop') this.endedBy = by;
		if (this.ending.aborted) {
			if (by !== 'stop') return;
			// What a retry would have resumed.
			this.endedAt = this.dependencies.clock.now();
			void this.cancelQueued();
			return;
		}
		this.endedBy = by;
		this.endedAt = this.dependencies.clock.now();
		this.ending.abort();
		// At once, and not only when all workers are back: one of them may still await the answer of its submit.
		void this.cancelQueued();
	}

	/** Cancels whatever can be cancelled; each request once, however often this is called. */
	private async cancelQueued(): Promise<void> {
		const { cancelOnStop, retriesOnFail, turn, clock, stopGraceMs, requestApiOf } = this.dependencies;
		if (!cancelOnStop) return;
		const deadline = Math.max(this.endedAt + stopGraceMs, clock.now() + MIN_CANCEL_MS);
		for (const entry of turn.waitedFor) {
			const { requestId, endpointId, state } = entry;
			if (requestId === undefined || this.cancelling.has(requestId)) continue;
			const api = requestApiOf(endpointId);
			const isResumed = retriesOnFail && this.endedBy !== 'stop';
			if (state === 'running' && (!api.cancelsRunning || isResumed)) continue;
			const { cancelSlots } = turn.ledger;
			const cancelling = cancelRequest(this.dependencies, api, entry, requestId, cancelSlots, deadline);
			this.cancelling.set(
				requestId,
				cancelling.then((outcome) => turn.cancelAnswered(entry, outcome, api.cancelsRunning)),
			);
		}
		await Promise.all(this.cancelling.values());
	}

	/** Nothing of this run is under way any more: cancels what came in late, and reports what is left. */
	private async finalize(): Promise<never> {
		let endedBy: typeof this.endedBy;
		do {
			endedBy = this.endedBy;
			await this.cancelQueued();
			// Stop may have come meanwhile, and cancels more.
		} while (endedBy !== this.endedBy);
		const { log, turn } = this.dependencies;
		if (this.endedBy === 'stop' || this.endedBy === undefined) {
			const report = this.report();
			if (turn.ledger.reportStopOnce(turn.runIndex)) {
				log.warn(`RunComfy: stopped. ${report === '' ? 'Nothing had been submitted.' : report}`);
			}
			throw new StoppedError(report);
		}
		const { itemIndex, reason } = this.endedBy;
		const failedRequest = reason instanceof RunComfyError ? reason.problem.requestId : undefined;
		const others = this.report(failedRequest);
		if (others !== '') log.warn(`RunComfy: gave up after item ${itemIndex} failed. ${others}`);
		throw new ItemFailedError(itemIndex, reason, others);
	}

	/** Sentences about everything that was submitted, and what was spent on it where there is a spending limit. */
	private report(except?: string): string {
		const { turn, budget } = this.dependencies;
		const submitted = turn.report(except);
		return budget === undefined || submitted === '' ? submitted : `${submitted} ${budget.report()}`;
	}
}
