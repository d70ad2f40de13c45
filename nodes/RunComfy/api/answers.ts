import type { Signal } from '../util/time';
import type { Answered, NoAnswerError } from './call';
import { isJsonObject, isTooDeep, type JsonObject, numberAt, textAt } from './json';
import {
	aboutRequest,
	cleanReason,
	errorCodeOf,
	type ErrorCodes,
	isTransient,
	type Problem,
	reasonOf,
	refusedProblem,
	type Subject,
	wasNotAccepted,
} from './problems';

/**
 * What RunComfy's answers mean, and pure readers of them.
 *
 * Two marks in this code say where a fact about RunComfy comes from:
 * - (documented): RunComfy's documentation of its Model API states it;
 * - [assumed]: RunComfy's documentation does not state it. It was seen in RunComfy's own clients or other APIs, or is the
 *   most likely reading, and may be wrong. docs/runcomfy-assumptions.md lists what depends on it.
 */

/** A transient error: the same free call may succeed later. */
export interface Transient {
	kind: 'transient';
	/** Completes a sentence: “it answered with HTTP 503”. */
	why: string;
	tooMany: boolean;
	retryAfterMs: number | undefined;
	/** The server is well, but its answer holds no state. */
	hasNoState?: boolean;
}

/** The answer to a free call. */
export type Answer<T> = { kind: 'ok'; value: T } | Transient | { kind: 'refused'; problem: Problem };

/** The answer to a submit. The value is the request ID. Its only transient error is “too many requests”. */
export type SubmitAnswer =
	| Answer<string>
	/** The request never left this machine. */
	| { kind: 'unsent'; error: NoAnswerError }
	/** It may have been accepted, and is never sent again. `why` completes “it is not known … :”. */
	| { kind: 'unknown'; why: string; httpStatus?: number; requestId?: string };

export type Phase = 'queued' | 'running' | 'finished' | 'failed' | 'cancelled' | 'unknown';

/** The state of a request, as one poll finds it. */
export interface PolledState {
	/** RunComfy's word in lower case. */
	status: string;
	phase: Phase;
	queuePosition?: number;
	/** Why it failed, as RunComfy reports it. */
	error?: unknown;
	/** The machine that runs it, and the address of its log; only of deployments. */
	instanceId?: string;
	logUrl?: string;
	result: JobResult;
}

export type PollAnswer = Answer<PolledState>;

/**
 * The value is RunComfy's word for the outcome, in lower case: `cancelled`, `not_cancellable` (documented), or
 * `cancellation_requested` [assumed].
 */
export type CancelAnswer = Answer<string>;

export type EndedState = Pick<PolledState, 'status' | 'phase' | 'error'>;

export interface CallOptions {
	timeoutMs?: number;
	signal?: Signal;
}

export interface PollOptions extends CallOptions {
	/** Whether the result should hold the cost, where RunComfy reports one. */
	includeCost?: boolean;
}

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
	describeProgress?(state: Pick<PolledState, 'phase' | 'queuePosition'>): string;
	/** Describes a request that failed or was cancelled. */
	endedProblem(requestId: string, state: EndedState): Problem;
}

/** A submit is not aborted at once by Stop: see `signal`. */
export interface SubmitOptions {
	/** Aborts the call; the outcome is then unknown. */
	signal?: Signal;
	/** Asked once more right before the request is handed over; when false, nothing is sent. */
	mayLeave?: () => boolean;
}

/** What requests are submitted to. */
export interface Endpoint extends RequestApi {
	/** Unique among all endpoints. The ledger keeps it, and errors about the spending limit show it. */
	readonly id: string;
	/** The paid POST, sent once. After an abort by the signal, the outcome is unknown. */
	submit(input: JsonObject, options?: SubmitOptions): Promise<SubmitAnswer>;
}

/** The result of a finished request. */
export interface JobResult {
	requestId: string;
	/** As RunComfy reported it, of any shape; undefined when there was none. */
	output?: unknown;
	/** In USD; only when it was requested and is known. */
	cost?: number;
	createdAt?: string;
	finishedAt?: string;
}

/** What differs between the answers of RunComfy's APIs. */
export interface ApiReader {
	readonly codes: ErrorCodes;
	/** The part of a result that holds the output. */
	outputOf(body: JsonObject): unknown;
	/** The word for the outcome of a cancel. */
	outcomeOf(body: JsonObject): string | undefined;
	/** Whether a request has failed that its status word calls finished. */
	hasFailed?(state: PolledState): boolean;
}

function isSuccess({ status }: Answered): boolean {
	return status >= 200 && status < 300;
}

function transient(answer: Answered, why: string, hasNoState = false): Transient {
	const { status, retryAfterMs } = answer;
	return { kind: 'transient', why, tooMany: status === 429, retryAfterMs, hasNoState };
}

/** True for a success that does not name an error. */
function holdsValue(answer: Answered): boolean {
	return isSuccess(answer) && errorCodeOf(answer.body) === undefined;
}

const UNREADABLE = 'its answer could not be read';

/** Why a free call has no value. */
function failure(answer: Answered, about: Subject, codes: ErrorCodes): Answer<never> {
	if (holdsValue(answer)) return transient(answer, UNREADABLE, true);
	if (!isTransient(answer)) return { kind: 'refused', problem: refusedProblem(answer, codes, about) };
	const isInternal = isSuccess(answer);
	const why = isInternal ? 'it reported an internal error' : `it answered with HTTP ${answer.status}`;
	return transient(answer, why);
}

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
	// Half of a surrogate pair cannot be encoded.
	return !/\p{Surrogate}/u.test(trimmed) && !/^\.{1,2}$/.test(trimmed) ? trimmed : undefined;
}

/** Reads the answer to a paid POST. The outcome is unknown unless the answer clearly accepts or refuses the request. */
export function readSubmit(answer: Answered, { codes }: ApiReader): SubmitAnswer {
	const { body, status } = answer;
	const requestId = isSuccess(answer) && isJsonObject(body) ? readRequestId(body.request_id) : undefined;
	if (requestId !== undefined) return { kind: 'ok', value: requestId };
	const answered = `it answered with HTTP ${status}`;
	// An ID in an unexpected place is not used, but the error names it.
	const mentioned = findRequestId(body);
	if (mentioned === undefined) {
		if (status === 429) return transient(answer, answered);
		if (wasNotAccepted(answer, codes)) return { kind: 'refused', problem: refusedProblem(answer, codes) };
	}
	const reason = reasonOf(body);
	const withReason = reason === undefined ? answered : `${answered} (“${reason}”)`;
	const why = holdsValue(answer) ? explainMissingId(body) : withReason;
	return {
		kind: 'unknown',
		why: mentioned === undefined ? why : `${why}, and named the request ${mentioned}`,
		httpStatus: status,
		requestId: mentioned,
	};
}

/** Texts from outside are cut to this before patterns are applied to them. */
const MAX_SEARCHED_LENGTH = 20_000;

/** A request ID anywhere in an answer: under another key, in a URL, or in truncated JSON. */
function findRequestId(body: unknown): string | undefined {
	const text = toText(body).slice(0, MAX_SEARCHED_LENGTH);
	const id = /"request_?id"\s*:\s*(?:"([^"\\]{1,200})"|(\d{1,200}))|\/requests\/([\w.~%-]{1,200})/i.exec(
		text,
	);
	return readRequestId(id?.slice(1).find((part) => part !== undefined));
}

function explainMissingId(body: unknown): string {
	// What it holds may help to find the request.
	const text = cleanReason(toText(body));
	const holds = text === undefined ? '' : ` (“${text}”)`;
	if (!isJsonObject(body)) return `${UNREADABLE}${holds}`;
	const { request_id: id } = body;
	if (id === undefined || id === null) return `its answer holds no request ID${holds}`;
	const shown = toText(id)
		.slice(0, 200)
		.replace(/[\p{Cc}\p{Cs}]+/gu, ' ');
	return `its answer holds a request ID that cannot be used, “${shown}”`;
}

/** A text as it is, another value as JSON. */
function toText(value: unknown): string {
	return typeof value === 'string' ? value : isTooDeep(value) ? '' : JSON.stringify(value ?? null);
}

/**
 * RunComfy's words for the state of a request, in lower case. `in_queue`, `in_progress`, `completed`, `succeeded`, `failed`,
 * and `cancelled` are documented, the others are [assumed].
 */
const STATUS_WORDS: ReadonlyArray<readonly [Phase, string[]]> = [
	['queued', ['in_queue', 'queued', 'pending', 'waiting']],
	['running', ['in_progress', 'starting', 'processing']],
	['finished', ['completed', 'succeeded']],
	['failed', ['failed', 'error']],
	['cancelled', ['cancelled', 'canceled']],
];

function phaseOf(status: string): Phase {
	return STATUS_WORDS.find(([, words]) => words.includes(status))?.[0] ?? 'unknown';
}

/**
 * Whether a status means the end of a request even when the answer has an error code. `error` does not: with a code it may
 * be an error of the server, and the request may still be running.
 */
function isFinal(status: string): boolean {
	return status !== 'error' && ['finished', 'failed', 'cancelled'].includes(phaseOf(status));
}

/** The result is not ready yet [assumed: RunComfy's own clients expect this code]. */
const NOT_READY_CODE = '400005';

/** Reads the answer to a poll of `/status` or `/result`. */
export function readPoll(answer: Answered, requestId: string, reader: ApiReader): PollAnswer {
	const { body } = answer;
	const code = errorCodeOf(body);
	const named = isJsonObject(body) ? readRequestId(body.request_id) : undefined;
	if (isSuccess(answer) && named !== undefined && named !== requestId)
		return transient(answer, 'its answer is about another request', true);
	const status = isSuccess(answer) && isJsonObject(body) ? textAt(body, 'status')?.toLowerCase() : undefined;
	if (isJsonObject(body) && status !== undefined && (code === undefined || isFinal(status))) {
		const state: PolledState = {
			status,
			phase: phaseOf(status),
			queuePosition: numberAt(body, 'queue_position'),
			error: body.error ?? body.error_message,
			instanceId: textAt(body, 'instance_id'),
			logUrl: textAt(body, 'log_url'),
			result: {
				requestId,
				// Only URLs in the output count later on, because the rest of an answer may repeat the inputs.
				output: reader.outputOf(body) ?? undefined,
				cost: readCost(body.cost),
				createdAt: textAt(body, 'created_at'),
				finishedAt: textAt(body, 'finished_at'),
			},
		};
		return { kind: 'ok', value: reader.hasFailed?.(state) === true ? { ...state, phase: 'failed' } : state };
	}
	if (code === NOT_READY_CODE) return transient(answer, 'it is not ready yet', true);
	return failure(answer, aboutRequest(requestId), reader.codes);
}

/** A cost in USD. A negative one is ignored, because it would raise a spending limit. */
function readCost(value: unknown): number | undefined {
	const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
	return typeof number === 'number' && Number.isFinite(number) && number >= 0 ? number : undefined;
}

/** Reads the answer to a cancel. */
export function readCancel(
	answer: Answered,
	requestId: string,
	{ codes, outcomeOf }: ApiReader,
): CancelAnswer {
	const read = (body: unknown) => (isJsonObject(body) ? outcomeOf(body)?.toLowerCase() : undefined);
	return readValue(answer, aboutRequest(requestId), codes, read);
}

/** A free query of the catalog, the account, or the deployments. */
export interface Query<T> {
	url: string;
	/** What failed if it fails: “The list of models could not be read”. */
	what: string;
	codes: ErrorCodes;
	/** Reads the answer's body; undefined when it does not hold what the query asks for. */
	read(body: unknown): T | undefined;
	/** What to say when RunComfy does not know what was asked for. */
	unknown?: Pick<Problem, 'message' | 'advice'>;
}

/** Reads the answer to a free query. */
export function readQuery<T>(answer: Answered, query: Query<T>): Answer<T> {
	const { what, codes, read, unknown } = query;
	const found = readValue(answer, { what }, codes, read);
	if (found.kind !== 'refused' || found.problem.isNotFound !== true) return found;
	return { kind: 'refused', problem: { ...found.problem, ...unknown } };
}

/** @param read undefined when the body does not hold what it should. */
function readValue<T>(
	answer: Answered,
	about: Subject,
	codes: ErrorCodes,
	read: (body: unknown) => T | undefined,
): Answer<T> {
	const value = holdsValue(answer) ? read(answer.body) : undefined;
	return value === undefined ? failure(answer, about, codes) : { kind: 'ok', value };
}
