import { omitUndefined } from '../common/omitUndefined';
import { findFileUrlProblem } from './addresses';
import { isJsonObject, numberOf, textOf, textsOf, type JsonObject } from './json';
import { cleanReason, errorCodeOf, explainAnswer, isTransient, type Problem } from './problems';
import { readRetryAfterMs } from './responses';
import type { ApiAnswer } from './transport';

/**
 * Pure readers of RunComfy's catalogue and of the balance. Both are known from RunComfy's own clients only [assumed]:
 * whatever is missing or of another shape is left out, and only an answer without its one necessary part is an error.
 */

/** What a model costs, as far as its entry says. */
export interface ModelPrice {
	usd?: number;
	/** RunComfy's word: `request`, `image`, `output`, `second` have been seen. */
	unit?: string;
	note?: string;
}

/** One entry of the catalogue. */
export interface ModelEntry {
	modelId: string;
	displayName: string;
	description?: string;
	kind?: string;
	categories: string[];
	price: ModelPrice;
	/** The model's page. */
	url?: string;
	/** JSON Schema with quirks; see `models/inputSchema.ts`. */
	inputSchema?: JsonObject;
	requiredInputs: string[];
}

export interface ModelPage {
	models: ModelEntry[];
	/** With those that could not be used. */
	received: number;
}

export interface Balance {
	balance: number;
	currency: string;
}

/** The answer to a free question; `what` could not be had. */
export type CatalogueAnswer<T> =
	| { kind: 'found'; value: T }
	/** A transient error: asking again costs nothing. */
	| { kind: 'again'; what: string; why: string; retryAfterMs: number | undefined }
	| { kind: 'refused'; problem: Problem };

/**
 * @param what could not be had, for the error: “The list of models could not be read”.
 * @param read the answer's body; undefined when it is not what was asked for.
 */
export function readCatalogue<T>(
	answer: ApiAnswer,
	now: number,
	what: string,
	read: (body: unknown) => T | undefined,
): CatalogueAnswer<T> {
	const { status, body, headers } = answer;
	if (isTransient(answer)) {
		return {
			kind: 'again',
			what,
			why: `it answered with HTTP ${status}`,
			retryAfterMs: readRetryAfterMs(headers, now),
		};
	}
	const isSuccess = status >= 200 && status < 300 && errorCodeOf(body) === undefined;
	const value = isSuccess ? read(body) : undefined;
	if (value !== undefined) return { kind: 'found', value };
	if (isSuccess) return { kind: 'again', what, why: 'its answer could not be read', retryAfterMs: undefined };
	const { what: reason, advice } = explainAnswer(answer);
	const code = errorCodeOf(body);
	const isNotFound = code === undefined ? status === 404 : code === '404001' || code === '400001';
	return {
		kind: 'refused',
		problem: {
			message: `${what}: ${reason}`,
			advice,
			httpStatus: status,
			...(isNotFound ? { isNotFound } : {}),
		},
	};
}

/** Slashes are part of an id; the parts are what a path can hold as it is. [assumed] */
const MODEL_ID_PART = /^[a-zA-Z0-9][\w.-]*$/;
const MAX_MODEL_ID_LENGTH = 200;

/** True for text that can be the id of a model, and stand in a path. */
export function isModelId(text: string): boolean {
	if (text.length > MAX_MODEL_ID_LENGTH) return false;
	const parts = text.split('/');
	return parts.length > 1 && parts.every((part) => MODEL_ID_PART.test(part));
}

/** An entry of the catalogue; undefined when it has no usable id. */
export function readModelEntry(body: unknown): ModelEntry | undefined {
	if (!isJsonObject(body)) return undefined;
	const modelId = textOf(body, 'model_id');
	if (modelId === undefined || !isModelId(modelId)) return undefined;
	const url = textOf(body, 'model_url');
	return {
		...omitUndefined({
			description: textOf(body, 'description'),
			kind: textOf(body, 'kind'),
			// The editor makes a link of it.
			url: url === undefined || findFileUrlProblem(url, { allowLoopback: false }) ? undefined : url,
			inputSchema: isJsonObject(body.input_schema) ? body.input_schema : undefined,
		}),
		modelId,
		displayName: textOf(body, 'display_name') ?? modelId,
		categories: textsOf(body.categories),
		price: readPrice(body),
		requiredInputs: textsOf(body.required_inputs),
	};
}

function readPrice(body: JsonObject): ModelPrice {
	const usd = numberOf(body, 'base_price_usd');
	return omitUndefined({
		usd: usd === undefined || usd < 0 ? undefined : usd,
		unit: textOf(body, 'price_unit')?.toLowerCase(),
		note: cleanReason(textOf(body, 'pricing_note')),
	});
}

/** A page of the catalogue; entries that cannot be used are left out. */
export function readModelPage(body: unknown): ModelPage | undefined {
	if (!isJsonObject(body) || !Array.isArray(body.models)) return undefined;
	return {
		models: body.models.map(readModelEntry).filter((entry): entry is ModelEntry => entry !== undefined),
		received: body.models.length,
	};
}

/** Names of categories; they come as words or as objects that have one. */
export function readCategories(body: unknown): string[] | undefined {
	if (!isJsonObject(body) || !Array.isArray(body.categories)) return undefined;
	return body.categories.flatMap((category: unknown) => {
		if (typeof category === 'string') return [category];
		if (!isJsonObject(category)) return [];
		return [textOf(category, 'category') ?? textOf(category, 'name') ?? textOf(category, 'id') ?? []].flat();
	});
}

export function readBalance(body: unknown): Balance | undefined {
	if (!isJsonObject(body)) return undefined;
	const balance = numberOf(body, 'balance_usd');
	return balance === undefined ? undefined : { balance, currency: textOf(body, 'currency') ?? 'USD' };
}
