import type { Signal } from '../util/time';
import { isJsonObject, type JsonObject } from './json';

/** One call of RunComfy's API. */
export interface ApiRequest {
	method: 'GET' | 'POST';
	/** Absolute, and always below one of the credential's base URLs, because the call carries the token. */
	url: string;
	body?: JsonObject;
	timeoutMs: number;
	/** Aborts the call. The signal of a paid POST is aborted only some time after Stop. */
	signal?: Signal;
}

/** The server's answer, of any status. Nothing in it has been checked yet. */
export interface ApiAnswer {
	status: number;
	/** As received, with names in lower case. Nothing but Retry-After is read, and nothing of them is shown. */
	headers: Record<string, unknown>;
	/** Parsed JSON where the body was JSON, else its text. */
	body: unknown;
}

/** An answer as it is read: its headers say only when to call again. */
export type Answered = Pick<ApiAnswer, 'status' | 'body'> & { retryAfterMs?: number };

/** True for an HTTP status of an error that may be gone when the same call is made again. */
export function isTransientStatus(status: number): boolean {
	return status >= 500 || [408, 425, 429].includes(status);
}

/**
 * Reads a Retry-After header: seconds or an HTTP date [assumed: RunComfy sends one as HTTP defines it].
 * @returns milliseconds from `now`; undefined when the header is missing or cannot be read.
 */
export function readRetryAfterMs(headers: ApiAnswer['headers'], now: number): number | undefined {
	const raw = headers['retry-after'];
	const text = String(Array.isArray(raw) ? raw[0] : (raw ?? '')).trim();
	if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
	const date = /[a-z]/i.test(text) ? Date.parse(text) : NaN;
	return Number.isNaN(date) ? undefined : Math.max(0, date - now);
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
const UNREACHABLE_CODES = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN)$/;
const UNTRUSTED_CODES = /^(CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/;
const TIMEOUT_CODES = /^(ETIMEDOUT|ECONNABORTED|ESOCKETTIMEDOUT|UND_ERR_HEADERS_TIMEOUT)$/;

/** What a network error code means for the request. An unknown or missing code counts as `lost`. */
export function noAnswerReason(code = ''): NoAnswerReason {
	if (code === 'ERR_CANCELED') return 'stopped';
	if (UNREACHABLE_CODES.test(code)) return 'unreachable';
	if (UNTRUSTED_CODES.test(code)) return 'untrusted';
	return TIMEOUT_CODES.test(code) ? 'timeout' : 'lost';
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
