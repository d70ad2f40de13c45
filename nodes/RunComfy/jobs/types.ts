import type { CallOptions, PollOptions } from '../api/client';
import type { JsonObject } from '../api/json';
import type { Problem } from '../api/problems';
import type { CancelAnswer, PollAnswer, SubmitAnswer } from '../api/responses';
import type { Signal } from '../util/time';

/** What the queue needs of whatever runs requests at RunComfy. */

/** Requests that have been submitted. */
export interface RequestApi {
	/** Whether RunComfy also cancels a request that is already running. */
	readonly cancelsRunning: boolean;
	/** Where a person finds these requests at RunComfy, as part of a sentence. */
	readonly requestsPage: string;
	/** One poll: the state and, once the request has finished, its result. Free. Never rejects. */
	getResult(requestId: string, options?: PollOptions): Promise<PollAnswer>;
	/** One poll: the state, with the position in the queue. Free. Never rejects. */
	getStatus(requestId: string, options?: CallOptions): Promise<PollAnswer>;
	cancel(requestId: string, options?: CallOptions): Promise<CancelAnswer>;
	/** What to log, besides for debugging, whenever the state of a request changes while it is waited for. */
	describeProgress?(state: PendingState): string;
	/** Describes a request that failed or was cancelled. */
	endedProblem(requestId: string, state: EndedState): Problem;
}

type PolledState = Extract<PollAnswer, { kind: 'state' }>;
export type EndedState = Pick<PolledState, 'status' | 'phase' | 'error'>;
export type PendingState = Pick<PolledState, 'status' | 'phase' | 'queuePosition'>;

/** What requests are submitted to. */
export interface Endpoint extends RequestApi {
	/** Unique among all endpoints. The ledger keeps it, and errors about the spending limit show it. */
	readonly id: string;
	/**
	 * The paid POST, sent once.
	 * @param signal aborts it; the outcome is then unknown.
	 */
	submit(input: JsonObject, signal?: Signal): Promise<SubmitAnswer>;
}
