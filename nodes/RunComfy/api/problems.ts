import { type Answered, isTransientStatus, type NoAnswerError, type NoAnswerReason } from './call';
import { isJsonObject, type JsonObject, parseJson, textAt } from './json';

/** Where users see what they have generated and paid for. Its address is not documented. */
export const GENERATIONS_PAGE = 'the Generations page of your RunComfy account';

/** What went wrong, as the user reads it. */
export interface Problem {
	/** What happened, and to which request. */
	message: string;
	/** What to do next. */
	advice: string;
	requestId?: string;
	httpStatus?: number;
	/** The cause may be what was sent: the image or another field. */
	mayBeInput?: boolean;
	/** RunComfy does not know what was asked for. */
	isNotFound?: boolean;
}

/** The failure of one item. `n8n/nodeErrors.ts` turns it into n8n's NodeApiError. */
export class RunComfyError extends Error {
	override readonly name = 'RunComfyError';

	constructor(readonly problem: Problem) {
		super(problem.message);
	}
}

/** The request that an error is about. */
export function requestIdOf(error: unknown): string | undefined {
	return error instanceof RunComfyError ? error.problem.requestId : undefined;
}

/** What a problem is about: how its message begins, and the request, where there is one. */
export interface Subject {
	what: string;
	requestId?: string;
}

const SUBMIT: Subject = { what: 'Nothing was submitted' };

export function aboutRequest(requestId: string): Subject {
	return { what: nameRequest(requestId), requestId };
}

export function nameRequest(requestId: string): string {
	return `RunComfy request ${requestId}`;
}

/** What went wrong, and what to do next. */
type Meaning = readonly [what: string, advice: string];

/** What the error codes of one of RunComfy's APIs mean. */
export interface ErrorCodes {
	meanings: Readonly<Record<string, Meaning>>;
	/** The code that an HTTP status stands for, where an answer has no known code of its own. */
	byStatus: Readonly<Partial<Record<number, string>>>;
	/** The same for the answer to a submit, where that is another one. */
	ofSubmit?: Readonly<Partial<Record<number, string>>>;
}

/** The code for values that were not accepted. */
const INPUT_CODE = '422001';
/** The code for what RunComfy does not know, or not any more. */
const NOT_FOUND_CODE = '404001';
/** What both APIs have in common [assumed]: which status goes with which code is not documented. */
export const COMMON_STATUSES: ErrorCodes['byStatus'] = {
	400: INPUT_CODE,
	404: NOT_FOUND_CODE,
	405: NOT_FOUND_CODE,
	410: NOT_FOUND_CODE,
	415: INPUT_CODE,
	422: INPUT_CODE,
};

/** A proxy's refusal looks like RunComfy's own. */
export const OR_PROXY = 'If n8n uses a proxy, the proxy may have refused instead.';

/** What an API token that RunComfy refuses means. */
export const TOKEN_REFUSED: Meaning = [
	'RunComfy did not accept the API token',
	'Open the RunComfy credential in n8n and paste a fresh token from https://www.runcomfy.com/profile. A token stops working as soon as a new one is generated.',
];

/** What a status means in whichever API. */
const STATUS_MEANINGS: Partial<Record<number, Meaning>> = {
	407: [
		'the proxy of n8n asks for a login',
		'Correct the proxy that n8n is configured with. The request did not leave n8n’s network.',
	],
	413: [
		'what was sent is too large',
		'Use a smaller file, or upload the file to a storage service and use its URL.',
	],
};

/** What the code for values means where nothing is submitted: then there are no values that RunComfy could refuse. */
const REQUEST_REFUSED: Meaning = [
	'RunComfy did not accept the request',
	'Correct what RunComfy names, and run again. If it names nothing, contact RunComfy’s support with the time.',
];

const MAX_REASON_LENGTH = 300;
/** Texts from outside are cut to this before patterns are applied to them. */
const MAX_READ_LENGTH = 2_000;
/** Limits for the search for an error's sentence in an answer of any shape. */
const MAX_READ_DEPTH = 6;
const MAX_READ_PARTS = 20;

/**
 * A sentence from RunComfy, made safe for an error message: one short line without a web page or a token.
 * @returns undefined when nothing readable is left.
 */
export function cleanReason(text: string | undefined): string | undefined {
	if (text === undefined) return undefined;
	const oneLine = text.slice(0, MAX_READ_LENGTH).replace(/\s+/g, ' ').trim();
	if (oneLine === '' || /<\s*(!doctype|html|head|body|title|h\d|p|div)\b/i.test(oneLine)) return undefined;
	const safe = oneLine
		.replace(/\bbearer\s+\S+/gi, '[token]')
		.replace(/\bdata:[a-z]+\/[^\s,]+,\S+/gi, '[file]')
		.replace(/[A-Za-z0-9_-]{40,}/g, '[…]');
	return safe.length > MAX_REASON_LENGTH ? `${safe.slice(0, MAX_REASON_LENGTH)}…` : safe;
}

/** The digits of an `error_code`, which comes as a number or as a string. */
export function errorCodeOf(body: unknown): string | undefined {
	const code = isJsonObject(body) ? body.error_code : undefined;
	const text = typeof code === 'number' || typeof code === 'string' ? String(code).trim() : '';
	return text === '' || text === '0' ? undefined : text;
}

/** The sentence of an error of any shape. */
export function reasonOf(body: unknown): string | undefined {
	return cleanReason(flattenReason(body));
}

/** Where an error may hold its sentence. Some are of ComfyUI only. */
const REASON_NAMES = [
	'exception_message',
	'error_message',
	'message',
	'msg',
	'error',
	'detail',
	'code',
	'type',
];

/**
 * The same before it is cleaned, from a text, an object, or a list. A list of `{loc, msg}` is FastAPI's shape, seen in other
 * RunComfy APIs.
 */
function flattenReason(value: unknown, depth = 0): string | undefined {
	if (typeof value === 'string') return value;
	if (depth > MAX_READ_DEPTH) return undefined;
	const read = (part: unknown) => flattenReason(part, depth + 1);
	if (Array.isArray(value)) {
		const parts = value.slice(0, MAX_READ_PARTS).map(read);
		return parts.filter((part) => part !== undefined).join('; ') || undefined;
	}
	if (!isJsonObject(value)) return undefined;
	const path: unknown[] = Array.isArray(value.loc) ? value.loc.slice(0, MAX_READ_PARTS) : [];
	const isName = (part: unknown) => (typeof part === 'string' && part !== 'body') || typeof part === 'number';
	const field = path.filter(isName).join('.');
	for (const name of REASON_NAMES) {
		const text = read(value[name]);
		if (cleanReason(text) !== undefined) return field === '' ? text : `${field}: ${text}`;
	}
	return undefined;
}

/** The sentence of an error answer, and what its `detail` lists besides. */
function reasonWithDetail(body: unknown): string | undefined {
	const reason = reasonOf(body);
	const detail = isJsonObject(body) && Array.isArray(body.detail) ? reasonOf(body.detail) : undefined;
	return detail === undefined || detail === reason ? reason : `${reason ?? ''} ${detail}`.trim();
}

const MAX_DETAIL_LENGTH = 200;

/**
 * Reads the `error` of a failed request: an object with a `message` (documented), a list of `{errorCode, error, debugInfo}`
 * [assumed: seen in other clients], or one of ComfyUI's own errors [assumed: passed on as they are].
 * @returns ComfyUI's own message, and the node, such as `node 3 (KSampler)`, where the error names it apart from that.
 */
export function describeComfyError(error: unknown): { reason?: string; node?: string } {
	// An error may be JSON within a text.
	const isJson = typeof error === 'string' && /^\s*[[{]/.test(error);
	const parsed = isJson ? (parseJson(error) ?? error) : error;
	// What ComfyUI's validation found: `{"3": {"class_type": "KSampler", "errors": [{"message", "details"}]}}`.
	const nodeErrors = isJsonObject(parsed) && isJsonObject(parsed.node_errors) ? parsed.node_errors : {};
	const [[id, invalid] = []] = Object.entries(nodeErrors);
	if (isJsonObject(invalid))
		return { reason: sentencesOf(invalid.errors), node: nodeOf({ ...invalid, node_id: id }) };
	const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
	return { reason: sentencesOf(parsed), node: isJsonObject(first) ? nodeOf(first) : undefined };
}

/** The sentences of an error, or of a list of them. */
function sentencesOf(errors: unknown): string | undefined {
	const list: unknown[] = Array.isArray(errors) ? errors.slice(0, MAX_READ_PARTS) : [errors];
	const texts = list.map(sentenceOf).filter((text) => text !== undefined);
	return cleanReason(texts.join('; '));
}

function sentenceOf(error: unknown): string | undefined {
	const text = flattenReason(error);
	if (!isJsonObject(error)) return text;
	const details = [textAt(error, 'details'), textAt(error, 'debugInfo')].filter(
		// A longer one is a traceback.
		(detail) => detail !== undefined && detail.length <= MAX_DETAIL_LENGTH && detail !== text,
	);
	return text === undefined ? details[0] : [text, ...details].join(' – ');
}

/** `node 3 (KSampler)`. */
function nodeOf(error: JsonObject): string | undefined {
	const id: unknown = error.node_id ?? error.nodeId;
	const type = textAt(error, 'node_type') ?? textAt(error, 'class_type') ?? textAt(error, 'nodeType');
	if (typeof id !== 'string' && typeof id !== 'number') return cleanReason(type);
	return cleanReason(`node ${id}${type === undefined ? '' : ` (${type})`}`);
}

/** True for an error that may be gone when the same free call is made again. */
export function isTransient({ status, body }: Answered): boolean {
	return isTransientStatus(status) || errorCodeOf(body)?.startsWith('500') === true;
}

/**
 * Statuses that say that nothing was accepted, whatever the body says: about the token, the balance, the rights, the
 * address, the size, or the values [assumed: RunComfy's own clients take them so].
 */
const REFUSING_STATUSES = [401, 402, 403, 404, 405, 407, 413, 415, 422];

/**
 * True when a paid POST was certainly not accepted, so that no job can exist because of it: RunComfy says so with one of
 * its documented codes, or with a status that refuses. A redirect, any other status alone, an unknown code with such a
 * status, and an internal error say nothing certain.
 */
export function wasNotAccepted(answer: Answered, codes: ErrorCodes): boolean {
	if (isKnownCode(errorCodeOf(answer.body), codes)) return true;
	return REFUSING_STATUSES.includes(answer.status) && !isTransient(answer);
}

/** Codes come from outside: `constructor` is none of them. */
function isKnownCode(code: string | undefined, { meanings }: ErrorCodes): code is string {
	return code !== undefined && Object.hasOwn(meanings, code);
}

/** True when RunComfy does not know what was asked for, or not any more [assumed: 410 is not documented]. */
function isNotFound({ status, body }: Answered, { requestId }: Subject): boolean {
	const code = errorCodeOf(body);
	if (code === undefined) return status === 404 || status === 410;
	// In an answer about a request, 400001 may mean its model.
	return code === NOT_FOUND_CODE || (code === '400001' && requestId === undefined);
}

/**
 * A call that RunComfy refused for good: by default, a submit. What it means is said as far as it is known: its
 * `error_code` decides, then its HTTP status.
 */
export function refusedProblem(answer: Answered, codes: ErrorCodes, about = SUBMIT): Problem {
	const { status, body } = answer;
	const code = errorCodeOf(body);
	const isKnown = isKnownCode(code, codes);
	const isSubmit = about === SUBMIT;
	const ofStatus = (isSubmit ? codes.ofSubmit?.[status] : undefined) ?? codes.byStatus[status];
	const meaning = (isKnown ? code : ofStatus) ?? '';
	const isAboutInput = meaning === INPUT_CODE;
	const known = isKnown ? undefined : STATUS_MEANINGS[status];
	const [what, advice] = known ??
		(isAboutInput && !isSubmit ? REQUEST_REFUSED : codes.meanings[meaning]) ?? [
			`RunComfy answered with an error (HTTP ${status})`,
			'Try again later. If the error persists, contact RunComfy’s support with the time and the request ID.',
		];
	const reason = reasonWithDetail(body);
	const withReason = reason === undefined ? what : `${what}: “${reason}”`;
	const unknownCode = code === undefined || isKnown ? '' : ` (code ${cleanReason(code) ?? '?'})`;
	return {
		message: `${about.what}: ${withReason}${unknownCode}`,
		advice,
		httpStatus: status,
		requestId: about.requestId,
		mayBeInput: isSubmit && (isAboutInput || status === 413),
		isNotFound: isNotFound(answer, about),
	};
}

const NO_ANSWER: Record<NoAnswerReason, string> = {
	unreachable: 'RunComfy could not be reached',
	heldBack: 'n8n did not send the request',
	untrusted: 'the server’s certificate was not accepted',
	timeout: 'RunComfy did not answer in time',
	lost: 'the connection was lost before the answer was complete',
	stopped: 'the call was aborted',
};

/** Why there was no answer, as a part of a sentence. */
export function describeNoAnswer({ reason, field }: NoAnswerError): string {
	const isElsewhere = reason === 'unreachable' && field !== 'Base URL';
	return isElsewhere ? `RunComfy could not be reached at the credential’s “${field}”` : NO_ANSWER[reason];
}

/** A call that could not be sent, by default a submit: RunComfy could not be reached, or its certificate was not accepted. */
export function unreachableProblem(error: NoAnswerError, about = SUBMIT): Problem {
	const code = error.code === undefined ? '' : ` (${error.code})`;
	return {
		message: `${about.what}: ${describeNoAnswer(error)}`,
		advice:
			error.reason === 'heldBack'
				? `Open the RunComfy credential in n8n: it may be encrypted with another key, or n8n’s SSRF protection may block its base URL or the proxy (N8N_SSRF_ALLOWED_HOSTNAMES)${code}.`
				: `Check the internet connection of n8n, and the “${error.field}” if the RunComfy credential uses custom URLs${code}.`,
		requestId: about.requestId,
	};
}
