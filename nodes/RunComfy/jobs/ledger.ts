import type { JobResult } from '../api/answers';
import { isJsonObject } from '../api/json';
import { Slots } from '../util/slots';
import type { Signal } from '../util/time';
import { cached, omitUndefined, TOLERANCE_USD } from '../util/values';
import {
	isAlive,
	isCostRecord,
	isEntry,
	isFree,
	NEXT_STATES,
	type CostRecord,
	type LedgerEntry,
	type RequestIdentity,
	type RequestState,
} from './entry';
import { JobTimes } from './schedule';

/** Whoever answers for entries: one run of the node; see `Turn`. */
interface Owner {
	runIndex: number;
}

/**
 * One ledger for every request of this node in one n8n execution: what was submitted for which item, its id, its state,
 * and its cost. It lives in n8n's node context, which survives Retry On Fail and n8n's “Retry execution”. It
 * answers what a retry resumes, what Stop cancels, what an error lists, and what the spending limit allows.
 *
 * The rules:
 * 1. An entry is one attempt to submit for one item. It is written before the paid POST leaves (`submitting`), so that
 *    a try that dies in between leaves a trace: nobody answers for it any more, so its outcome is unknown.
 * 2. A request is known by its place and by what decides it; see `RequestIdentity`. Nothing that n8n changes counts.
 * 3. Whoever comes to the same place with the same identity resumes a queued or running request, gets the result of a
 *    finished one, and never submits again while an outcome is unknown. Only a refused, failed, or cancelled request is
 *    submitted again, as a new entry.
 * 4. Where parallel calls of an AI agent have the same place, one of them submits, and all wait for its request.
 * 5. Once nobody can come to a place again, what is left of its requests is their cost.
 */

interface Store {
	entries: LedgerEntry[];
	closed: CostRecord[];
}

/** More would reach RunComfy's rate limit sooner. */
const MAX_CANCELS_AT_ONCE = 10;

/** A request that ended so may be submitted again. */
const SUBMITTED_AGAIN = new Set<RequestState>(['refused', 'failed', 'cancelled']);

const STORE_NAME = 'runComfyRequests';

/** Ledgers of executions that are under way in this process, by n8n's context object. */
const LEDGERS = new WeakMap<object, Ledger>();

export class Ledger {
	/** Which turns answer for an entry. Only within this process: after a crash nobody does. */
	private readonly owners = new Map<LedgerEntry, Set<Owner>>();
	/** One at a time submits for a place that several may come to at once. */
	private readonly placeSlots = new Map<string, Slots>();
	/** Bounds the cancels of all runs of this process together. */
	readonly cancelSlots = new Slots(MAX_CANCELS_AT_ONCE);
	/** How many items work on an entry right now, in whichever runs of this process. */
	private readonly waitedFor = new Map<LedgerEntry, number>();
	private readonly listeners = new Set<() => void>();
	private readonly tries = new Map<number, number>();
	private readonly jobTimes = new Map<string, JobTimes>();
	private readonly surprises = new Map<string, number>();
	/** Entries in the order of their submits. */
	private readonly byPlace = new Map<string, LedgerEntry[]>();

	private constructor(private readonly store: Store) {
		for (const entry of store.entries) this.atSamePlace(entry).push(entry);
		this.costs.forEach((cost) => this.compareCost(cost));
	}

	private atSamePlace({ place }: RequestIdentity): LedgerEntry[] {
		return cached(this.byPlace, place, () => []);
	}

	/**
	 * The ledger of an execution: the same one for all runs of the node in it.
	 * @param context n8n's `getContext('node')`: one object for the node for as long as the execution lasts.
	 */
	static of(context: Record<string, unknown>): Ledger {
		const known = LEDGERS.get(context);
		if (known !== undefined && known.store === context[STORE_NAME]) return known;
		const store = readStore(context[STORE_NAME]);
		context[STORE_NAME] = store;
		const ledger = new Ledger(store);
		LEDGERS.set(context, ledger);
		return ledger;
	}

	/**
	 * One more run of the node begins: what nobody answers for any more is brought to an end.
	 * @param isNextTurn whether n8n has gone on to it from earlier ones. An agent's calls come and go beside them.
	 * @returns the number of the try, from 1; n8n counts anew in another process.
	 */
	begin({ runIndex }: Owner, isNextTurn: boolean): number {
		for (const entry of this.store.entries) if (!this.owners.has(entry)) this.closeUnowned(entry);
		if (isNextTurn) this.closeWhere(({ turn, isCall }) => turn < runIndex && !isCall);
		const tries = (this.tries.get(runIndex) ?? 0) + 1;
		this.tries.set(runIndex, tries);
		return tries;
	}

	get entries(): readonly LedgerEntry[] {
		return this.store.entries;
	}

	/** What every request of the execution has cost, or may cost. */
	get costs(): readonly CostRecord[] {
		return [...this.store.closed, ...this.store.entries];
	}

	/**
	 * The highest cost that RunComfy has reported for one request of the endpoint, in USD, beyond what that one was expected to
	 * cost; undefined before the first. A cost that was expected says nothing about requests that are expected to cost less.
	 */
	highestSurpriseUsd(endpointId: string): number | undefined {
		return this.surprises.get(endpointId);
	}

	/** A free failure says nothing about what a success costs. */
	private compareCost({ endpointId, costUsd = 0, expectedUsd = 0 }: CostRecord): void {
		const known = Math.max(expectedUsd + TOLERANCE_USD, this.highestSurpriseUsd(endpointId) ?? 0);
		if (costUsd > known) this.surprises.set(endpointId, costUsd);
	}

	/** How long the jobs of an endpoint have taken in this execution, as far as this process knows. */
	jobTimesOf(endpointId: string): JobTimes {
		return cached(this.jobTimes, endpointId, () => new JobTimes());
	}

	/** True while an item of this process submits the request or waits for it. */
	isWaitedFor(entry: LedgerEntry): boolean {
		return this.waitedFor.has(entry);
	}

	/** An item begins, or ceases, to work on its request. */
	setWaitedFor(entry: LedgerEntry, isWaitedFor: boolean): void {
		// Parallel calls of an agent may wait for the same one.
		const waiting = (this.waitedFor.get(entry) ?? 0) + (isWaitedFor ? 1 : -1);
		if (waiting > 0) this.waitedFor.set(entry, waiting);
		else this.waitedFor.delete(entry);
		this.notify();
	}

	/** The turn's entries: those that it answers for, and those of an earlier try that nobody answers for. */
	entriesOf(turn: Owner): LedgerEntry[] {
		return this.store.entries.filter(
			(entry) => this.owners.get(entry)?.has(turn) ?? entry.turn === turn.runIndex,
		);
	}

	hasOwner(entry: LedgerEntry): boolean {
		return this.owners.has(entry);
	}

	add(entry: LedgerEntry, turn: Owner): void {
		this.store.entries.push(entry);
		this.atSamePlace(entry).push(entry);
		this.own(entry, turn);
		this.setWaitedFor(entry, true);
	}

	/** From now on the turn answers for the entry, too. */
	own(entry: LedgerEntry, turn: Owner): void {
		cached(this.owners, entry, () => new Set()).add(turn);
	}

	/**
	 * The turn no longer answers for its entries.
	 * @param isOver whether n8n will not come to its place again.
	 */
	release(turn: Owner, isOver: boolean): void {
		for (const [entry, owners] of this.owners) {
			if (!owners.delete(turn) || owners.size > 0) continue;
			this.owners.delete(entry);
			this.waitedFor.delete(entry);
			this.closeUnowned(entry);
		}
		if (isOver) this.closeWhere((entry) => entry.turn === turn.runIndex && !entry.isCall);
		this.notify();
	}

	/** Nobody comes to the place of these entries again: what counts from now on is their cost. */
	private closeWhere(isOver: (entry: LedgerEntry) => boolean): void {
		const { store } = this;
		const over = new Set(store.entries.filter((entry) => isOver(entry) && !this.owners.has(entry)));
		store.entries = store.entries.filter((entry) => !over.has(entry));
		for (const entry of over) {
			const rest = this.atSamePlace(entry).filter((one) => !over.has(one));
			if (rest.length === 0) this.byPlace.delete(entry.place);
			else this.byPlace.set(entry.place, rest);
			const { endpointId, state, costUsd, expectedUsd, hasRun } = entry;
			if (!isFree(entry))
				store.closed.push(omitUndefined({ endpointId, state, costUsd, expectedUsd, hasRun }));
		}
	}

	/**
	 * Submits for a place while nobody else does.
	 * @param signal ends the wait; the work then has to end at once by itself.
	 */
	async atPlace<T>(
		{ place, identity, isCall }: RequestIdentity,
		signal: Signal,
		work: () => Promise<T>,
	): Promise<T> {
		if (!isCall) return await work();
		return await cached(this.placeSlots, `${place} ${identity}`, () => new Slots(1)).use(work, 1, signal);
	}

	/**
	 * The one place where an entry changes its state. Where there is no such transition, nothing changes.
	 * @param facts that are known from now on.
	 */
	move(entry: LedgerEntry, state: RequestState, facts: Partial<LedgerEntry> = {}): void {
		if (entry.state !== state && !NEXT_STATES[entry.state].includes(state)) return;
		Object.assign(entry, omitUndefined(facts), { state });
		if (state === 'running') entry.hasRun = true;
		this.compareCost(entry);
		this.notify();
	}

	/**
	 * RunComfy reports that a request has ended.
	 * @param isCostPending whether a cost that is not reported yet will be asked for.
	 */
	end(
		entry: LedgerEntry,
		state: 'finished' | 'failed' | 'cancelled',
		result: JobResult,
		isCostPending: boolean,
	): void {
		const isNoLongerThere = entry.state === 'finished' && state === 'cancelled';
		this.move(entry, isNoLongerThere ? 'failed' : state, {
			costUsd: result.cost,
			result: state === 'finished' ? result : undefined,
			isCostPending: isCostPending && result.cost === undefined,
		});
	}

	/** The cost that RunComfy reported later than the end; undefined when none was reported. */
	recordCost(entry: LedgerEntry, costUsd: number | undefined): void {
		const isLate = entry.result !== undefined && costUsd !== undefined;
		const result = isLate ? { ...entry.result, cost: costUsd } : undefined;
		this.move(entry, entry.state, { costUsd, result: result as JobResult | undefined, isCostPending: false });
	}

	/** Resolves at the next change of any entry, or when the signal is aborted. */
	async waitForChange(signal: Signal): Promise<void> {
		if (signal.aborted) return;
		await new Promise<void>((resolve) => {
			const done = () => {
				this.listeners.delete(done);
				signal.removeEventListener('abort', done);
				resolve();
			};
			this.listeners.add(done);
			signal.addEventListener('abort', done);
		});
	}

	/** The latest entry that may be resumed; undefined when there is none. */
	findResumable({ place, identity }: RequestIdentity): LedgerEntry | undefined {
		const same = this.byPlace.get(place)?.filter((entry) => entry.identity === identity) ?? [];
		return same.reverse().find(({ state }) => !SUBMITTED_AGAIN.has(state));
	}

	/** Requests that an earlier try left alive at a place, before the input or the node's fields changed. */
	findAbandoned({ place, identity }: RequestIdentity): LedgerEntry[] {
		const others = this.byPlace.get(place) ?? [];
		return others.filter((entry) => entry.identity !== identity && isAlive(entry) && !this.owners.has(entry));
	}

	/** What is left of a try that ended, or died, in the middle of a submit. */
	private closeUnowned(entry: LedgerEntry): void {
		if (entry.state === 'submitting') {
			const why = 'an earlier try ended before RunComfy answered';
			this.move(entry, 'outcomeUnknown', { why });
		}
		if (entry.state === 'reserved') this.move(entry, 'refused');
	}

	private notify(): void {
		for (const listener of [...this.listeners]) listener();
	}
}

/** The stored ledger. It may come from n8n's database, and from another version of this node. */
function readStore(value: unknown): Store {
	const stored = isJsonObject(value) ? value : {};
	return {
		entries: Array.isArray(stored.entries) ? stored.entries.filter(isEntry) : [],
		closed: Array.isArray(stored.closed) ? stored.closed.filter(isCostRecord) : [],
	};
}
