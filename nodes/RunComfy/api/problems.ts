import { omitUndefined } from '../util/values';
import { isJsonObject, textOf } from './json';
import { type ApiAnswer, isSuccess, type NoAnswerError } from './transport';

/** Where users see what they have generated and paid for. Its address is not documented. */
export const GENERATIONS_PAGE = 'the Generations page of your RunComfy account';
const PROFILE_PAGE = 'https://www.runcomfy.com/profile';

/** What went wrong, as the user reads it. */
export interface Problem {
	/** What happened, and to which request. Contains no Node error codes, because n8n would replace the whole message. */
	message: string;
	/** What to do next. */
	advice: string;
	requestId?: string;
	httpStatus?: number;
	/** The cause may be what was sent: the image or another field. */
	mayBeInput?: true;
	/** RunComfy does not know what was asked for. */
	isNotFound?: true;
}

/** The failure of one item. `host/nodeErrors.ts` turns it into n8n's NodeApiError. */
export class RunComfyError extends Error {
	override readonly name = 'RunComfyError';

	constructor(readonly problem: Problem) {
		super(problem.message);
	}
}

/** What the error codes of one of RunComfy's APIs mean. */
export interface ErrorCodes {
	meanings: Readonly<Record<string, readonly [what: string, advice: string]>>;
	/** The code that an HTTP status stands for, where an answer has no known code of its own. */
	byStatus: Readonly<Record<number, string>>;
}

/** The code for values that were not accepted. */
export const INPUT_CODE = '422001';
/** What to do about an API token that RunComfy refuses. */
export const TOKEN_ADVICE = `Open the RunComfy credential in n8n and paste a fresh token from ${PROFILE_PAGE}. A token stops working as soon as a new one is generated.`;

/** Codes of the Model API and of other RunComfy APIs: documented by RunComfy unless marked. */
const MODEL_MEANINGS: ErrorCodes['meanings'] = {
	'400001': [
		'RunComfy does not know this model or request ID',
		'Check the request ID. If it is right, the model may have been renamed: update this node.',
	],
	'400002': [
		'your RunComfy balance is empty',
		'Nothing was paid for. Top up your balance on RunComfy and run the workflow again.',
	],
	'400004': ['RunComfy did not accept the API token', TOKEN_ADVICE],
	'403001': [
		'this request belongs to another RunComfy account',
		'Use the credential of the account that submitted the request.',
	],
	'404001': [
		'RunComfy has no such request, or its result has expired',
		`Check the request ID, and check ${GENERATIONS_PAGE} for the result.`,
	],
	// Seen in other RunComfy APIs only [assumed to mean the same here].
	'401001': [
		'RunComfy did not accept the API token',
		`Open the RunComfy credential in n8n and paste a fresh token from ${PROFILE_PAGE}.`,
	],
	'403003': ['your RunComfy account may not do this', 'Check the account and its plan on RunComfy.'],
	'422001': [
		'RunComfy did not accept the values of the fields',
		'Correct the field that RunComfy names, and run again.',
	],
};

/** [assumed]: which status goes with which code is not documented. */
export const MODEL_CODES: ErrorCodes = {
	meanings: MODEL_MEANINGS,
	byStatus: {
		400: INPUT_CODE,
		401: '400004',
		402: '400002',
		403: '403003',
		404: '404001',
		410: '404001',
		422: INPUT_CODE,
	},
};

/** The codes where nothing is submitted: then there are no inputs that RunComfy could refuse. */
export function withoutInputs({ meanings, byStatus }: ErrorCodes): ErrorCodes {
	const refused = [
		'RunComfy did not accept the request',
		'Correct what RunComfy names, and run again. If it names nothing, contact RunComfy’s support with the time.',
	] as const;
	return { byStatus, meanings: { ...meanings, [INPUT_CODE]: refused } };
}

/** What a code means. Codes come from outside: `constructor` is none of them. */
function meaningOf({ meanings }: ErrorCodes, code: string | undefined) {
	return code !== undefined && Object.hasOwn(meanings, code) ? meanings[code] : undefined;
}

const MAX_REASON_LENGTH = 300;
/** Texts from outside are cut to this before patterns are applied to them. */
const MAX_READ_LENGTH = 2_000;
/** Limits for the search for an error's sentence in an answer of any shape. */
const MAX_READ_DEPTH = 6;
const MAX_READ_PARTS = 20;
/** Words for which n8n would replace the whole message by a sentence of its own (NodeError's list). */
const NODE_ERROR_CODES =
	/\b(ECONN(REFUSED|RESET|ABORTED)|ENOTFOUND|ETIMEDOUT|ERRADDRINUSE|EADDRNOTAVAIL|EHOSTUNREACH|EAI_AGAIN|ENOENT|EISDIR|ENOTDIR|EACCES|EEXIST|EPERM|getaddrinfo)\b/g;

/**
 * A sentence from RunComfy, made safe for an error message: one short line without a web page, a token, or a Node error code.
 * @returns undefined when nothing readable is left.
 */
export function cleanReason(text: string | undefined): string | undefined {
	if (text === undefined) return undefined;
	const oneLine = text.slice(0, MAX_READ_LENGTH).replace(/\s+/g, ' ').trim();
	if (oneLine === '' || /<\s*(!doctype|html|head|body|title|h\d|p|div)\b/i.test(oneLine)) return undefined;
	const safe = oneLine
		.replace(/\bbearer\s+\S+/gi, '[token]')
		.replace(/\bdata:[a-z]+\/[^\s,]+,\S+/gi, '[file]')
		.replace(/[A-Za-z0-9_-]{40,}/g, '[…]')
		.replace(NODE_ERROR_CODES, 'a network error');
	return safe.length > MAX_REASON_LENGTH ? `${safe.slice(0, MAX_REASON_LENGTH)}…` : safe;
}

/** The digits of an `error_code`, which comes as a number or as a string. */
export function errorCodeOf(body: unknown): string | undefined {
	if (!isJsonObject(body)) return undefined;
	const code = body.error_code;
	const text = typeof code === 'number' ? String(code) : typeof code === 'string' ? code.trim() : '';
	return text === '' || text === '0' ? undefined : text;
}

/** The sentence of an error answer, from `error_message`, `message`, `error`, `detail`, or `msg`, of any shape. */
export function reasonOf(body: unknown, depth = 0): string | undefined {
	if (typeof body === 'string') return cleanReason(body);
	if (!isJsonObject(body)) return undefined;
	for (const name of ['error_message', 'message', 'error', 'detail', 'msg']) {
		const reason = cleanReason(flattenReason(body[name], depth + 1));
		if (reason !== undefined) return reason;
	}
	return undefined;
}

/** The sentence of an error answer, and what its `detail` lists besides. */
function reasonWithDetail(body: unknown): string | undefined {
	const reason = reasonOf(body);
	if (!isJsonObject(body) || !Array.isArray(body.detail)) return reason;
	const detail = cleanReason(flattenReason(body.detail));
	return detail === undefined || detail === reason ? reason : `${reason ?? ''} ${detail}`.trim();
}

/** `detail` may be a list of `{loc, msg}` (FastAPI's shape, seen in other RunComfy APIs). */
export function flattenReason(value: unknown, depth = 0): string | undefined {
	if (typeof value === 'string') return value;
	if (depth > MAX_READ_DEPTH) return undefined;
	if (Array.isArray(value)) {
		const parts = value
			.slice(0, MAX_READ_PARTS)
			.map((part: unknown) => flattenReason(part, depth + 1))
			.filter((part): part is string => part !== undefined);
		return parts.length > 0 ? parts.join('; ') : undefined;
	}
	if (!isJsonObject(value)) return undefined;
	const text =
		textOf(value, 'msg') ?? textOf(value, 'message') ?? reasonOf(value, depth) ?? textOf(value, 'code');
	const names = Array.isArray(value.loc) ? value.loc.slice(0, MAX_READ_PARTS) : [];
	const field = names
		.filter((part) => (typeof part === 'string' && part !== 'body') || typeof part === 'number')
		.join('.');
	return text !== undefined && field !== '' ? `${field}: ${text}` : text;
}

const TRANSIENT_STATUSES = new Set([408, 425, 429]);

/** True for an error that may be gone when the same free call is made again. */
export function isTransient({ status, body }: ApiAnswer): boolean {
	return status >= 500 || TRANSIENT_STATUSES.has(status) || errorCodeOf(body)?.startsWith('500') === true;
}

/** What an error answer means, as far as that is known. */
export interface ErrorMeaning {
	what: string;
	advice: string;
	/** True when the error is about the values that were sent, and not about the account, the token, or the address. */
	isAboutInput: boolean;
}

/** Reads an error answer: its `error_code` first, then its HTTP status. */
export function explainAnswer(answer: ApiAnswer, codes: ErrorCodes = MODEL_CODES): ErrorMeaning {
	const code = errorCodeOf(answer.body);
	const known = meaningOf(codes, code);
	const meaning = known ?? meaningOf(codes, codes.byStatus[answer.status]);
	const [what, advice] = meaning ?? [
		`RunComfy answered with an error (HTTP ${answer.status})`,
		'Try again later. If the error persists, contact RunComfy’s support with the time and the request ID.',
	];
	const reason = reasonWithDetail(answer.body);
	const withReason = reason === undefined ? what : `${what}: “${reason}”`;
	return {
		what: code === undefined || known ? withReason : `${withReason} (code ${cleanReason(code) ?? '?'})`,
		advice,
		isAboutInput: (meaning !== undefined && meaning === codes.meanings[INPUT_CODE]) || answer.status === 413,
	};
}

/**
 * True when a paid POST was certainly not accepted, so that no job can exist because of it: RunComfy says so with one
 * of its documented codes. A redirect, a status alone, an unknown code, and an internal error say nothing certain.
 */
export function wasNotAccepted({ body }: ApiAnswer, codes: ErrorCodes = MODEL_CODES): boolean {
	return meaningOf(codes, errorCodeOf(body)) !== undefined;
}

/** True when RunComfy does not know the request, or not any more [assumed: 410 is not documented]. */
export function isNotFound({ status, body }: ApiAnswer): boolean {
	const code = errorCodeOf(body);
	return code === undefined ? status === 404 || status === 410 : code === '404001';
}

/** `RunComfy request abc` or, without an id, `RunComfy`. */
export function nameRequest(requestId: string | undefined): string {
	return requestId === undefined ? 'RunComfy' : `RunComfy request ${requestId}`;
}

/** A call that RunComfy refused for good: about a request, or, without an ID, a submit. */
export function refusedProblem(
	answer: ApiAnswer,
	requestId?: string,
	codes: ErrorCodes = MODEL_CODES,
): Problem {
	const isSubmit = requestId === undefined;
	const { what, advice, isAboutInput } = explainAnswer(answer, isSubmit ? codes : withoutInputs(codes));
	return {
		message: `${isSubmit ? 'Nothing was submitted' : nameRequest(requestId)}: ${what}`,
		advice,
		httpStatus: answer.status,
		...omitUndefined({ requestId, mayBeInput: isSubmit && isAboutInput ? (true as const) : undefined }),
	};
}

/** Why there was no answer, as a part of a sentence. */
export function describeNoAnswer(error: NoAnswerError): string {
	switch (error.reason) {
		case 'unreachable':
			return 'RunComfy could not be reached';
		case 'untrusted':
			return 'the server’s certificate was not accepted';
		case 'timeout':
			return 'RunComfy did not answer in time';
		case 'lost':
			return 'the connection was lost before the answer was complete';
		case 'stopped':
			return 'the call was aborted';
	}
}

/** A call that could not be sent: RunComfy could not be reached, or its certificate was not accepted. */
export function unreachableProblem(error: NoAnswerError, requestId?: string): Problem {
	const code = error.code === undefined ? '' : ` (${error.code})`;
	return {
		message: `${requestId === undefined ? 'Nothing was submitted' : nameRequest(requestId)}: ${describeNoAnswer(error)}`,
		advice: `Check the base URL of the RunComfy credential and the internet connection of n8n${code}.`,
		...omitUndefined({ requestId }),
	};
}

/** The body of an answer whose JSON could not be read. */
export function describeUnreadable(answer: ApiAnswer): string {
	return isSuccess(answer) ? 'its answer could not be read' : `it answered with HTTP ${answer.status}`;
}
