import type { JobResult } from '../api/answers';
import { isJsonObject, type JsonObject } from '../api/json';
import type { Handling, Seeds } from './types';

/** One request as the ledger keeps it, and what its states mean. */

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
export const NEXT_STATES: Record<RequestState, readonly RequestState[]> = {
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

/** How a cancel was answered that did not end the request. */
export type CancelOutcome = 'requested' | 'notCancellable' | 'unknown';

/** One request as the ledger keeps it. Plain JSON, because n8n stores it with the execution. */
export interface LedgerEntry extends RequestIdentity {
	turn: number;
	itemIndex: number;
	/** What it was submitted to; see `Endpoint`. */
	endpointId: string;
	state: RequestState;
	requestId?: string;
	/** How its submit wanted it to be handled. */
	handling?: Handling;
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
	cancelOutcome?: CancelOutcome;
}

/** A request that can be waited for, or has finished. */
export type AcceptedEntry = LedgerEntry & { requestId: string };

/** What is left of a request that nobody can resume. */
export type CostRecord = Pick<
	LedgerEntry,
	'endpointId' | 'state' | 'costUsd' | 'expectedUsd' | 'hasRun' | 'isCostPending'
>;

/** True while RunComfy holds the request and has not ended it. */
export function isAlive({ state }: Pick<CostRecord, 'state'>): boolean {
	return state === 'queued' || state === 'running';
}

/** True for a request that can be waited for, or has finished. */
export function isAccepted(entry: LedgerEntry): entry is AcceptedEntry {
	return entry.requestId !== undefined && (isAlive(entry) || entry.state === 'finished');
}

/**
 * True for an entry that costs nothing: never accepted, or cancelled while it was queued [assumed: nothing is charged
 * for that], unless RunComfy reports a cost.
 */
export function isFree({ state, costUsd, hasRun }: CostRecord): boolean {
	if (state === 'refused') return true;
	return state === 'cancelled' && costUsd === undefined && hasRun !== true;
}

function isSum(value: unknown): boolean {
	return value === undefined || (typeof value === 'number' && value >= 0 && value < Infinity);
}

/** Guards for what n8n's database holds. */
export function isCostRecord(value: unknown): value is CostRecord & JsonObject {
	return (
		isJsonObject(value) &&
		typeof value.endpointId === 'string' &&
		typeof value.state === 'string' &&
		Object.hasOwn(NEXT_STATES, value.state) &&
		isSum(value.costUsd) &&
		isSum(value.expectedUsd)
	);
}

export function isEntry(value: unknown): value is LedgerEntry {
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
