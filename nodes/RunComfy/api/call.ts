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
	/** Numbers that JavaScript does not hold exactly come as texts: those of results are data. */
	keepsDigits?: boolean;
	/** Asked once more right before the request is handed over; when false, nothing is sent. */
	mayLeave?: () => boolean;
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
 * - `unreachable`: nothing was sent, because there was no connection. A transient error.
 * - `heldBack`: nothing was sent, because n8n did not hand the request over. A permanent error.
 * - `untrusted`: nothing was sent, because the server's certificate was not accepted. A permanent error.
 * - `timeout`, `lost`: the request may have been received and processed.
 * - `stopped`: this node aborted the call.
 */
export type NoAnswerReason = 'unreachable' | 'heldBack' | 'untrusted' | 'timeout' | 'lost' | 'stopped';

export class NoAnswerError extends Error {
	override readonly name = 'NoAnswerError';
	constructor(
		readonly reason: NoAnswerReason,
		/** Node's error code, such as ECONNRESET. It belongs in the description of an error, never in its message. */
		readonly code?: string,
		/** The field of the credential that holds the address of the call. */
		readonly field = 'Base URL',
	) {
		super(`No answer: ${reason}`);
	}

	/** True where nothing was sent, and nothing would be by another try. */
	get isPermanent(): boolean {
		return this.reason === 'untrusted' || this.reason === 'heldBack';
	}
}

/** Codes that Node reports only before there is a connection. */
const UNREACHABLE_CODES = /^(ECONNREFUSED|ENOTFOUND|EAI_\w+)$/;
/** What Node was about to do when there was no connection yet. */
const BEFORE_CONNECTION = /^(connect|bind|socket|getaddrinfo|query\w*)$/;
const UNTRUSTED_CODES = /^(CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/;
const TIMEOUT_CODES = /^(ETIMEDOUT|ECONNABORTED|ESOCKETTIMEDOUT|UND_ERR_HEADERS_TIMEOUT)$/;

/** What n8n throws before it hands the request over: a credential that it cannot decrypt, or an address that it blocks. */
const HELD_BACK = /could not be decrypted|was blocked because .* restricted/;
/** What an HTTP client says of a proxy that has not opened a way to the server. */
const NO_TUNNEL = /before receiving CONNECT response/;

/** n8n wraps errors in errors; longer chains are not followed. */
const MAX_CAUSES = 6;

/** The errors in an error: n8n, axios, and Node put the reason at different places of it. */
function* causesOf(error: unknown): Generator<JsonObject> {
	let level: unknown = error;
	for (let depth = 0; depth < MAX_CAUSES && isJsonObject(level); depth++) {
		yield level;
		level = level.cause ?? level.errorResponse ?? level.error;
	}
}

/** Node's or axios's code for a failed request. */
export function networkCodeOf(error: unknown): string | undefined {
	for (const { code } of causesOf(error)) if (typeof code === 'string') return code;
	return undefined;
}

/**
 * Why a call that failed has no answer. Only where nothing of the request can have left this machine is it
 * `unreachable` or `untrusted`; whatever is not recognized counts as `lost`.
 */
export function noAnswerOf(error: unknown): NoAnswerError {
	const code = networkCodeOf(error);
	const causes = [...causesOf(error)];
	const says = (pattern: RegExp) => causes.some(({ message }) => pattern.test(String(message)));
	if (code === 'ERR_CANCELED') return new NoAnswerError('stopped', code);
	if (says(HELD_BACK)) return new NoAnswerError('heldBack', code);
	if (says(NO_TUNNEL) || wasNotConnected(causes)) return new NoAnswerError('unreachable', code);
	if (UNTRUSTED_CODES.test(code ?? '')) return new NoAnswerError('untrusted', code);
	return new NoAnswerError(TIMEOUT_CODES.test(code ?? '') ? 'timeout' : 'lost', code);
}

/**
 * True for errors before there was a connection. The one that says what Node was about to do decides: the same code may
 * come after the request was sent. Several errors are those of a host's several addresses.
 */
function wasNotConnected(causes: JsonObject[]): boolean {
	for (const { errors } of causes) {
		if (!Array.isArray(errors) || errors.length === 0) continue;
		return errors.every((one: unknown) => wasNotConnected([...causesOf(one)]));
	}
	const { syscall } = causes.find((cause) => typeof cause.syscall === 'string') ?? {};
	if (typeof syscall === 'string') return BEFORE_CONNECTION.test(syscall);
	return causes.some(({ code }) => UNREACHABLE_CODES.test(String(code)));
}
