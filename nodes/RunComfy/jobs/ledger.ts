import { isJsonObject, numberOf } from '../api/json';
import type { JobResult } from '../api/responses';
import { omitUndefined } from '../common/omitUndefined';
import type { Signal } from '../common/signal';
import { Slots } from '../common/slots';

/**
 * One ledger for every request of this node in one n8n execution: what was submitted for which item, its id, its state,
 * and its cost. It lives in n8n's node context, which survives Retry On Fail and n8n's “Retry execution”. It
 * answers what a retry resumes, what Stop cancels, what an error lists, and what the spending limit allows.
 *
 * The rules:
 * 1. An entry is one attempt to submit for one item. It is written before the paid POST leaves (`submitting`), so that
 *    a try that dies in between leaves a trace: nobody answers for it any more, so its outcome is unknown.
 * 2. A retry is recognized by the turn (n8n's run index), the item's index, and the fingerprint of the node's raw
 *    parameters and the input item; never by evaluated values, because expressions may differ in every try.
 * 3. A retry resumes a queued or running request, returns a finished one, and never submits again while an outcome is
 *    unknown. Only a refused, failed, or cancelled request is submitted again, as a new entry.
 * 4. A new turn of a loop submits again. The exception is a run that threw: an AI agent retries its tool under a new run
 *    index, and a loop never gets past a thrown error. What such a run left may be resumed in any turn.
 * 5. One entry belongs to one run at a time: parallel tool calls with the same input each keep their own.
 * 6. What an earlier execution has submitted enters the ledger when an item uses it, and is then an entry like all others;
 *    but it costs this execution nothing, and it is not cancelled before a poll has told that it has not ended.
 * 7. No entry of another run is changed. The entries of earlier turns that nobody can resume are added up, so that a
 *    long loop does not grow the execution's data; their cost still counts.
 */

/**
 * - `reserved`: nothing has been sent; the spending limit has set its cost aside.
 * - `submitting`: the paid POST is under way.
 * - `outcomeUnknown`: the POST may have been accepted. Final.
 * - `refused`: certainly not accepted, or never sent. Final.
 * - `finished`, `failed`, `cancelled`: as RunComfy reports. The last two are final.
 */
export type RequestState =
	| 'reserved'
	| 'submitting'
	| 'outcomeUnknown'
	| 'refused'
	| 'queued'
	| 'running'
	| 'finished'
	| 'failed'
	| 'cancelled';

/** Every transition there is; all others are ignored. */
const NEXT_STATES: Record<RequestState, readonly RequestState[]> = {
	reserved: ['submitting', 'refused'],
	submitting: ['reserved', 'refused', 'outcomeUnknown', 'queued'],
	outcomeUnknown: [],
	refused: [],
	queued: ['running', 'finished', 'failed', 'cancelled'],
	// A poll may say “queued” again.
	running: ['queued', 'finished', 'failed', 'cancelled'],
	// What a retry polls again, because it had no output, may count as failed by then.
	finished: ['failed'],
	failed: [],
	cancelled: [],
};

/** Which later runs may resume an entry: see rule 4. */
type ResumableBy = 'anyTurn' | 'sameTurn' | 'nobody';

/** The seeds of a request, by the name of their input. */
export type Seeds = Record<string, number>;

/** One request as the ledger keeps it. Plain JSON, because n8n stores it with the execution. */
export interface LedgerEntry {
	turn: number;
	itemIndex: number;
	fingerprint: string;
	/** What it was submitted to; see `Endpoint`. */
	endpointId: string;
	state: RequestState;
	resumableBy: ResumableBy;
	requestId?: string;
	seeds?: Seeds;
	/** When it was accepted, in milliseconds by the monotonic clock. */
	submittedAt?: number;
	/** Why the outcome is unknown. */
	why?: string;
	/** What it was expected to cost when it was reserved, in USD; undefined when that was not known. */
	expectedUsd?: number;
	/** In USD, as RunComfy reports it. */
	costUsd?: number;
	/** It has ended, and its cost is still being asked for. */
	isCostPending?: boolean;
	/** What came out of it. */
	result?: JobResult;
	/** An earlier execution has submitted it: it costs this one nothing. See `RequestStore`. */
	isReused?: true;
	/** Of an earlier execution, and not polled yet: it may have ended long ago. */
	isUnpolled?: true;
	/** It has been seen running. */
	hasRun?: true;
	/** How a cancel of it was answered. */
	cancelOutcome?: CancelOutcome;
	/** It was cancelled where RunComfy also cancels what runs: it may have begun to run after the last poll. */
	mayHaveRun?: true;
	/** Its item has ended with an error that names it: from then on it is the user's to cancel. */
	isReported?: true;
}

/** What is known of a request that RunComfy has accepted. */
export interface AcceptedFacts {
	requestId: string;
	seeds: Seeds | undefined;
	/** By the monotonic clock; undefined when that is not known. */
	submittedAt: number | undefined;
}

export type CancelOutcome = 'cancelled' | 'requested' | 'notCancellable' | 'unknown';

/** Requests of one endpoint in earlier turns, added up. */
export interface Totals {
	requests: number;
	/** What RunComfy reported for them. */
	spentUsd: number;
	/** How many of them RunComfy reported no cost for. */
	unreported: number;
	/** What those were expected to cost, as far as that was known. */
	expectedUsd: number;
	/** For how many of them it was not. */
	unknown: number;
}

interface Store {
	entries: LedgerEntry[];
	/** By endpoint. */
	earlier: Record<string, Totals>;
	/** The highest cost that RunComfy has reported for one request of an endpoint, in USD. */
	highestCostUsd: Record<string, number>;
	/** Stop has been reported for these turns. */
	stoppedTurns: number[];
	/** More than one after n8n's “Retry execution”: that is another execution, which goes on with this ledger. */
	executionIds: string[];
}

/** n8n retries a turn right after it, or, where calls run side by side, a few turns later. */
const KEPT_TURNS = 20;

/** More would reach RunComfy's rate limit sooner. */
const MAX_CANCELS_AT_ONCE = 10;

const STORE_NAME = 'runComfyRequests';

/** Ledgers of executions that are under way in this process, by n8n's context object. */
const LEDGERS = new WeakMap<object, Ledger>();

/** True while RunComfy holds the request and has not ended it. */
export function isAlive({ state }: LedgerEntry): boolean {
	return state === 'queued' || state === 'running';
}

export class Ledger {
	/** Which run answers for an entry. Only within this process: after a crash nobody does. */
	private readonly owners = new Map<LedgerEntry, LedgerTurn>();
	/** Bounds the cancels of all runs of this process together. */
	readonly cancelSlots = new Slots(MAX_CANCELS_AT_ONCE);
	/** Entries whose item is being worked on right now, in whichever run of this process. */
	private readonly waitedFor = new Set<LedgerEntry>();
	private readonly listeners = new Set<() => void>();

	private constructor(private readonly store: Store) {}

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
	 * Begins one run of the node: a first try, or a retry.
	 * @param runIndex how often the node has run before in this execution; the same for a retry.
	 * @param fingerprints of the items that submit something, by item index.
	 */
	openTurn(runIndex: number, fingerprints: ReadonlyMap<number, string>): LedgerTurn {
		this.addUpEarlierTurns(runIndex);
		const turn = new LedgerTurn(this, runIndex, fingerprints);
		for (const entry of this.findResumable(runIndex, fingerprints)) this.resume(entry, turn);
		turn.abandoned.push(...this.entriesOf(turn).filter((entry) => isAlive(entry) && !this.owners.has(entry)));
		return turn;
	}

	/** Makes a run answer for everything that earlier tries of its turn have left, whatever its item's input is now. */
	resumeAll(turn: LedgerTurn): void {
		for (const entry of this.entriesOf(turn)) if (!this.owners.has(entry)) this.resume(entry, turn);
	}

	get entries(): readonly LedgerEntry[] {
		return this.store.entries;
	}

	/** What earlier turns submitted, by endpoint, as far as it no longer has entries. */
	get earlier(): ReadonlyMap<string, Totals> {
		return new Map(Object.entries(this.store.earlier));
	}

	/** The highest cost that RunComfy has reported for one request of the endpoint, in USD; undefined before the first. */
	highestCostUsd(endpointId: string): number | undefined {
		return Object.hasOwn(this.store.highestCostUsd, endpointId)
			? this.store.highestCostUsd[endpointId]
			: undefined;
	}

	/** True while an item of this process submits the request or waits for it. */
	isWaitedFor(entry: LedgerEntry): boolean {
		return this.waitedFor.has(entry);
	}

	/** An item begins, or ceases, to work on its request. */
	setWaitedFor(entry: LedgerEntry, isWaitedFor: boolean): void {
		if (isWaitedFor) this.waitedFor.add(entry);
		else this.waitedFor.delete(entry);
		this.notify();
	}

	/** The run's entries: of this turn, and not another live run's. */
	entriesOf(turn: LedgerTurn): LedgerEntry[] {
		return this.store.entries.filter(
			(entry) => this.owners.get(entry) === turn || (entry.turn === turn.runIndex && !this.owners.has(entry)),
		);
	}

	add(entry: LedgerEntry, turn: LedgerTurn): void {
		this.store.entries.push(entry);
		this.own(entry, turn);
		this.setWaitedFor(entry, true);
	}

	/** Nobody answers for the run's entries any more; what may resume them is decided by how the run ended. */
	release(turn: LedgerTurn, resumableBy: ResumableBy): void {
		for (const [entry, owner] of this.owners) {
			if (owner !== turn) continue;
			entry.resumableBy = resumableBy;
			this.owners.delete(entry);
			this.waitedFor.delete(entry);
			this.closeUnowned(entry);
		}
		this.notify();
	}

	/**
	 * The one place where an entry changes its state.
	 * @returns false when there is no such transition; nothing has changed then.
	 */
	move(entry: LedgerEntry, state: RequestState, facts: Partial<LedgerEntry> = {}): boolean {
		if (entry.state !== state && !NEXT_STATES[entry.state].includes(state)) return false;
		Object.assign(entry, omitUndefined(facts), { state });
		if (state === 'running') entry.hasRun = true;
		delete entry.isUnpolled;
		if (entry.costUsd !== undefined && entry.isReused !== true)
			this.learnCost(entry.endpointId, entry.costUsd);
		this.notify();
		return true;
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

	/** True the first time that it is asked for a turn: a retry that comes after Stop does not report again. */
	reportStopOnce(runIndex: number): boolean {
		if (this.store.stoppedTurns.includes(runIndex)) return false;
		this.store.stoppedTurns.push(runIndex);
		return true;
	}

	/** The executions whose requests are in this ledger, this one included. */
	addExecution(executionId: string): ReadonlySet<string> {
		const { executionIds } = this.store;
		if (!executionIds.includes(executionId)) executionIds.push(executionId);
		return new Set(executionIds);
	}

	private learnCost(endpointId: string, costUsd: number): void {
		const highest = this.highestCostUsd(endpointId) ?? 0;
		// A free failure says nothing about what a success costs.
		if (costUsd > highest) this.store.highestCostUsd[endpointId] = costUsd;
	}

	/** From now on the run answers for the entry, and Stop may cancel it again. */
	private resume(entry: LedgerEntry, turn: LedgerTurn): void {
		entry.turn = turn.runIndex;
		entry.resumableBy = 'sameTurn';
		delete entry.isReported;
		if (isAlive(entry)) delete entry.cancelOutcome;
		this.own(entry, turn);
	}

	private own(entry: LedgerEntry, turn: LedgerTurn): void {
		this.owners.set(entry, turn);
		turn.current.set(entry.itemIndex, entry);
	}

	/** At most one entry for each item: of the same turn if there is one. */
	private findResumable(runIndex: number, fingerprints: ReadonlyMap<number, string>): LedgerEntry[] {
		const found = new Map<number, LedgerEntry>();
		for (const entry of this.store.entries) {
			const { turn, itemIndex, fingerprint, resumableBy } = entry;
			if (fingerprint !== fingerprints.get(itemIndex) || this.owners.has(entry)) continue;
			const isSameTurn = turn === runIndex;
			if (resumableBy === 'nobody' || (resumableBy === 'sameTurn' && !isSameTurn)) continue;
			this.closeUnowned(entry);
			if (!isAlive(entry) && entry.state !== 'finished' && entry.state !== 'outcomeUnknown') continue;
			if (isSameTurn || !found.has(itemIndex)) found.set(itemIndex, entry);
		}
		return [...found.values()];
	}

	/** What is left of a try that ended, or died, in the middle of a submit. */
	private closeUnowned(entry: LedgerEntry): void {
		if (entry.state === 'submitting') {
			const why = 'an earlier try ended before RunComfy answered';
			this.move(entry, 'outcomeUnknown', { why });
		}
		if (entry.state === 'reserved') this.move(entry, 'refused');
	}

	private addUpEarlierTurns(runIndex: number): void {
		const { store } = this;
		const isOver = (entry: LedgerEntry) =>
			entry.resumableBy !== 'anyTurn' &&
			entry.turn < runIndex - (entry.resumableBy === 'nobody' ? 0 : KEPT_TURNS) &&
			!this.owners.has(entry) &&
			['finished', 'failed', 'cancelled', 'refused'].includes(entry.state);
		if (!store.entries.some(isOver)) return;
		for (const entry of store.entries.filter((one) => isOver(one) && !isFree(one))) {
			const known = Object.hasOwn(store.earlier, entry.endpointId)
				? store.earlier[entry.endpointId]
				: undefined;
			const totals = known ?? { requests: 0, spentUsd: 0, unreported: 0, expectedUsd: 0, unknown: 0 };
			totals.requests++;
			totals.spentUsd += entry.costUsd ?? 0;
			if (entry.costUsd === undefined) {
				totals.unreported++;
				if (entry.expectedUsd === undefined) totals.unknown++;
				totals.expectedUsd += entry.expectedUsd ?? 0;
			}
			store.earlier[entry.endpointId] = totals;
		}
		store.entries = store.entries.filter((entry) => !isOver(entry));
	}

	private notify(): void {
		for (const listener of [...this.listeners]) listener();
	}
}

/**
 * True for an entry that costs this execution nothing: paid for by an earlier one, never accepted, or cancelled while it was queued [assumed: nothing is charged
 * for that], unless RunComfy reports a cost.
 */
export function isFree({ state, costUsd, hasRun, isReused }: LedgerEntry): boolean {
	if (state === 'refused' || isReused === true) return true;
	return state === 'cancelled' && costUsd === undefined && hasRun !== true;
}

/** One run of the node and its entries: the transitions that a run may make. */
export class LedgerTurn {
	/** The latest entry of each item. */
	readonly current = new Map<number, LedgerEntry>();
	/** Alive, of the same turn, and not resumed, because the input or the node's fields have changed since. */
	readonly abandoned: LedgerEntry[] = [];

	constructor(
		readonly ledger: Ledger,
		readonly runIndex: number,
		private readonly fingerprints: ReadonlyMap<number, string>,
	) {}

	/** What an earlier try, or this one, has submitted for the item. */
	find(itemIndex: number): LedgerEntry | undefined {
		return this.current.get(itemIndex);
	}

	/** True when an earlier try has left something to resume, or when items use what earlier executions have submitted. */
	get hasRequests(): boolean {
		return this.current.size > 0;
	}

	/** True when an earlier try has submitted something that can be resumed. */
	get hasSubmitted(): boolean {
		return [...this.current.values()].some(({ isReused }) => isReused !== true);
	}

	/** What earlier executions have submitted, and this turn uses. */
	get reused(): LedgerEntry[] {
		return [...this.current.values()].filter(
			(entry) =>
				entry.isReused === true &&
				entry.isUnpolled !== true &&
				(isAlive(entry) || entry.state === 'finished'),
		);
	}

	/** Ids of requests of earlier tries of this turn that no item resumes. */
	get unresumedIds(): string[] {
		const resumed = new Set(this.current.values());
		return this.ledger
			.entriesOf(this)
			.filter((entry) => !resumed.has(entry))
			.flatMap(({ requestId }) => requestId ?? []);
	}

	/** Ids of requests that an earlier try left alive for the item, before its input or the node's fields changed. */
	abandonedIds(itemIndex: number): string[] {
		return this.abandoned
			.filter((entry) => entry.itemIndex === itemIndex)
			.flatMap(({ requestId }) => requestId ?? []);
	}

	/** An item is about to submit; nothing has been sent. */
	reserve(itemIndex: number, endpointId: string, expectedUsd?: number): LedgerEntry {
		const entry = this.entryFor(itemIndex, endpointId, 'reserved');
		Object.assign(entry, omitUndefined({ expectedUsd }));
		this.ledger.add(entry, this);
		return entry;
	}

	private entryFor(itemIndex: number, endpointId: string, state: RequestState): LedgerEntry {
		const fingerprint = this.fingerprints.get(itemIndex) ?? '';
		return { turn: this.runIndex, itemIndex, fingerprint, endpointId, state, resumableBy: 'sameTurn' };
	}

	/** An item uses what an earlier execution has submitted. */
	trackExisting(itemIndex: number, endpointId: string, facts: AcceptedFacts): LedgerEntry {
		const entry = this.entryFor(itemIndex, endpointId, 'queued');
		Object.assign(entry, omitUndefined(facts), { isReused: true, isUnpolled: true });
		this.ledger.add(entry, this);
		this.ledger.setWaitedFor(entry, false);
		return entry;
	}

	/** What an item uses of an earlier execution has no result, or not any more; it may be submitted again. */
	abandonReused(entry: LedgerEntry): void {
		this.ledger.move(entry, 'failed');
		delete entry.result;
	}

	/** The paid POST is about to leave. */
	submitting(entry: LedgerEntry): void {
		this.ledger.move(entry, 'submitting');
	}

	/** RunComfy certainly has not accepted the POST, and it will be sent again. */
	notAccepted(entry: LedgerEntry): void {
		this.ledger.move(entry, 'reserved');
	}

	/** RunComfy has certainly not accepted it, or it never left: it costs nothing. */
	refused(entry: LedgerEntry): void {
		this.ledger.move(entry, 'refused');
	}

	outcomeUnknown(entry: LedgerEntry, why: string): void {
		this.ledger.move(entry, 'outcomeUnknown', { why });
	}

	accepted(entry: LedgerEntry, facts: AcceptedFacts): void {
		this.ledger.move(entry, 'queued', omitUndefined(facts));
	}

	/** A poll has found it queued or running. */
	polled(entry: LedgerEntry, state: 'queued' | 'running'): void {
		this.ledger.move(entry, state);
	}

	/**
	 * RunComfy reports that it has ended.
	 * @param isCostPending whether a cost that is not reported yet will be asked for.
	 */
	ended(
		entry: LedgerEntry,
		state: 'finished' | 'failed' | 'cancelled',
		result: JobResult,
		isCostPending: boolean,
	): void {
		const isOver = entry.state === 'finished' && state === 'cancelled';
		this.ledger.move(entry, isOver ? 'failed' : state, {
			...omitUndefined({ costUsd: result.cost, result: state === 'finished' ? result : undefined }),
			isCostPending: isCostPending && result.cost === undefined,
		});
	}

	/** The cost that RunComfy reported later than the end; undefined when none was reported. */
	recordCost(entry: LedgerEntry, costUsd: number | undefined): void {
		const result =
			entry.result === undefined || costUsd === undefined ? undefined : { ...entry.result, cost: costUsd };
		this.ledger.move(entry, entry.state, { ...omitUndefined({ costUsd, result }), isCostPending: false });
	}

	/**
	 * How a cancel was answered. Only `cancelled` ends the request.
	 * @param cancelsRunning whether RunComfy would also have cancelled a running request.
	 */
	cancelAnswered(entry: LedgerEntry, cancelOutcome: CancelOutcome, cancelsRunning = false): void {
		const isCancelled = cancelOutcome === 'cancelled';
		const mayHaveRun = isCancelled && cancelsRunning ? (true as const) : undefined;
		const facts = { cancelOutcome, ...omitUndefined({ mayHaveRun }) };
		this.ledger.move(entry, isCancelled ? 'cancelled' : entry.state, facts);
	}

	/** The item has ended with an error that names the request. */
	reported(requestId: string): void {
		for (const entry of this.current.values()) {
			if (entry.requestId === requestId) entry.isReported = true;
		}
	}

	/**
	 * Alive as far as polls have told, and its item waits for it: what Stop, or an early end of the run, cancels if
	 * RunComfy still can.
	 */
	get waitedFor(): LedgerEntry[] {
		return [...this.current.values()].filter(
			(entry) =>
				isAlive(entry) &&
				entry.isUnpolled !== true &&
				entry.isReported !== true &&
				entry.cancelOutcome === undefined,
		);
	}

	/**
	 * Sentences about everything that was submitted in this turn, for a log line or an error; empty when nothing was.
	 * @param except a request that the error itself is about.
	 */
	report(except?: string): string {
		const groups = new Map<string, string[]>(
			[
				'Still running at RunComfy',
				'Could not be cancelled because already running or finished',
				'Cancellation requested; whether it comes in time is not known',
				'Not known whether cancelled',
				'Cancelled while queued',
				'Cancelled, queued when last polled',
				'Cancelled while running',
				'Cancelled at RunComfy',
				'Failed',
				'Finished and paid for',
				'It is not known whether RunComfy accepted the request of item',
			].map((title) => [title, []]),
		);
		const add = (title: string, text: string) => groups.get(title)?.push(text);
		const entries = this.ledger.entriesOf(this).sort((a, b) => a.itemIndex - b.itemIndex);
		for (const entry of entries) {
			const { requestId, itemIndex, state, cancelOutcome, hasRun, mayHaveRun } = entry;
			if (state === 'outcomeUnknown')
				add('It is not known whether RunComfy accepted the request of item', String(itemIndex));
			// What an earlier execution has submitted, and this one has not polled, is nothing of this one's.
			if (requestId === undefined || requestId === except || entry.isUnpolled === true) continue;
			if (state === 'finished') add('Finished and paid for', requestId);
			// The failure of a request is not reported when its item has submitted again since.
			const isLatest = (this.current.get(itemIndex) ?? entry) === entry;
			if (state === 'failed' && isLatest) add('Failed', requestId);
			if (state === 'cancelled' && isLatest) {
				const queued = mayHaveRun === true ? 'Cancelled, queued when last polled' : 'Cancelled while queued';
				const phase = hasRun === true ? 'Cancelled while running' : queued;
				add(cancelOutcome === 'cancelled' ? phase : 'Cancelled at RunComfy', requestId);
			}
			if (!isAlive(entry)) continue;
			if (cancelOutcome === 'notCancellable')
				add('Could not be cancelled because already running or finished', requestId);
			else if (cancelOutcome === 'requested')
				add('Cancellation requested; whether it comes in time is not known', requestId);
			else if (cancelOutcome === 'unknown') add('Not known whether cancelled', requestId);
			else {
				const phase = state === 'running' ? 'running' : 'queued when last polled';
				add('Still running at RunComfy', `${requestId} (item ${itemIndex}, ${phase})`);
			}
		}
		return [...groups]
			.filter(([, ids]) => ids.length > 0)
			.map(([title, ids]) => `${title}: ${ids.join(', ')}.`)
			.join(' ');
	}

	/**
	 * Ends the run. To be called once.
	 * @param end `thrown`: n8n, or an AI agent, may try again under any run index; `withErrors`: it returned error items,
	 * after which n8n may run it again under the same index; `succeeded`: nobody tries again.
	 */
	close(end: 'thrown' | 'withErrors' | 'succeeded'): void {
		const resumableBy = ({ thrown: 'anyTurn', withErrors: 'sameTurn', succeeded: 'nobody' } as const)[end];
		this.ledger.release(this, resumableBy);
	}
}

/** The stored ledger. It may come from n8n's database, and from another version of this node. */
function readStore(value: unknown): Store {
	const stored = isJsonObject(value) ? value : {};
	return {
		entries: Array.isArray(stored.entries) ? stored.entries.filter(isEntry) : [],
		earlier: recordOf(stored.earlier, isTotals),
		highestCostUsd: recordOf(stored.highestCostUsd, (cost): cost is number => typeof cost === 'number'),
		stoppedTurns: [],
		executionIds: Array.isArray(stored.executionIds)
			? stored.executionIds.filter((id) => typeof id === 'string')
			: [],
	};
}

function recordOf<T>(value: unknown, isValue: (one: unknown) => one is T): Record<string, T> {
	const entries = Object.entries(isJsonObject(value) ? value : {});
	return Object.fromEntries(entries.filter((entry): entry is [string, T] => isValue(entry[1])));
}

function isTotals(value: unknown): value is Totals {
	if (!isJsonObject(value)) return false;
	return ['requests', 'spentUsd', 'unreported', 'expectedUsd', 'unknown'].every(
		(name) => numberOf(value, name) !== undefined,
	);
}

function isSum(value: unknown): boolean {
	return value === undefined || (typeof value === 'number' && value >= 0 && value < Infinity);
}

function isEntry(value: unknown): value is LedgerEntry {
	return (
		isJsonObject(value) &&
		typeof value.turn === 'number' &&
		typeof value.itemIndex === 'number' &&
		typeof value.fingerprint === 'string' &&
		typeof value.endpointId === 'string' &&
		typeof value.state === 'string' &&
		Object.hasOwn(NEXT_STATES, value.state) &&
		typeof value.resumableBy === 'string' &&
		(value.requestId === undefined || typeof value.requestId === 'string') &&
		(value.seeds === undefined || isJsonObject(value.seeds)) &&
		isSum(value.costUsd) &&
		isSum(value.expectedUsd) &&
		(value.result === undefined || isJsonObject(value.result))
	);
}
