import { isJsonObject } from '../api/json';
import { readRequestId } from '../api/responses';
import type { Seeds } from './ledger';

/** More would make n8n's static data large: it is read and written as a whole. */
export const MAX_REQUESTS = 2_000;

/** A request that an execution of this node has submitted. */
export interface StoredRequest {
	/** Of what was submitted. */
	fingerprint: string;
	requestId: string;
	/** When it was submitted, in milliseconds since 1970. */
	submittedAt: number;
	/** The execution that submitted it, or has used it last. */
	executionId: string;
	/** The seeds that were sent. */
	seeds: Seeds;
}

/**
 * The newest requests of this node, kept across executions in n8n's static data, so that a later execution can fetch
 * their results instead of paying again.
 *
 * The rules:
 * 1. An execution uses only what earlier executions have submitted, never its own requests: two turns of a loop with the
 *    same input are two requests.
 * 2. It uses each of them for one item, in the order in which they were submitted. So two items with the same input get
 *    the two results that were paid for, and a third one is submitted.
 * 3. Whether a request has a result is not stored. RunComfy knows.
 */
export class RequestStore {
	private requests: StoredRequest[];
	private withheld: (request: StoredRequest) => boolean = () => false;
	/** Whether there is something to store. */
	isChanged = false;
	/** Whether requests had to be forgotten before their time. */
	hasOverflowed = false;

	/** @param value what `toJson` has returned, or anything else: what cannot be read is left out. */
	constructor(value?: unknown) {
		const entries: unknown[] = Array.isArray(value) ? value : [];
		const requests = entries.flatMap((entry) => readRequest(entry) ?? []);
		const byId = new Map(requests.map((request) => [request.requestId, request]));
		this.requests = [...byId.values()].slice(-MAX_REQUESTS);
	}

	/** Forgets what was submitted longer ago, or in the future. */
	forget(maxAgeMs: number, now: number): void {
		this.keep(({ submittedAt }) => Math.abs(now - submittedAt) <= maxAgeMs);
	}

	/**
	 * The oldest request with this fingerprint that earlier executions have left and this one has not used yet.
	 * From then on it is used.
	 */
	take(fingerprint: string, executionId: string): StoredRequest | undefined {
		const found = this.requests.find(
			(request) =>
				request.fingerprint === fingerprint && request.executionId !== executionId && !this.withheld(request),
		);
		if (found === undefined) return undefined;
		found.executionId = executionId;
		this.isChanged = true;
		return found;
	}

	/** Some requests are not to be used, because the execution has them already. */
	withhold(withheld: (request: StoredRequest) => boolean): void {
		this.withheld = withheld;
	}

	add(request: StoredRequest): void {
		this.requests.push(request);
		if (this.requests.length > MAX_REQUESTS) {
			this.requests.shift();
			this.hasOverflowed = true;
		}
		this.isChanged = true;
	}

	/** It has no result. */
	remove(requestId: string): void {
		this.keep((request) => request.requestId !== requestId);
	}

	/** Plain JSON, and short. */
	toJson(): unknown[] {
		return this.requests.map(({ fingerprint, requestId, submittedAt, executionId, seeds }) => [
			...[fingerprint, requestId, submittedAt, executionId],
			...(Object.keys(seeds).length === 0 ? [] : [seeds]),
		]);
	}

	private keep(isKept: (request: StoredRequest) => boolean): void {
		const kept = this.requests.filter(isKept);
		if (kept.length === this.requests.length) return;
		this.requests = kept;
		this.isChanged = true;
	}
}

function readRequest(value: unknown): StoredRequest | undefined {
	const [fingerprint, id, submittedAt, executionId, seeds = {}]: unknown[] = Array.isArray(value)
		? value
		: [];
	// It becomes part of an address.
	const requestId = typeof id === 'string' ? readRequestId(id) : undefined;
	if (typeof fingerprint !== 'string' || fingerprint === '') return undefined;
	if (requestId === undefined) return undefined;
	if (typeof submittedAt !== 'number' || typeof executionId !== 'string' || !isSeeds(seeds)) return undefined;
	return { fingerprint, requestId, submittedAt, executionId, seeds };
}

function isSeeds(value: unknown): value is Seeds {
	return isJsonObject(value) && Object.values(value).every((seed) => typeof seed === 'number');
}
