import { omitUndefined } from '../util/values';
import { isJsonObject, type JsonObject, numberOf, textOf, textsOf } from './json';
import { cleanReason } from './problems';
import { findFileUrlProblem } from './urls';

/**
 * Pure readers of RunComfy's model catalog, which is known only from RunComfy's own clients [assumed]. Parts that are
 * missing or of another shape are left out. Only an answer without its one necessary part is an error.
 */

/** What a model costs, as far as its catalog entry says. */
export interface ModelPrice {
	usd?: number;
	/** RunComfy's word: `request`, `image`, `output`, and `second` have been seen. */
	unit?: string;
	note?: string;
}

/** One entry of the catalog. */
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
	/** The number of entries, including those that could not be used. */
	received: number;
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

/** An entry of the catalog; undefined when it has no usable ID. */
export function readModelEntry(body: unknown): ModelEntry | undefined {
	if (!isJsonObject(body)) return undefined;
	const modelId = textOf(body, 'model_id');
	if (modelId === undefined || !isModelId(modelId)) return undefined;
	const url = textOf(body, 'model_url');
	return {
		...omitUndefined({
			description: textOf(body, 'description'),
			kind: textOf(body, 'kind'),
			// The editor shows it as a link.
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

/** A page of the catalog; entries that cannot be used are left out. */
export function readModelPage(body: unknown): ModelPage | undefined {
	if (!isJsonObject(body) || !Array.isArray(body.models)) return undefined;
	return {
		models: body.models.map(readModelEntry).filter((entry): entry is ModelEntry => entry !== undefined),
		received: body.models.length,
	};
}

/** The names of the categories; RunComfy lists strings, or objects that hold the name. */
export function readCategories(body: unknown): string[] | undefined {
	if (!isJsonObject(body) || !Array.isArray(body.categories)) return undefined;
	return body.categories.flatMap((category: unknown) => {
		if (typeof category === 'string') return [category];
		if (!isJsonObject(category)) return [];
		return [textOf(category, 'category') ?? textOf(category, 'name') ?? textOf(category, 'id') ?? []].flat();
	});
}
