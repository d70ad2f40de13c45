import { StoppedError } from '../util/errors';
import { retry } from '../util/retry';
import type { Clock, Random, Signal } from '../util/time';
import {
	type Answer,
	type ApiReader,
	type CallOptions,
	readCancel,
	readPoll,
	readQuery,
	readSubmit,
	type RequestApi,
	type SubmitAnswer,
} from './answers';
import { isJsonObject, type JsonObject } from './json';
import {
	aboutRequest,
	describeNoAnswer,
	type ErrorCodes,
	RunComfyError,
	type Subject,
	unreachableProblem,
} from './problems';

/** One call of RunComfy's API. */
export interface ApiRequest {
	method: 'GET' | 'POST';
	/** Absolute, and always below one of the credential's base URLs, because the call carries the token. */
	url: string;
	body?: JsonObject | undefined;
	timeoutMs: number;
	/** Aborts the call. The signal of a paid POST is aborted only some time after Stop. */
	signal?: Signal | undefined;
}

/** The server's answer, of any status. Nothing in it has been checked yet. */
export interface ApiAnswer {
	status: number;
	/** As received, with names in lower case. Nothing but Retry-After is read, and nothing of them is shown. */
	headers: Record<string, unknown>;
	/** Parsed JSON where the body was JSON, else its text. */
	body: unknown;
}

/**
 * Sends one call. Resolves for every HTTP status, and rejects with a `NoAnswerError` only when there was no complete
 * answer. The caller decides whether to repeat the call, because only the caller knows what that would cost.
 */
export type Send = (request: ApiRequest) => Promise<ApiAnswer>;

/**
 * Why there was no answer.
 * - `unreachable`: nothing was sent, because the name did not resolve or the connection was refused. A transient error.
 * - `untrusted`: nothing was sent, because the server's certificate was not accepted. A permanent error.
 * - `timeout`, `lost`: the request may have been received and processed.
 * - `stopped`: this node aborted the call.
 */
export type NoAnswerReason = 'unreachable' | 'untrusted' | 'timeout' | 'lost' | 'stopped';

export class NoAnswerError extends Error {
	override readonly name = 'NoAnswerError';

	constructor(
		readonly reason: NoAnswerReason,
		/** Node's error code, such as ECONNRESET. It belongs in the description of an error, never in its message. */
		readonly code?: string,
	) {
		super(`No answer: ${reason}`);
	}
}

/** Codes that Node reports when nothing of the request was sent. */
const UNREACHABLE_CODES = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN']);
const UNTRUSTED_CODES = /^(CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/;
const TIMEOUT_CODES = new Set(['ETIMEDOUT', 'ECONNABORTED', 'ESOCKETTIMEDOUT', 'UND_ERR_HEADERS_TIMEOUT']);

/** What a network error code means for the request. An unknown or missing code counts as `lost`. */
export function noAnswerReason(code: string | undefined): NoAnswerReason {
	if (code === undefined) return 'lost';
	if (code === 'ERR_CANCELED') return 'stopped';
	if (UNREACHABLE_CODES.has(code)) return 'unreachable';
	if (UNTRUSTED_CODES.test(code)) return 'untrusted';
	return TIMEOUT_CODES.has(code) ? 'timeout' : 'lost';
}

/** n8n wraps errors in errors; longer chains are not followed. */
const MAX_CAUSES = 6;

/** Node's or axios's code for a failed request. n8n may put it at different places in the error that it throws. */
export function networkCodeOf(error: unknown): string | undefined {
	let level: unknown = error;
	for (let depth = 0; depth < MAX_CAUSES && isJsonObject(level); depth++) {
		if (typeof level.code === 'string') return level.code;
		level = level.cause ?? level.errorResponse ?? level.error;
	}
	return undefined;
}

/** How long one call may take, in milliseconds. */
export interface CallTimeouts {
	/** Of a paid POST. Long, because aborting it may lose the request ID. The time for the upload is added to it. */
	submitMs: number;
	pollMs: number;
	cancelMs: number;
}

export const DEFAULT_CALL_TIMEOUTS: CallTimeouts = { submitMs: 60_000, pollMs: 30_000, cancelMs: 5_000 };

/** The slowest upload that the timeout allows for, in bytes per second. */
const MIN_UPLOAD_RATE = 50_000;

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

	/**
	 * The paid POST.
	 * @param signal aborts the call; the outcome is then unknown.
	 */
	async submit(url: string, body: JsonObject, reader: ApiReader, signal?: Signal): Promise<SubmitAnswer> {
		const uploadMs = Math.ceil((sizeOf(body) / MIN_UPLOAD_RATE) * 1_000);
		const timeoutMs = this.timeouts.submitMs + uploadMs;
		const answer = await this.call({ method: 'POST', url, timeoutMs, body, signal });
		if (!(answer instanceof NoAnswerError)) return readSubmit(answer, reader, this.now());
		if (answer.reason === 'unreachable') return { kind: 'unsent', error: answer };
		if (answer.reason === 'untrusted') return { kind: 'refused', problem: unreachableProblem(answer) };
		return { kind: 'unknown', why: describeNoAnswer(answer) };
	}

	/**
	 * The free calls about requests, which both APIs have: `/requests/<ID>/result`, `/status`, and `/cancel`.
	 * @param base what comes before `/requests`.
	 */
	requests(base: string, reader: ApiReader): Pick<RequestApi, 'getResult' | 'getStatus' | 'cancel'> {
		const { pollMs, cancelMs } = this.timeouts;
		const call = (requestId: string, path: string, maxMs: number, options: CallOptions = {}) => ({
			url: `${base}/requests/${encodeURIComponent(requestId)}/${path}`,
			timeoutMs: Math.min(options.timeoutMs ?? Infinity, maxMs),
			signal: options.signal,
		});
		const poll = async (requestId: string, path: string, options?: CallOptions) =>
			await this.free(
				{ method: 'GET', ...call(requestId, path, pollMs, options) },
				aboutRequest(requestId),
				(answer) => readPoll(answer, requestId, reader, this.now()),
			);
		return {
			getResult: async (requestId, options) =>
				await poll(requestId, options?.includeCost === true ? 'result?include_cost=true' : 'result', options),
			getStatus: async (requestId, options) => await poll(requestId, 'status', options),
			cancel: async (requestId, options) =>
				await this.free(
					{ method: 'POST', ...call(requestId, 'cancel', cancelMs, options) },
					aboutRequest(requestId),
					(answer) => readCancel(answer, requestId, reader, this.now()),
				),
		};
	}

	/**
	 * A free query of the catalog, the account, or the deployments.
	 * @param what failed if it fails: “The list of models could not be read”.
	 * @param read reads the answer's body; undefined when it does not hold what the query asks for.
	 */
	async query<T>(
		url: string,
		what: string,
		codes: ErrorCodes,
		read: (body: unknown) => T | undefined,
		signal?: Signal,
	): Promise<Answer<T>> {
		const request = { method: 'GET', url, timeoutMs: this.timeouts.pollMs, signal } as const;
		const answer = await this.free(request, { what }, (received) =>
			readQuery(received, { what }, codes, read, this.now()),
		);
		return answer.kind === 'transient' ? { ...answer, why: `${what}: ${answer.why}` } : answer;
	}

	private async free<T>(
		request: ApiRequest,
		about: Subject,
		read: (answer: ApiAnswer) => Answer<T>,
	): Promise<Answer<T>> {
		const answer = await this.call(request);
		if (!(answer instanceof NoAnswerError)) return read(answer);
		if (answer.reason === 'untrusted') return { kind: 'refused', problem: unreachableProblem(answer, about) };
		return { kind: 'transient', why: describeNoAnswer(answer), tooMany: false, retryAfterMs: undefined };
	}

	private async call(request: ApiRequest): Promise<ApiAnswer | NoAnswerError> {
		try {
			return await this.send(request);
		} catch (error) {
			// Any other error counts as a lost connection: a paid POST may then have been accepted, and is not sent again.
			return error instanceof NoAnswerError ? error : new NoAnswerError('lost');
		}
	}
}

/** The approximate size of a value as JSON, in bytes: only its texts count, because they include the files. */
function sizeOf(value: unknown): number {
	if (typeof value === 'string') return value.length;
	if (typeof value !== 'object' || value === null) return 0;
	return Object.values(value).reduce<number>((sum, part) => sum + sizeOf(part), 0);
}

/**
 * Makes a free query, and repeats it after transient errors.
 * @throws RunComfyError, StoppedError.
 */
export type FreeQuery = <T>(
	send: (http: Http, signal: Signal | undefined) => Promise<Answer<T>>,
) => Promise<T>;

interface FreeQueryDependencies {
	http: Http;
	clock: Clock;
	random: Random;
	/** n8n's Stop; undefined where the host has none. */
	stopSignal: Signal | undefined;
}

const MAX_TRIES = 4;

export function createFreeQuery({ http, clock, random, stopSignal }: FreeQueryDependencies): FreeQuery {
	return async (send) => {
		const answer = await retry(
			async () => {
				const received = await send(http, stopSignal);
				if (received.kind !== 'ok' && stopSignal?.aborted === true) throw new StoppedError('');
				return received;
			},
			(received) => (received.kind === 'transient' ? received : undefined),
			{ clock, random, maxTries: MAX_TRIES, pause: async (ms) => await clock.sleep(ms, stopSignal) },
		);
		if (answer.kind === 'ok') return answer.value;
		if (answer.kind === 'refused') throw new RunComfyError(answer.problem);
		throw new RunComfyError({ message: answer.why, advice: 'Nothing was submitted. Try again later.' });
	};
}
