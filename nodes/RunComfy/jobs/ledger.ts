import { isJsonObject, type JsonObject } from '../api/json';
import type { JobResult } from '../api/responses';
import { Slots } from '../util/slots';
import type { Signal } from '../util/time';
import { cached, omitUndefined } from '../util/values';
import { JobTimes } from './schedule';

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

/** What a request is known by. */
export interface RequestIdentity {
	/**
	 * Where it was submitted: a run of the node and an item. For the tool of an AI agent, where no place is stable, it is
	 * the arguments of the call.
	 */
	place: string;
	/** A hash of what decides what is generated, and for whom. */
	identity: string;
	/** Whether an AI agent makes the call: it may make the same one again, in whichever run, also after success. */
	isCall: boolean;
}

/** The seeds of a request, by the name of their input. */
export type Seeds = Record<string, number>;

/** One request as the ledger keeps it. Plain JSON, because n8n stores it with the execution. */
export interface LedgerEntry extends RequestIdentity {
	turn: number;
	itemIndex: number;
	/** What it was submitted to; see `Endpoint`. */
	endpointId: string;
	state: RequestState;
	requestId?: string;
	seeds?: Seeds;
	/** When it was accepted: the time of day in milliseconds since the epoch. */
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
	/** The time of day in milliseconds since the epoch. */
	submittedAt: number;
}

export type CancelOutcome = 'cancelled' | 'requested' | 'notCancellable' | 'unknown';

/** What is left of a request that nobody can resume. */
export type CostRecord = Pick<
	LedgerEntry,
	'endpointId' | 'state' | 'costUsd' | 'expectedUsd' | 'hasRun' | 'isCostPending'
>;

interface Store {
	entries: LedgerEntry[];
	closed: CostRecord[];
	/** The highest cost that RunComfy has reported for one request of an endpoint, in USD. */
	highestCostUsd: Record<string, number>;
	/** Stop has been reported for these turns. */
	stoppedTurns: number[];
}

/** More would reach RunComfy's rate limit sooner. */
const MAX_CANCELS_AT_ONCE = 10;

const STORE_NAME = 'runComfyRequests';

/** Ledgers of executions that are under way in this process, by n8n's context object. */
const LEDGERS = new WeakMap<object, Ledger>();

/** True while RunComfy holds the request and has not ended it. */
export function isAlive({ state }: CostRecord): boolean {
	return state === 'queued' || state === 'running';
}

export class Ledger {
	/** Which runs answer for an entry. Only within this process: after a crash nobody does. */
	private readonly owners = new Map<LedgerEntry, Set<LedgerTurn>>();
	/** One at a time submits for a place that several may come to at once. */
	private readonly placeSlots = new Map<string, Slots>();
	/** Bounds the cancels of all runs of this process together. */
	readonly cancelSlots = new Slots(MAX_CANCELS_AT_ONCE);
	/** Entries whose item is being worked on right now, in whichever run of this process. */
	private readonly waitedFor = new Set<LedgerEntry>();
	private readonly listeners = new Set<() => void>();
	private readonly jobTimes = new Map<string, JobTimes>();
	private readonly byPlace = new Map<string, LedgerEntry[]>();

	private constructor(private readonly store: Store) {
		for (const entry of store.entries) this.atSamePlace(entry).push(entry);
	}

	/** In the order of their submits. */
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
	 * Begins one run of the node: a first try, or a retry.
	 * @param runIndex how often the node has run before in this execution; the same for a retry.
	 * @param identities of the items that submit something, by item index.
	 */
	openTurn(runIndex: number, identities: ReadonlyMap<number, RequestIdentity>): LedgerTurn {
		// n8n has gone on to the next turn. An agent's calls come and go beside it.
		const isNextTurn = [...identities.values()].some(({ isCall }) => !isCall);
		if (isNextTurn) this.closeWhere(({ turn, isCall }) => turn < runIndex && !isCall);
		const turn = new LedgerTurn(this, runIndex, identities);
		for (const itemIndex of identities.keys()) turn.lookUp(itemIndex);
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

	/** What every request of the execution has cost, or may cost. */
	get costs(): readonly CostRecord[] {
		return [...this.store.closed, ...this.store.entries];
	}

	/** The highest cost that RunComfy has reported for one request of the endpoint, in USD; undefined before the first. */
	highestCostUsd(endpointId: string): number | undefined {
		return Object.hasOwn(this.store.highestCostUsd, endpointId)
			? this.store.highestCostUsd[endpointId]
			: undefined;
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
		if (isWaitedFor) this.waitedFor.add(entry);
		else this.waitedFor.delete(entry);
		this.notify();
	}

	/** The run's entries: those that it answers for, and of its turn those that nobody answers for. */
	entriesOf(turn: LedgerTurn): LedgerEntry[] {
		return this.store.entries.filter(
			(entry) => this.owners.get(entry)?.has(turn) ?? entry.turn === turn.runIndex,
		);
	}

	add(entry: LedgerEntry, turn: LedgerTurn): void {
		this.store.entries.push(entry);
		this.atSamePlace(entry).push(entry);
		this.own(entry, turn);
		this.setWaitedFor(entry, true);
	}

	/**
	 * The run no longer answers for its entries.
	 * @param isOver whether n8n will not come to its place again.
	 */
	release(turn: LedgerTurn, isOver: boolean): void {
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
		if (over.size === 0) return;
		store.entries = store.entries.filter((entry) => !over.has(entry));
		for (const entry of over) {
			const rest = this.atSamePlace(entry).filter((one) => !over.has(one));
			if (rest.length === 0) this.byPlace.delete(entry.place);
			else this.byPlace.set(entry.place, rest);
			this.closeUnowned(entry);
			const { endpointId, state, costUsd, expectedUsd, hasRun } = entry;
			if (!isFree(entry))
				store.closed.push({ endpointId, state, ...omitUndefined({ costUsd, expectedUsd, hasRun }) });
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
	 * The one place where an entry changes its state.
	 * @returns false when there is no such transition; nothing has changed then.
	 */
	move(entry: LedgerEntry, state: RequestState, facts: Partial<LedgerEntry> = {}): boolean {
		if (entry.state !== state && !NEXT_STATES[entry.state].includes(state)) return false;
		Object.assign(entry, omitUndefined(facts), { state });
		if (state === 'running') entry.hasRun = true;
		if (entry.costUsd !== undefined) this.learnCost(entry.endpointId, entry.costUsd);
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

	private learnCost(endpointId: string, costUsd: number): void {
		const highest = this.highestCostUsd(endpointId) ?? 0;
		// A free failure says nothing about what a success costs.
		if (costUsd > highest) this.store.highestCostUsd[endpointId] = costUsd;
	}

	/** From now on the run answers for the entry, and Stop may cancel it again. */
	resume(entry: LedgerEntry, turn: LedgerTurn, itemIndex = entry.itemIndex): void {
		if (!this.owners.has(entry)) turn.left.add(entry);
		entry.turn = turn.runIndex;
		delete entry.isReported;
		if (isAlive(entry)) delete entry.cancelOutcome;
		this.own(entry, turn, itemIndex);
	}

	private own(entry: LedgerEntry, turn: LedgerTurn, itemIndex = entry.itemIndex): void {
		cached(this.owners, entry, () => new Set()).add(turn);
		turn.current.set(itemIndex, entry);
	}

	/** The latest entry that may be resumed; undefined when there is none. */
	findResumable(wanted: RequestIdentity): LedgerEntry | undefined {
		for (const entry of [...(this.byPlace.get(wanted.place) ?? [])].reverse()) {
			if (entry.identity !== wanted.identity) continue;
			if (!this.owners.has(entry)) this.closeUnowned(entry);
			const { state } = entry;
			if (state !== 'refused' && state !== 'failed' && state !== 'cancelled') return entry;
		}
		return undefined;
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

/**
 * True for an entry that costs nothing: never accepted, or cancelled while it was queued [assumed: nothing is charged
 * for that], unless RunComfy reports a cost.
 */
export function isFree({ state, costUsd, hasRun }: CostRecord): boolean {
	if (state === 'refused') return true;
	return state === 'cancelled' && costUsd === undefined && hasRun !== true;
}

/** One run of the node and its entries: the transitions that a run may make. */
export class LedgerTurn {
	/** The latest entry of each item. */
	readonly current = new Map<number, LedgerEntry>();
	/** What earlier tries have left, and this one resumes. A parallel call's request is not left: it is under way. */
	readonly left = new Set<LedgerEntry>();
	/** Alive, of the same turn, and not resumed, because the input or the node's fields have changed since. */
	readonly abandoned: LedgerEntry[] = [];

	constructor(
		readonly ledger: Ledger,
		readonly runIndex: number,
		private readonly identities: ReadonlyMap<number, RequestIdentity>,
	) {}

	/** What an earlier try, or this one, has submitted for the item. */
	find(itemIndex: number): LedgerEntry | undefined {
		return this.current.get(itemIndex);
	}

	/** As `find`, after others may have submitted for the same place. */
	lookUp(itemIndex: number): LedgerEntry | undefined {
		const wanted = this.identities.get(itemIndex);
		const found = wanted === undefined ? undefined : this.ledger.findResumable(wanted);
		if (found !== undefined && found !== this.current.get(itemIndex))
			this.ledger.resume(found, this, itemIndex);
		return this.find(itemIndex);
	}

	/** See `Ledger.atPlace`. */
	async atPlace<T>(itemIndex: number, signal: Signal, work: () => Promise<T>): Promise<T> {
		return await this.ledger.atPlace(this.identityOf(itemIndex), signal, work);
	}

	private identityOf(itemIndex: number): RequestIdentity {
		return this.identities.get(itemIndex) ?? { place: '', identity: '', isCall: false };
	}

	/** True when an earlier try has left something to resume. */
	get hasRequests(): boolean {
		return this.current.size > 0;
	}

	/** Ids of requests that an earlier try left alive for the item, before its input or the node's fields changed. */
	abandonedIds(itemIndex: number): string[] {
		return this.abandoned
			.filter((entry) => entry.itemIndex === itemIndex)
			.flatMap(({ requestId }) => requestId ?? []);
	}

	/** An item is about to submit; nothing has been sent. */
	reserve(itemIndex: number, endpointId: string, expectedUsd?: number): LedgerEntry {
		const entry: LedgerEntry = {
			...this.identityOf(itemIndex),
			turn: this.runIndex,
			itemIndex,
			endpointId,
			state: 'reserved',
			...omitUndefined({ expectedUsd }),
		};
		this.ledger.add(entry, this);
		return entry;
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
		// A parallel call of an agent may have cancelled the same request before.
		if (!isCancelled && !isAlive(entry)) return;
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
			(entry) => isAlive(entry) && entry.isReported !== true && entry.cancelOutcome === undefined,
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
			if (requestId === undefined || requestId === except) continue;
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
	 * @param hasSucceeded for all items: then n8n does not run it again under this run index.
	 */
	close(hasSucceeded: boolean): void {
		this.ledger.release(this, hasSucceeded);
	}
}

/** The stored ledger. It may come from n8n's database, and from another version of this node. */
function readStore(value: unknown): Store {
	const stored = isJsonObject(value) ? value : {};
	return {
		entries: Array.isArray(stored.entries) ? stored.entries.filter(isEntry) : [],
		closed: Array.isArray(stored.closed) ? stored.closed.filter(isCostRecord) : [],
		highestCostUsd: recordOf(stored.highestCostUsd, (cost): cost is number => typeof cost === 'number'),
		stoppedTurns: [],
	};
}

function recordOf<T>(value: unknown, isValue: (one: unknown) => one is T): Record<string, T> {
	const entries = Object.entries(isJsonObject(value) ? value : {});
	return Object.fromEntries(entries.filter((entry): entry is [string, T] => isValue(entry[1])));
}

function isSum(value: unknown): boolean {
	return value === undefined || (typeof value === 'number' && value >= 0 && value < Infinity);
}

function isCostRecord(value: unknown): value is CostRecord & JsonObject {
	return (
		isJsonObject(value) &&
		typeof value.endpointId === 'string' &&
		typeof value.state === 'string' &&
		Object.hasOwn(NEXT_STATES, value.state) &&
		isSum(value.costUsd) &&
		isSum(value.expectedUsd)
	);
}

function isEntry(value: unknown): value is LedgerEntry {
	return (
		isCostRecord(value) &&
		typeof value.turn === 'number' &&
		typeof value.itemIndex === 'number' &&
		typeof value.place === 'string' &&
		typeof value.identity === 'string' &&
		typeof value.isCall === 'boolean' &&
		(value.requestId === undefined || typeof value.requestId === 'string') &&
		(value.seeds === undefined || isJsonObject(value.seeds)) &&
		(value.result === undefined || isJsonObject(value.result))
	);
}
