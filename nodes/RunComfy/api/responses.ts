import { type FileKind, kindByName } from '../files/fileTypes';
import { omitUndefined } from '../util/values';
import { isJsonObject, type JsonObject, numberOf, textOf } from './json';
import {
	describeUnreadable,
	errorCodeOf,
	type ErrorCodes,
	isNotFound,
	isTransient,
	type Problem,
	reasonOf,
	refusedProblem,
	wasNotAccepted,
} from './problems';
import { type ApiAnswer, isSuccess, type NoAnswerError } from './transport';

/**
 * Pure readers of RunComfy's answers.
 *
 * Two marks in this code say where a fact about RunComfy comes from:
 * - (documented): RunComfy's documentation of its Model API states it;
 * - [assumed]: RunComfy's documentation does not state it. It was seen in RunComfy's own clients or other APIs, or is the
 *   most likely reading, and may be wrong. docs/runcomfy-assumptions.md lists what depends on it.
 */

/** Far longer than any ID that has been seen. */
const MAX_REQUEST_ID_LENGTH = 1_000;

/**
 * A request ID in any form that can be encoded into a path. IDs are opaque, and a rejected one belongs to a request that
 * has been paid for.
 * @returns undefined for what cannot be an ID, and for `.` and `..`, which a URL parser would resolve.
 */
export function readRequestId(value: unknown): string | undefined {
	// A larger number has lost digits when its JSON was read.
	const id = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
	if (typeof id !== 'string' || id.trim() === '' || id.length > MAX_REQUEST_ID_LENGTH) return undefined;
	const trimmed = id.trim();
	return canBeEncoded(trimmed) && !/^\.{1,2}$/.test(trimmed) ? trimmed : undefined;
}

function canBeEncoded(text: string): boolean {
	try {
		return encodeURIComponent(text) !== '';
	} catch {
		// Half of a surrogate pair.
		return false;
	}
}

/** An unusable request ID, made safe for an error message and the log. */
function showUnusableId(value: unknown): string {
	const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
	return text.slice(0, 200).replace(/[\p{Cc}\p{Cs}]+/gu, ' ');
}

export type Phase = 'queued' | 'running' | 'finished' | 'failed' | 'cancelled' | 'unknown';

/**
 * Status words in lower case: `in_queue`, `in_progress`, `completed`, `succeeded`, `failed`, and `cancelled` (documented),
 * the others [assumed].
 */
const PHASES = new Map<string, Phase>([
	['in_queue', 'queued'],
	['queued', 'queued'],
	['pending', 'queued'],
	['waiting', 'queued'],
	['in_progress', 'running'],
	['starting', 'running'],
	['processing', 'running'],
	['completed', 'finished'],
	['succeeded', 'finished'],
	['failed', 'failed'],
	['error', 'failed'],
	['cancelled', 'cancelled'],
	['canceled', 'cancelled'],
]);

/** What a status word means; `unknown` for every other word. */
export function phaseOf(status: string): Phase {
	return PHASES.get(status.toLowerCase()) ?? 'unknown';
}

/** What the output of a job holds: all URLs by their kind, and the first URL of each kind. */
export interface JobOutput {
	image?: string;
	images: string[];
	video?: string;
	videos: string[];
	audio?: string;
	audios: string[];
	/** URLs in other parts of the output. They may be files or repeated inputs. */
	otherUrls: string[];
}

/** The result of a finished job. */
export interface JobResult {
	requestId: string;
	/** As RunComfy reported it, of any shape; undefined when there was none. */
	output?: unknown;
	/** In USD; only when it was requested and is known. */
	cost?: number;
	createdAt?: string;
	finishedAt?: string;
}

export type SubmitAnswer =
	| { kind: 'accepted'; requestId: string }
	/** Certainly not accepted; a later submit may be. */
	| { kind: 'busy'; retryAfterMs: number | undefined }
	/** The request never left this machine. */
	| { kind: 'unreachable'; error: NoAnswerError }
	| { kind: 'refused'; problem: Problem }
	/** It may have been accepted, and is never sent again. `why` completes “it is not known … :”. */
	| { kind: 'outcomeUnknown'; why: string; httpStatus?: number; requestId?: string };

export type PollAnswer =
	/** `status` is RunComfy's status word in lower case. */
	| {
			kind: 'state';
			status: string;
			phase: Phase;
			queuePosition?: number;
			/** Why it failed, as RunComfy reports it. */
			error?: unknown;
			result: JobResult;
	  }
	/** A transient error: polling again costs nothing. */
	| {
			kind: 'again';
			why: string;
			tooMany: boolean;
			retryAfterMs: number | undefined;
			/** The server is well, but its answer holds no state. */
			hasNoState?: true;
	  }
	| { kind: 'notFound'; problem: Problem }
	| { kind: 'refused'; problem: Problem };

/**
 * Reads a Retry-After header: seconds or an HTTP date [assumed: RunComfy sends one as HTTP defines it].
 * @returns milliseconds from `now`; undefined when the header is missing or cannot be read.
 */
export function readRetryAfterMs(headers: Record<string, unknown>, now: number): number | undefined {
	const raw = headers['retry-after'];
	const text = String(Array.isArray(raw) ? raw[0] : (raw ?? '')).trim();
	if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
	const date = /[a-z]/i.test(text) ? Date.parse(text) : NaN;
	return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Reads the answer to a paid POST. The outcome is unknown unless the answer clearly accepts or refuses the request. */
export function readSubmit(answer: ApiAnswer, now: number, codes?: ErrorCodes): SubmitAnswer {
	const { body, status } = answer;
	const requestId = isSuccess(answer) && isJsonObject(body) ? readRequestId(body.request_id) : undefined;
	if (requestId !== undefined) return { kind: 'accepted', requestId };
	// An ID in an unexpected place is not used, but the error names it.
	const mentioned = findRequestId(body);
	if (mentioned === undefined) {
		if (status === 429) return { kind: 'busy', retryAfterMs: readRetryAfterMs(answer.headers, now) };
		if (wasNotAccepted(answer, codes)) {
			return { kind: 'refused', problem: refusedProblem(answer, undefined, codes) };
		}
	}
	const isReadable = isSuccess(answer) && errorCodeOf(body) === undefined;
	const reason = reasonOf(body);
	const withReason = `it answered with HTTP ${status}${reason === undefined ? '' : ` (“${reason}”)`}`;
	const why = isReadable ? explainMissingId(body, answer) : withReason;
	return {
		kind: 'outcomeUnknown',
		why: mentioned === undefined ? why : `${why}, and named the request ${mentioned}`,
		httpStatus: status,
		...omitUndefined({ requestId: mentioned }),
	};
}

/** Texts from outside are cut to this before patterns are applied to them. */
const MAX_SEARCHED_LENGTH = 20_000;

/** A request ID anywhere in an answer: under another key, in a URL, or in truncated JSON. */
function findRequestId(body: unknown): string | undefined {
	const text = (typeof body === 'string' ? body : (safeStringify(body) ?? '')).slice(0, MAX_SEARCHED_LENGTH);
	const named =
		/"request_id"\s*:\s*"([^"\\]{1,200})"/.exec(text) ?? /"request_id"\s*:\s*(\d{1,200})/.exec(text);
	return readRequestId((named ?? /\/requests\/([\w.~%-]{1,200})/.exec(text))?.[1]);
}

function safeStringify(value: unknown): string | undefined {
	try {
		return JSON.stringify(value);
	} catch {
		return undefined;
	}
}

function explainMissingId(body: unknown, answer: ApiAnswer): string {
	if (!isJsonObject(body)) return describeUnreadable(answer);
	if (body.request_id === undefined || body.request_id === null) return 'its answer holds no request ID';
	return `its answer holds a request ID that cannot be used, “${showUnusableId(body.request_id)}”`;
}

/** The result is not ready yet [assumed: RunComfy's own clients expect this code]. */
const NOT_READY_CODE = '400005';

/**
 * Status words that mean the end of a request even when the answer has an error code. `error` does not: with a code it may
 * be an error of the server, and the request may still be running.
 */
const FINAL_STATUSES = new Set(['completed', 'succeeded', 'failed', 'cancelled', 'canceled']);

/** Reads the answer to a poll of `/status` or `/result`. */
export function readPoll(answer: ApiAnswer, requestId: string, now: number, codes?: ErrorCodes): PollAnswer {
	const { body, status } = answer;
	const again = (why: string, hasNoState?: true): PollAnswer => ({
		kind: 'again',
		why,
		tooMany: status === 429,
		retryAfterMs: readRetryAfterMs(answer.headers, now),
		...omitUndefined({ hasNoState }),
	});
	const code = errorCodeOf(body);
	const word = isSuccess(answer) && isJsonObject(body) ? textOf(body, 'status')?.toLowerCase() : undefined;
	const isState = word !== undefined && (code === undefined || FINAL_STATUSES.has(word));
	if (isState && isJsonObject(body)) {
		return {
			kind: 'state',
			status: word,
			phase: phaseOf(word),
			...omitUndefined({ queuePosition: numberOf(body, 'queue_position') }),
			error: body.error ?? body.error_message,
			result: readResult(requestId, body),
		};
	}
	if (code === NOT_READY_CODE) return again('it is not ready yet', true);
	if (isTransient(answer)) {
		return again(status < 300 ? 'it reported an internal error' : `it answered with HTTP ${status}`);
	}
	if (isSuccess(answer) && code === undefined) return again(describeUnreadable(answer), true);
	const problem = refusedProblem(answer, requestId, codes);
	return { kind: isNotFound(answer) ? 'notFound' : 'refused', problem };
}

/**
 * Reads the output of a job. Only URLs in `output` count, because the rest of an answer may repeat the inputs. URLs under
 * `image`, `images`, and so on (documented) are files, given as strings or as objects with a `url`. When the output is a
 * single URL or a list of URLs [assumed], their file extensions decide the kind.
 */
export function readOutput(output: unknown): JobOutput {
	const fields = isJsonObject(output) ? output : sortByKind(urlsOf(output));
	const images = urlsOf(fields.image, fields.images);
	const videos = urlsOf(fields.video, fields.videos);
	const audios = urlsOf(fields.audio, fields.audios);
	const files = new Set([...images, ...videos, ...audios]);
	return {
		...omitUndefined({
			image: images[0],
			video: videos[0],
			audio: audios[0],
		}),
		images,
		videos,
		audios,
		otherUrls: findUrls(output).filter((url) => !files.has(url)),
	};
}

/** A URL whose name does not say what it is counts as an image. */
function sortByKind(urls: string[]): JsonObject {
	const kindOf = (url: string) => kindByName(url.replace(/[?#].*$/s, '')) ?? 'image';
	const ofKind = (kind: FileKind) => urls.filter((url) => kindOf(url) === kind);
	return { images: ofKind('image'), videos: ofKind('video'), audios: ofKind('audio') };
}

/** The URLs in values, lists of values, or objects with a `url`, without duplicates. */
function urlsOf(...values: unknown[]): string[] {
	const urls = values.flat().map((value) => (isJsonObject(value) ? value.url : value));
	return [...new Set(urls.filter(isUrl))];
}

function isUrl(value: unknown): value is string {
	return typeof value === 'string' && /^https?:\/\//i.test(value);
}

const MAX_OTHER_URLS = 100;
const MAX_DEPTH = 8;

/** Every URL in a value, up to `MAX_DEPTH` levels deep, without duplicates. */
function findUrls(value: unknown, depth = 0): string[] {
	if (isUrl(value)) return [value];
	if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return [];
	const found = Object.values(value).flatMap((part) => findUrls(part, depth + 1));
	return [...new Set(found)].slice(0, MAX_OTHER_URLS);
}

/**
 * Reads the result of a finished job. What RunComfy did not report is left out.
 * @param output the part of the body that holds it.
 */
export function readResult(requestId: string, body: JsonObject, output: unknown = body.output): JobResult {
	return {
		requestId,
		...omitUndefined({
			output: output ?? undefined,
			cost: readCost(body.cost),
			createdAt: textOf(body, 'created_at'),
			finishedAt: textOf(body, 'finished_at'),
		}),
	};
}

/** A cost in USD. A negative one is ignored, because it would raise a spending limit. */
function readCost(value: unknown): number | undefined {
	const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
	return typeof number === 'number' && Number.isFinite(number) && number >= 0 ? number : undefined;
}

export type CancelAnswer =
	/** RunComfy's `outcome`: `cancelled`, `not_cancellable` (documented), or `cancellation_requested` [assumed]. */
	| { kind: 'outcome'; outcome: string }
	/** A transient error: a cancel may be sent again. */
	| { kind: 'again'; why: string; tooMany: boolean; retryAfterMs: number | undefined }
	| { kind: 'notFound'; problem: Problem }
	| { kind: 'refused'; problem: Problem };

/** Reads the answer to a cancel. Only `outcome` counts; `status` in that answer has no meaning [assumed]. */
export function readCancel(
	answer: ApiAnswer,
	requestId: string,
	now: number,
	codes?: ErrorCodes,
): CancelAnswer {
	const { body } = answer;
	const again = (): CancelAnswer => ({
		kind: 'again',
		why: describeUnreadable(answer),
		tooMany: answer.status === 429,
		retryAfterMs: readRetryAfterMs(answer.headers, now),
	});
	const code = errorCodeOf(body);
	if (isSuccess(answer) && code === undefined) {
		const outcome = isJsonObject(body) ? textOf(body, 'outcome') : undefined;
		return outcome === undefined ? again() : { kind: 'outcome', outcome: outcome.toLowerCase() };
	}
	if (isTransient(answer)) return again();
	return {
		kind: isNotFound(answer) ? 'notFound' : 'refused',
		problem: refusedProblem(answer, requestId, codes),
	};
}
