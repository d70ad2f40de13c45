import { StoppedError } from '../util/errors';
import { retry } from '../util/retry';
import type { Clock, Random, Signal } from '../util/time';
import { cached } from '../util/values';
import {
	type Answer,
	type ApiReader,
	type CallOptions,
	type Query,
	readCancel,
	readPoll,
	readQuery,
	readSubmit,
	type RequestApi,
	type SubmitAnswer,
	type SubmitOptions,
} from './answers';
import { type Answered, type ApiRequest, NoAnswerError, readRetryAfterMs, type Send } from './call';
import type { JsonObject } from './json';
import { aboutRequest, describeNoAnswer, RunComfyError, type Subject, unreachableProblem } from './problems';

/** How long one call may take, in milliseconds. */
export interface CallTimeouts {
	/** Of a paid POST. Long, because aborting it may lose the request ID. The time for the upload is added to it. */
	submitMs: number;
	pollMs: number;
	cancelMs: number;
}

export const DEFAULT_CALL_TIMEOUTS: CallTimeouts = { submitMs: 60_000, pollMs: 30_000, cancelMs: 5_000 };

/** The slowest upload that the timeout allows for, in bytes per millisecond. */
const MIN_UPLOAD_RATE = 50;

/** The base URLs of RunComfy's APIs: checked, and without a trailing slash. Nothing is ever sent elsewhere. */
export interface ApiAddresses {
	baseUrl: string;
	/** Of the balance and of deployments, which RunComfy runs on another host. */
	platformBaseUrl: string;
}

/**
 * RunComfy's APIs over HTTP. Each method makes one call, and makes it once: retries are up to the caller. It resolves to
 * the meaning of the answer, or of its absence, and never rejects because of a network error.
 */
export class Http {
	/** @param now the time of day in milliseconds, to read dates in Retry-After. */
	constructor(
		readonly addresses: ApiAddresses,
		private readonly send: Send,
		private readonly now: () => number,
		private readonly timeouts: CallTimeouts = DEFAULT_CALL_TIMEOUTS,
	) {}

	/** The paid POST. After an abort by its signal, its outcome is unknown. */
	async submit(
		url: string,
		body: JsonObject,
		reader: ApiReader,
		options?: SubmitOptions,
	): Promise<SubmitAnswer> {
		const timeoutMs = this.timeouts.submitMs + Math.ceil(bytesOfTexts(body) / MIN_UPLOAD_RATE);
		// An ID that is a number may be longer than what a number holds.
		const call = { method: 'POST', url, timeoutMs, body, keepsDigits: true, ...options } as const;
		const answer = await this.call(call);
		if (!(answer instanceof NoAnswerError)) return readSubmit(answer, reader);
		if (answer.reason === 'unreachable') return { kind: 'unsent', error: answer };
		if (answer.isPermanent) return { kind: 'refused', problem: unreachableProblem(answer) };
		return { kind: 'unknown', why: describeNoAnswer(answer) };
	}

	/**
	 * The free calls about requests, which both APIs have: `/requests/<ID>/result`, `/status`, and `/cancel`.
	 * @param base what comes before `/requests`.
	 */
	requests(base: string, reader: ApiReader): Pick<RequestApi, 'getResult' | 'getStatus' | 'cancel'> {
		const { pollMs, cancelMs } = this.timeouts;
		const request = (requestId: string, path: string, maxMs: number, options: CallOptions = {}) => ({
			url: `${base}/requests/${encodeURIComponent(requestId)}/${path}`,
			timeoutMs: Math.min(options.timeoutMs ?? Infinity, maxMs),
			keepsDigits: true,
			signal: options.signal,
		});
		const poll = async (requestId: string, path: string, options?: CallOptions) => {
			const call = { method: 'GET', ...request(requestId, path, pollMs, options) } as const;
			return await this.free(call, aboutRequest(requestId), (answer) => readPoll(answer, requestId, reader));
		};
		return {
			getResult: async (requestId, options) =>
				await poll(requestId, options?.includeCost === true ? 'result?include_cost=true' : 'result', options),
			getStatus: async (requestId, options) => await poll(requestId, 'status', options),
			cancel: async (requestId, options) => {
				const call = { method: 'POST', ...request(requestId, 'cancel', cancelMs, options) } as const;
				return await this.free(call, aboutRequest(requestId), (answer) =>
					readCancel(answer, requestId, reader),
				);
			},
		};
	}

	/** A free query of the catalog, the account, or the deployments. */
	async query<T>(query: Query<T>, signal?: Signal): Promise<Answer<T>> {
		const call = { method: 'GET', url: query.url, timeoutMs: this.timeouts.pollMs, signal } as const;
		const answer = await this.free(call, query, (received) => readQuery(received, query));
		return answer.kind === 'transient' ? { ...answer, why: `${query.what}: ${answer.why}` } : answer;
	}

	private async free<T>(
		request: ApiRequest,
		about: Subject,
		read: (answer: Answered) => Answer<T>,
	): Promise<Answer<T>> {
		const answer = await this.call(request);
		if (!(answer instanceof NoAnswerError)) return read(answer);
		if (answer.isPermanent) return { kind: 'refused', problem: unreachableProblem(answer, about) };
		return { kind: 'transient', why: describeNoAnswer(answer), tooMany: false, retryAfterMs: undefined };
	}

	private async call(request: ApiRequest): Promise<Answered | NoAnswerError> {
		try {
			const { status, body, headers } = await this.send(request);
			return { status, body, retryAfterMs: readRetryAfterMs(headers, this.now()) };
		} catch (error) {
			// Any other error counts as a lost connection: a paid POST may then have been accepted, and is not sent again.
			const { reason, code } = error instanceof NoAnswerError ? error : new NoAnswerError('lost');
			const isBase = request.url.startsWith(`${this.addresses.baseUrl}/`);
			return new NoAnswerError(reason, code, isBase ? 'Base URL' : 'Platform Base URL');
		}
	}
}

/** The approximate size of a value as JSON, in bytes: only its texts count, because they include the files. */
function bytesOfTexts(value: unknown): number {
	if (typeof value === 'string') return value.length;
	if (typeof value !== 'object' || value === null) return 0;
	return Object.values(value).reduce<number>((sum, part) => sum + bytesOfTexts(part), 0);
}

/**
 * Makes a free query, and repeats it after transient errors. What it has read, it does not read again; it does not outlive an
 * execution, because the next one may use another account, and prices may change.
 * @throws RunComfyError, StoppedError.
 */
export type FreeQuery = <T>(queryOf: (http: Http) => Query<T>) => Promise<T>;

/**
 * @param tools with `stopSignal`, n8n's Stop; undefined where the host has none. When RunComfy asks for a pause that ends more
 * than `patienceMs` after the first call, there is no retry.
 */
export function createFreeQuery(tools: {
	http: Http;
	clock: Clock;
	random: Random;
	stopSignal: Signal | undefined;
	patienceMs: number;
}): FreeQuery {
	const { http, clock, random, stopSignal, patienceMs } = tools;
	const known = new Map<string, Promise<unknown>>();
	const read = async <T>(query: Query<T>): Promise<T> => {
		const deadline = clock.now() + patienceMs;
		const answer = await retry(
			async () => {
				const received = await http.query(query, stopSignal);
				if (received.kind !== 'ok' && stopSignal?.aborted === true) throw new StoppedError('');
				return received;
			},
			(received) =>
				received.kind === 'transient' && clock.now() + (received.retryAfterMs ?? 0) <= deadline
					? received
					: undefined,
			{ random, pause: async (ms) => await clock.sleep(ms, stopSignal) },
		);
		if (answer.kind === 'ok') return answer.value;
		if (answer.kind === 'refused') throw new RunComfyError(answer.problem);
		throw new RunComfyError({ message: answer.why, advice: 'Nothing was submitted. Try again later.' });
	};
	return async <T>(queryOf: (http: Http) => Query<T>) => {
		const query = queryOf(http);
		// An address has one reader.
		return await (cached(known, query.url, async () => await read(query)) as Promise<T>);
	};
}
