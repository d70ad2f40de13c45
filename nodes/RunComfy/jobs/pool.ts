import { inParallel } from '../util/slots';
import { LightSignal, type Clock, type Signal } from '../util/time';
import { RunEndedError, type ItemOutcome } from './types';

export const STOP_GRACE_MS = 5_000;

export interface PoolDependencies {
	clock: Clock;
	/** n8n's Stop; undefined where the host has none. */
	stopSignal: AbortSignal | undefined;
	/** How many items are worked on at most. */
	maxConcurrency: number;
	/** Whether an item's failure becomes its error item, or ends the run. */
	continueOnFail: boolean;
	/** After Stop: how long the answer of a submit in flight, and then cancels, may take. In milliseconds. */
	stopGraceMs: number;
}

/** What the work of an item comes to. */
export async function settle<T>(work: () => Promise<T>): Promise<ItemOutcome<T>> {
	try {
		return { ok: true, value: await work() };
	} catch (error) {
		return { ok: false, error };
	}
}

interface Failure {
	itemIndex: number;
	reason: unknown;
}

/**
 * The items of one run: how many at once, in which order, and what ends them early. Whatever waits inside an item's work
 * waits through this object, so that nothing outlives the run.
 */
export class Pool {
	private readonly ending = new LightSignal();
	private readonly stopping = new LightSignal();
	/** When the run ended early, by the monotonic clock. Stop counts even when an item has failed before. */
	endedAt = Infinity;

	constructor(private readonly dependencies: PoolDependencies) {
		const { stopSignal } = dependencies;
		if (stopSignal?.aborted === true) this.stop();
		stopSignal?.addEventListener('abort', this.stop, { once: true });
	}

	/** Aborted when the run ends early, whatever ends it. */
	get signal(): Signal {
		return this.ending;
	}

	/** Aborted by Stop. */
	get stopped(): Signal {
		return this.stopping;
	}

	/** The run is over: Stop no longer concerns it. */
	close(): void {
		this.dependencies.stopSignal?.removeEventListener('abort', this.stop);
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
		if (this.stopping.aborted) onStop();
		this.stopping.addEventListener('abort', onStop);
		try {
			return await work(graceOver);
		} finally {
			this.stopping.removeEventListener('abort', onStop);
			answered.abort();
		}
	}

	/**
	 * Works on items until all are done, or the run ends early. Everything has come to an end when it resolves.
	 * @param order of the items, by their index.
	 * @returns the outcomes by item index, and the first failure if it has ended the run.
	 */
	async forEach<T>(
		order: readonly number[],
		work: (itemIndex: number) => Promise<T>,
	): Promise<{ outcomes: Array<ItemOutcome<T>>; failure: Failure | undefined }> {
		const { maxConcurrency, continueOnFail } = this.dependencies;
		const outcomes: Array<ItemOutcome<T>> = [];
		let failure: Failure | undefined;
		await inParallel(order, maxConcurrency, async (itemIndex) => {
			if (this.ending.aborted) return;
			const outcome = await settle(async () => await work(itemIndex));
			if (!outcome.ok && outcome.error instanceof RunEndedError) return;
			outcomes[itemIndex] = outcome;
			if (outcome.ok || continueOnFail) return;
			failure ??= { itemIndex, reason: outcome.error };
			this.end();
		});
		return { outcomes, failure };
	}

	private readonly stop = (): void => {
		this.endedAt = this.dependencies.clock.now();
		this.stopping.abort();
		this.ending.abort();
	};

	private end(): void {
		if (this.ending.aborted) return;
		this.endedAt = this.dependencies.clock.now();
		this.ending.abort();
	}
}
