import type { ApiReader, EndedState, Endpoint, Query, RequestApi } from './answers';
import type { Http } from './http';
import { isJsonObject, numberAt, textAt, textsIn } from './json';
import {
	cleanReason,
	COMMON_STATUSES,
	type ErrorCodes,
	GENERATIONS_PAGE,
	nameRequest,
	OR_PROXY,
	type Problem,
	reasonOf,
	TOKEN_REFUSED,
} from './problems';
import { findFileUrlProblem } from './urls';

/** RunComfy's Model API: requests to models, and the catalog. Does not depend on a particular model. */

/** Codes of the Model API and of other RunComfy APIs: documented by RunComfy unless marked. */
export const MODEL_CODES: ErrorCodes = {
	meanings: {
		'400001': [
			'RunComfy does not know this model or request ID',
			'Check the model or the request ID. If it is right, the model may have been renamed: choose it from the list again.',
		],
		'400002': [
			'your RunComfy balance is empty',
			'Nothing was paid for. Top up your balance on RunComfy and run the workflow again.',
		],
		'400004': TOKEN_REFUSED,
		'403001': [
			'this request belongs to another RunComfy account',
			'Use the credential of the account that submitted the request.',
		],
		'404001': [
			'RunComfy has no such request, or its result has expired',
			`Check the request ID, and check ${GENERATIONS_PAGE} for the result.`,
		],
		// Seen in other RunComfy APIs only [assumed to mean the same here].
		'401001': TOKEN_REFUSED,
		'403003': [
			'your RunComfy account may not do this',
			`Check the account and its plan on RunComfy. ${OR_PROXY}`,
		],
		'422001': [
			'RunComfy did not accept the values of the fields',
			'Correct the field that RunComfy names, and run again.',
		],
	},
	byStatus: { ...COMMON_STATUSES, 401: '400004', 402: '400002', 403: '403003' },
	ofSubmit: { 404: '400001', 405: '400001' },
};

export const MODEL_READER: ApiReader = {
	codes: MODEL_CODES,
	outputOf: ({ output }) => output,
	// `status` in the answer to a cancel has no meaning [assumed].
	outcomeOf: (body) => textAt(body, 'outcome'),
};

/** The slashes of an ID separate path segments (documented). */
function modelUrl({ addresses }: Http, modelId: string): string {
	return `${addresses.baseUrl}/v1/models/${modelId.split('/').map(encodeURIComponent).join('/')}`;
}

/** The requests of all models: RunComfy finds them by their ID alone (documented). */
export function modelRequests(http: Http): RequestApi {
	return {
		// RunComfy cancels a request only while it is queued (documented).
		cancelsRunning: false,
		requestsPage: GENERATIONS_PAGE,
		...http.requests(`${http.addresses.baseUrl}/v1`, MODEL_READER),
		endedProblem: endedModelProblem,
	};
}

/**
 * One model, where requests are submitted. Its ID as an endpoint is the ID of the model. The body of a submit is the input
 * object itself (documented).
 */
export function modelEndpoint(http: Http, modelId: string): Endpoint {
	return {
		...modelRequests(http),
		id: modelId,
		submit: async (input, options) =>
			await http.submit(modelUrl(http, modelId), input, MODEL_READER, options),
	};
}

/** Describes a request that failed or was cancelled. */
function endedModelProblem(requestId: string, { phase, error }: EndedState): Problem {
	const reason = reasonOf(error);
	const why = reason === undefined ? '' : `: “${reason}”`;
	const isCancelled = phase === 'cancelled';
	return {
		message: `${nameRequest(requestId)} ${isCancelled ? 'was cancelled' : 'failed'}${why}`,
		advice: isCancelled
			? 'It was cancelled before it ran. Run the item again to submit it again.'
			: `Check the image and the prompt, then run the item again: it will be submitted again. Whether RunComfy charges for failed requests is not documented; see ${GENERATIONS_PAGE}.`,
		requestId,
		mayBeInput: !isCancelled,
	};
}

/*
 * The catalog is known only from RunComfy's own clients [assumed]. Parts that are missing or of another shape are left
 * out. Only an answer without its one necessary part is an error.
 */

/** One entry of the catalog. */
export type ModelEntry = NonNullable<ReturnType<typeof readModelEntry>>;

/** Which part of the catalog to list. */
export interface ModelQuery {
	search?: string;
	category?: string;
	/** 1 to 500 [assumed]. */
	limit: number;
	offset: number;
}

/** Asks for the catalog entry of one model, with its input schema and price. */
export function queryModel(http: Http, modelId: string): Query<ModelEntry> {
	return {
		url: modelUrl(http, modelId),
		what: `The model “${modelId}” could not be read`,
		codes: MODEL_CODES,
		read(body) {
			const entry = readModelEntry(body);
			// Another model's schema and price would be believed.
			return entry?.modelId === modelId ? entry : undefined;
		},
		unknown: {
			message: `RunComfy has no model “${modelId}”`,
			advice: 'Choose the model from the list, or copy its ID or URL from its page on RunComfy.',
		},
	};
}

/** Asks for a page of the catalog. */
export function queryModels(
	http: Http,
	query: ModelQuery,
): Query<{ models: ModelEntry[]; received: number }> {
	const { search = '', category = '', limit, offset } = query;
	const filters = Object.entries({ search, category, limit, offset })
		.filter(([, value]) => value !== '')
		// Halves of surrogate pairs, as at the end of a cut-off text, cannot be part of a URL.
		.map(([name, value]) => `${name}=${encodeURIComponent(String(value).replace(/\p{Surrogate}/gu, ''))}`);
	return {
		url: `${http.addresses.baseUrl}/v1/models?${filters.join('&')}`,
		what: 'The list of models could not be read',
		codes: MODEL_CODES,
		read: readModelPage,
	};
}

/** Asks for the names of the catalog's categories. */
export function queryCategories(http: Http): Query<string[]> {
	return {
		url: `${http.addresses.baseUrl}/v1/models/categories`,
		what: 'The list of categories could not be read',
		codes: MODEL_CODES,
		read: readCategories,
	};
}

/** One of the parts that slashes separate in an ID. It needs no encoding in a path [assumed]. */
const MODEL_ID_PART = /^[a-zA-Z0-9][\w.-]*$/;
const MAX_MODEL_ID_LENGTH = 200;

/** True for a text that can be the ID of a model and part of a path. */
export function isModelId(text: string): boolean {
	if (text.length > MAX_MODEL_ID_LENGTH) return false;
	const parts = text.split('/');
	return parts.length > 1 && parts.every((part) => MODEL_ID_PART.test(part));
}

/** @returns undefined for an entry without a usable ID. */
export function readModelEntry(body: unknown) {
	if (!isJsonObject(body)) return undefined;
	const modelId = textAt(body, 'model_id');
	if (modelId === undefined || !isModelId(modelId)) return undefined;
	const url = textAt(body, 'model_url');
	const usd = numberAt(body, 'base_price_usd');
	return {
		modelId,
		displayName: textAt(body, 'display_name') ?? modelId,
		description: textAt(body, 'description'),
		kind: textAt(body, 'kind'),
		categories: textsIn(body.categories),
		price: {
			usd: usd === undefined || usd < 0 ? undefined : usd,
			/** RunComfy's word: `request`, `image`, `output`, and `second` have been seen. */
			unit: textAt(body, 'price_unit')?.toLowerCase(),
			note: cleanReason(textAt(body, 'pricing_note')),
		},
		/** The model's page. The editor shows it as a link. */
		url: url === undefined || findFileUrlProblem(url, { allowLoopback: false }) ? undefined : url,
		/** JSON Schema with quirks; see `models/inputSchema.ts`. */
		inputSchema: isJsonObject(body.input_schema) ? body.input_schema : undefined,
		requiredInputs: textsIn(body.required_inputs),
	};
}

/** A page of the catalog; entries that cannot be used are left out, but counted. */
export function readModelPage(body: unknown) {
	if (!isJsonObject(body) || !Array.isArray(body.models)) return undefined;
	const models = body.models.flatMap((entry: unknown) => readModelEntry(entry) ?? []);
	return { models, received: body.models.length };
}

/** The names of the categories; RunComfy lists strings, or objects that hold the name. */
export function readCategories(body: unknown): string[] | undefined {
	if (!isJsonObject(body) || !Array.isArray(body.categories)) return undefined;
	return body.categories.flatMap((category: unknown) => {
		if (typeof category === 'string') return [category];
		if (!isJsonObject(category)) return [];
		return textAt(category, 'category') ?? textAt(category, 'name') ?? textAt(category, 'id') ?? [];
	});
}
