import type { Endpoint, JobResult } from '../api/answers';
import type { JsonObject } from '../api/json';
import type { Problem } from '../api/problems';
import type { Signal } from '../util/time';

/** What the queue is told, and what it tells. Nothing here knows n8n, models, or deployments. */

export interface Log {
	debug(message: string): void;
	info(message: string): void;
	warn(message: string): void;
	/** A sentence about the whole run, for the user and not only for the log. */
	notify(level: 'info' | 'warn', sentence: string): void;
}

/** How to wait for one job. Times in milliseconds. */
export interface WaitLimits {
	timeoutMs: number;
	/** The shortest pause between two polls. */
	pollIntervalMs: number;
	includeCost: boolean;
}

/** How to wait for a request, and (in the operation's own type) what to return of it. Plain JSON: the ledger keeps it. */
export interface Handling {
	/** Whether its end is waited for. */
	waits: boolean;
	limits: WaitLimits;
}

/** The seeds of a request, by the name of their input. */
export type Seeds = Record<string, number>;

/** What RunComfy lists as the price of an endpoint. */
export interface ListedPrice {
	usd?: number;
	/** RunComfy's word, such as `request` or `second`. */
	unit?: string;
}

/** What one item submits. */
export interface JobRequest<H extends Handling = Handling> {
	endpoint: Endpoint;
	handling: H;
	/** The body of the submit. Built when it is sent, and not kept, because it may hold files. */
	buildInput(): Promise<JsonObject>;
	/** About how large the body is. */
	inputBytes: number;
	/** The seeds in it, to report them. */
	seeds?: Seeds | undefined;
	/** Read only for a spending limit. */
	getPrice(): Promise<ListedPrice>;
	/** What the user expects it to cost, in USD. */
	expectedUsd?: number | undefined;
	/** What else may be the cause when RunComfy refuses the input. */
	inputAdvice?: string | undefined;
}

/** A request that RunComfy has accepted. */
export interface SubmittedJob {
	requestId: string;
	/** What it was submitted to: in a retry, an expression may choose another model or deployment. */
	endpointId: string;
	seeds?: Seeds | undefined;
	state: string;
	/** Only of a request that is waited for. */
	result?: JobResult | undefined;
}

/** The early end of a run. */
export interface RunEnd {
	signal: Signal;
	/** @throws RunEndedError. */
	throwIfEnded(): void;
}

/** The items of a run, as the queue needs them. */
export interface ItemSource<H extends Handling, T> {
	count: number;
	/**
	 * Reads and checks the fields of an item that has no request yet. It may make free queries, and submits nothing.
	 * @throws what is wrong with the item.
	 */
	read(itemIndex: number): Promise<JobRequest<H>>;
	/**
	 * How to handle a request that an earlier try has submitted: as the fields say now.
	 * @param saved what its submit was given, for the case that a field cannot be read now.
	 */
	readHandling(itemIndex: number, saved: unknown): H;
	/** What is wrong with a finished result that holds nothing to return; undefined when there is something. */
	findOutputProblem(result: JobResult): Problem | undefined;
	/** @param run whose early end also ends what the output still needs, such as downloads. */
	toOutput(itemIndex: number, job: SubmittedJob, handling: H, run: RunEnd): Promise<T>;
}

export type ItemOutcome<T> = { ok: true; value: T } | { ok: false; error: unknown };

/** The run is over for this item, through no fault of its own. */
export class RunEndedError extends Error {
	override readonly name = 'RunEndedError';

	constructor() {
		super('The run ended before this item was done');
	}
}

/** An item's failure that ends the run, with what it leaves behind. */
export class ItemFailedError extends Error {
	override readonly name = 'ItemFailedError';

	constructor(
		readonly itemIndex: number,
		/** What the item failed with. */
		readonly reason: unknown,
		/** Sentences about the other requests of the run; empty when there are none. */
		readonly others = '',
		/** How to get at the results of these: by the operation Get Result, or also by a retry. */
		readonly resumable: 'no' | 'byHand' | 'byRetry' = 'no',
	) {
		super('An item failed');
	}
}

/** RunComfy may need a moment until a new request can be found [assumed]; a 404 later than this is believed. */
export const NEW_REQUEST_GRACE_MS = 15_000;

/**
 * True while RunComfy may not know a request yet.
 * @param submittedAt, now by the time of day, which the ledger keeps for other processes. Their clocks may differ, and may
 * be set: a request is new for no longer than `NEW_REQUEST_GRACE_MS` before or after this moment.
 */
export function isNewRequest(submittedAt: number | undefined, now: number): boolean {
	return submittedAt !== undefined && Math.abs(now - submittedAt) < NEW_REQUEST_GRACE_MS;
}
