import type { JsonObject } from './json';
import { describeNoAnswer, unreachableProblem } from './problems';
import {
	readCancel,
	readLook,
	readSubmit,
	type CancelAnswer,
	type LookAnswer,
	type SubmitAnswer,
} from './responses';
import { NoAnswerError, type ApiAnswer, type ApiRequest, type Send } from './transport';

/** How long one call may take, in milliseconds. */
export interface CallTimeouts {
	/** A paid POST is given long: to break it off is to lose the request id. */
	submitMs: number;
	lookMs: number;
	cancelMs: number;
}

export const DEFAULT_CALL_TIMEOUTS: CallTimeouts = { submitMs: 60_000, lookMs: 30_000, cancelMs: 5_000 };

export interface LookOptions {
	timeoutMs?: number;
	signal?: AbortSignal;
}

/**
 * RunComfy's Model API over HTTP: one method a call, one attempt each. It knows nothing of n8n and of no particular
 * model, and it decides nothing: every method resolves to what the answer, or its absence, means.
 */
export class RunComfyClient {
	/**
	 * @param baseUrl checked and without a slash at its end; nothing is ever sent elsewhere.
	 * @param now milliseconds, for dates in Retry-After.
	 */
	constructor(
		private readonly baseUrl: string,
		private readonly send: Send,
		private readonly now: () => number,
		private readonly timeouts: CallTimeouts = DEFAULT_CALL_TIMEOUTS,
	) {}

	/**
	 * Submits a job: the one call that costs money. The body is the input object itself (documented).
	 * @param modelId its slashes are path segments (documented).
	 * @param signal breaks the call off; the outcome is then in doubt.
	 */
	async submit(modelId: string, input: JsonObject, signal?: AbortSignal): Promise<SubmitAnswer> {
		const path = modelId.split('/').map(encodeURIComponent).join('/');
		const answer = await this.call('POST', `/v1/models/${path}`, this.timeouts.submitMs, signal, input);
		if (!(answer instanceof NoAnswerError)) return readSubmit(answer, this.now());
		if (answer.reason === 'unreachable') return { kind: 'unreachable', error: answer };
		if (answer.reason === 'untrusted') return { kind: 'refused', problem: unreachableProblem(answer) };
		return { kind: 'inDoubt', why: describeNoAnswer(answer) };
	}

	/** One free look at the state and, once done, the result. Never rejects for a fault of the network. */
	async getResult(requestId: string, includeCost: boolean, options: LookOptions = {}): Promise<LookAnswer> {
		return await this.look(requestId, `/result${includeCost ? '?include_cost=true' : ''}`, options);
	}

	/** One free look at the state, with the place in the queue while there is one. */
	async getStatus(requestId: string, options: LookOptions = {}): Promise<LookAnswer> {
		return await this.look(requestId, '/status', options);
	}

	/** Asks to cancel a job, which RunComfy does only while it is queued. */
	async cancel(requestId: string, signal?: AbortSignal): Promise<CancelAnswer> {
		const path = `/v1/requests/${encodeURIComponent(requestId)}/cancel`;
		const answer = await this.call('POST', path, this.timeouts.cancelMs, signal);
		if (answer instanceof NoAnswerError) return { kind: 'again', why: describeNoAnswer(answer) };
		return readCancel(answer, requestId);
	}

	private async look(requestId: string, path: string, options: LookOptions): Promise<LookAnswer> {
		const timeoutMs = Math.min(options.timeoutMs ?? Infinity, this.timeouts.lookMs);
		const answer = await this.call(
			'GET',
			`/v1/requests/${encodeURIComponent(requestId)}${path}`,
			timeoutMs,
			options.signal,
		);
		if (!(answer instanceof NoAnswerError)) return readLook(answer, requestId, this.now());
		if (answer.reason === 'untrusted') {
			return { kind: 'refused', problem: unreachableProblem(answer, requestId) };
		}
		return { kind: 'again', why: describeNoAnswer(answer), tooMany: false, retryAfterMs: undefined };
	}

	private async call(
		method: ApiRequest['method'],
		path: string,
		timeoutMs: number,
		signal?: AbortSignal,
		body?: JsonObject,
	): Promise<ApiAnswer | NoAnswerError> {
		try {
			return await this.send({
				method,
				url: `${this.baseUrl}${path}`,
				timeoutMs,
				...(body === undefined ? {} : { body }),
				...(signal === undefined ? {} : { signal }),
			});
		} catch (error) {
			// Anything a transport throws unasked counts as a lost connection: for a paid POST the careful reading.
			return error instanceof NoAnswerError ? error : new NoAnswerError('lost');
		}
	}
}
