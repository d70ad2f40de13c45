import { isJsonObject, numberOf, textOf, type JsonObject } from './json';
import {
	describeUnreadable,
	errorCodeOf,
	explainAnswer,
	isPassing,
	refusedProblem,
	wasNotAccepted,
	type Problem,
} from './problems';
import type { ApiAnswer, NoAnswerError } from './transport';

/**
 * Pure readers of what RunComfy answers. Sources: the Model API page for shapes marked documented; RunComfy's own
 * clients for what is marked assumed.
 */

/** Opaque; goes into a path. The alphabet is the one that RunComfy's own nodes accept (assumed to be complete). */
const REQUEST_ID = /^[a-zA-Z0-9_-]{1,128}$/;

/** True when the id can stand in a path as it is. */
export function isRequestId(value: unknown): value is string {
	return typeof value === 'string' && REQUEST_ID.test(value);
}

export type Phase = 'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'unknown';

/** Status words, lower case. Documented: in_queue, in_progress, completed, succeeded, failed, cancelled. */
const PHASES = new Map<string, Phase>([
	['in_queue', 'queued'],
	['queued', 'queued'],
	['pending', 'queued'],
	['waiting', 'queued'],
	['in_progress', 'running'],
	['starting', 'running'],
	['processing', 'running'],
	['completed', 'done'],
	['succeeded', 'done'],
	['failed', 'failed'],
	['error', 'failed'],
	['cancelled', 'cancelled'],
	['canceled', 'cancelled'],
]);

/** What a status word means; a word that nobody has documented or seen is `unknown`. */
export function phaseOf(status: string): Phase {
	return PHASES.get(status.toLowerCase()) ?? 'unknown';
}

/** What came out of a job: every URL by its kind, the first of each also by itself, and all that RunComfy reported. */
export interface JobOutput {
	image?: string;
	images: string[];
	video?: string;
	videos: string[];
	audio?: string;
	audios: string[];
	/** As RunComfy wrote it; undefined when there was none. */
	output?: JsonObject;
}

/** A finished job as the workflow gets it. */
export interface JobResult extends JobOutput {
	requestId: string;
	/** USD; only when asked for and known. */
	cost?: number;
	createdAt?: string;
	finishedAt?: string;
}

export type SubmitAnswer =
	| { kind: 'accepted'; requestId: string }
	/** Certainly not accepted, and asking again later may help. */
	| { kind: 'busy'; retryAfterMs: number | undefined }
	/** Never left this machine. */
	| { kind: 'unreachable'; error: NoAnswerError }
	| { kind: 'refused'; problem: Problem }
	/** May have been accepted: never sent again. `why` completes “it is not known … :”. */
	| { kind: 'inDoubt'; why: string; httpStatus?: number };

export type LookAnswer =
	/** `status` is RunComfy's word in lower case. */
	| { kind: 'state'; status: string; phase: Phase; queuePosition?: number; error?: unknown; body: JsonObject }
	/** A passing fault: looking again costs nothing. */
	| { kind: 'again'; why: string; tooMany: boolean; retryAfterMs: number | undefined }
	| { kind: 'notFound'; problem: Problem }
	| { kind: 'refused'; problem: Problem };

/**
 * Seconds or an HTTP date in a Retry-After header.
 * @returns milliseconds from `now`, undefined when there is none or it cannot be read (undocumented by RunComfy).
 */
export function readRetryAfterMs(headers: Record<string, unknown>, now: number): number | undefined {
	const raw = headers['retry-after'];
	const text = String(Array.isArray(raw) ? raw[0] : (raw ?? '')).trim();
	if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
	const date = /[a-z]/i.test(text) ? Date.parse(text) : NaN;
	return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function isSuccess(answer: ApiAnswer): boolean {
	return answer.status >= 200 && answer.status < 300;
}

/** The answer to a paid POST. Whatever does not clearly say yes or no is in doubt. */
export function readSubmit(answer: ApiAnswer, now: number): SubmitAnswer {
	const { body } = answer;
	if (isSuccess(answer) && isJsonObject(body) && isRequestId(body.request_id)) {
		return { kind: 'accepted', requestId: body.request_id };
	}
	if (answer.status === 429) return { kind: 'busy', retryAfterMs: readRetryAfterMs(answer.headers, now) };
	if (wasNotAccepted(answer)) return { kind: 'refused', problem: refusedProblem(answer) };
	if (isSuccess(answer) && errorCodeOf(body) === undefined) {
		const why = isJsonObject(body) ? 'its answer holds no usable request id' : describeUnreadable(answer);
		return { kind: 'inDoubt', why, httpStatus: answer.status };
	}
	return { kind: 'inDoubt', why: explainAnswer(answer).what, httpStatus: answer.status };
}

/** [B] 400005 on a result: not ready yet. */
const NOT_READY_CODE = '400005';

/** The answer to a free look, at `/status` or at `/result`. */
export function readLook(answer: ApiAnswer, requestId: string, now: number): LookAnswer {
	const { body, status } = answer;
	const again = (why: string): LookAnswer => ({
		kind: 'again',
		why,
		tooMany: status === 429,
		retryAfterMs: readRetryAfterMs(answer.headers, now),
	});
	const code = errorCodeOf(body);
	if (code === NOT_READY_CODE) return again('it is not ready yet');
	if (isPassing(answer)) {
		return again(status < 300 ? 'it reported an internal error' : `it answered with HTTP ${status}`);
	}
	if (isSuccess(answer) && code === undefined) {
		const word = isJsonObject(body) ? textOf(body, 'status') : undefined;
		if (!isJsonObject(body) || word === undefined) return again(describeUnreadable(answer));
		const queuePosition = numberOf(body, 'queue_position');
		return {
			kind: 'state',
			status: word.toLowerCase(),
			phase: phaseOf(word),
			...(queuePosition === undefined ? {} : { queuePosition }),
			error: body.error,
			body,
		};
	}
	const problem = refusedProblem(answer, requestId);
	return {
		kind: code === '404001' || (code === undefined && status === 404) ? 'notFound' : 'refused',
		problem,
	};
}

/** URLs are looked for in `output` and nowhere else: an answer may echo its inputs. */
export function readOutput(output: unknown): JobOutput {
	const fields = isJsonObject(output) ? output : {};
	const images = urlsOf(fields.image, fields.images);
	const videos = urlsOf(fields.video, fields.videos);
	const audios = urlsOf(fields.audio, fields.audios);
	return {
		...(images[0] === undefined ? {} : { image: images[0] }),
		images,
		...(videos[0] === undefined ? {} : { video: videos[0] }),
		videos,
		...(audios[0] === undefined ? {} : { audio: audios[0] }),
		audios,
		...(isJsonObject(output) ? { output } : {}),
	};
}

function urlsOf(single: unknown, several: unknown): string[] {
	const found = [single, ...(Array.isArray(several) ? several : [several])];
	return [
		...new Set(found.filter((url): url is string => typeof url === 'string' && /^https?:\/\//i.test(url))),
	];
}

/** The result of a job that is done. Dates and cost only where RunComfy gave them. */
export function readResult(requestId: string, body: JsonObject): JobResult {
	const cost = numberOf(body, 'cost');
	const createdAt = textOf(body, 'created_at');
	const finishedAt = textOf(body, 'finished_at');
	return {
		requestId,
		...readOutput(body.output),
		...(cost === undefined ? {} : { cost }),
		...(createdAt === undefined ? {} : { createdAt }),
		...(finishedAt === undefined ? {} : { finishedAt }),
	};
}

export type CancelAnswer =
	/** RunComfy's `outcome`: `cancelled`, `not_cancellable`, or (assumed) `cancellation_requested`. */
	| { kind: 'outcome'; outcome: string }
	| { kind: 'again'; why: string }
	| { kind: 'refused'; problem: Problem };

/** The answer to a cancel. Only `outcome` counts: `status` in that answer means nothing. */
export function readCancel(answer: ApiAnswer, requestId: string): CancelAnswer {
	const { body } = answer;
	const code = errorCodeOf(body);
	if (isSuccess(answer) && code === undefined) {
		const outcome = isJsonObject(body) ? textOf(body, 'outcome') : undefined;
		return outcome === undefined
			? { kind: 'again', why: describeUnreadable(answer) }
			: { kind: 'outcome', outcome: outcome.toLowerCase() };
	}
	if (isPassing(answer)) return { kind: 'again', why: describeUnreadable(answer) };
	return { kind: 'refused', problem: refusedProblem(answer, requestId) };
}
