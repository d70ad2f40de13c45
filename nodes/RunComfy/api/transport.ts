import { isJsonObject, type JsonObject } from './json';

/** One call of RunComfy's API. */
export interface ApiRequest {
	method: 'GET' | 'POST';
	/** Absolute; always below the credential's base URL, because the token goes along. */
	url: string;
	body?: JsonObject;
	timeoutMs: number;
	/** Breaks the call off. A paid POST is given one that Stop does not trip at once. */
	signal?: AbortSignal;
}

/** Whatever the server answered, of any status: nothing about it has been believed yet. */
export interface ApiAnswer {
	status: number;
	/** Names in lower case. */
	headers: Record<string, unknown>;
	/** Parsed JSON where the body was JSON, else its text. */
	body: unknown;
}

/**
 * Sends one call. Resolves on every HTTP status and rejects, with a `NoAnswerError`, only when there was no complete
 * answer; so the decision whether to ask again lies with the caller, who knows what it would cost.
 */
export type Send = (request: ApiRequest) => Promise<ApiAnswer>;

/**
 * Why there was no answer.
 * - `unreachable`: nothing was sent: the name did not resolve or the connection was refused. May pass.
 * - `untrusted`: nothing was sent: the server's certificate was not accepted. Does not pass by itself.
 * - `timeout`, `lost`: something may have been sent and acted on.
 * - `stopped`: broken off from our side.
 */
export type NoAnswerReason = 'unreachable' | 'untrusted' | 'timeout' | 'lost' | 'stopped';

export class NoAnswerError extends Error {
	override readonly name = 'NoAnswerError';

	constructor(
		readonly reason: NoAnswerReason,
		/** Node's error code, such as ECONNRESET; for an error's description, never for its message. */
		readonly code?: string,
	) {
		super(`No answer: ${reason}`);
	}
}

/** Codes that Node reports before a byte of the request has left. */
const UNREACHABLE_CODES = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN']);
const UNTRUSTED_CODES = /^(CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/;
const TIMEOUT_CODES = new Set(['ETIMEDOUT', 'ECONNABORTED', 'ESOCKETTIMEDOUT', 'UND_ERR_HEADERS_TIMEOUT']);

/** What a network error code says about whether the request left. An unknown or missing code counts as `lost`. */
export function noAnswerReason(code: string | undefined): NoAnswerReason {
	if (code === undefined) return 'lost';
	if (code === 'ERR_CANCELED') return 'stopped';
	if (UNREACHABLE_CODES.has(code)) return 'unreachable';
	if (UNTRUSTED_CODES.test(code)) return 'untrusted';
	return TIMEOUT_CODES.has(code) ? 'timeout' : 'lost';
}

/** Errors come wrapped in errors; no chain of them is longer than this. */
const MAX_CAUSES = 6;

/** Node's or axios's code of a failed request, wherever n8n has put it in the error that it throws. */
export function networkCodeOf(error: unknown): string | undefined {
	let level: unknown = error;
	for (let depth = 0; depth < MAX_CAUSES && isJsonObject(level); depth++) {
		if (typeof level.code === 'string') return level.code;
		level = level.cause ?? level.errorResponse ?? level.error;
	}
	return undefined;
}
