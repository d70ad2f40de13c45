import catalog from './catalog.json';

/**
 * The sandbox's catalog, as RunComfy's API answers it: eight models whose schemas have the quirks of RunComfy's public ones (`type: "float"`,
 * `default: null`, `validations`, file formats, parts that no JSON Schema knows). Ids and prices are for tests only.
 */
export interface SandboxModel {
	model_id: string;
	display_name: string;
	description: string;
	/** RunComfy's words. */
	kind: 'model' | 'workflow' | 'inference';
	/** What a run makes; not in RunComfy's answers. */
	makes: 'image' | 'video' | 'audio' | 'text';
	categories: string[];
	base_price_usd?: number | null;
	price_unit?: string | null;
	pricing_note?: string;
	model_url: string;
	input_schema: { type: 'object'; properties: Record<string, unknown>; required?: string[] };
}

export const MODEL_ID = 'ideogram/ideogram-v3/replace-background';
export const TEXT_TO_IMAGE = 'blackforestlabs/flux-2/flash/text-to-image';
export const IMAGE_TO_VIDEO = 'bytedance/seedance-2.5/image-to-video/1080p';
export const TEXT_TO_AUDIO = 'acestep-ai/ace-step-1.5/text-to-audio';
export const IMAGE_EDIT = 'bytedance/seedream-5.0-pro/image-to-image';
export const QUIRKS = 'runcomfy/quirks/everything';
export const IMAGE_TO_TEXT = 'runcomfy/caption/image-to-text';

export const CATALOG = catalog as SandboxModel[];

/** The price of one request, as far as the sandbox goes into that. */
export function costOf(
	{ base_price_usd: usd, price_unit: unit, model_id: modelId }: SandboxModel,
	input: Record<string, unknown>,
): number {
	if (typeof usd !== 'number') return modelId === TEXT_TO_AUDIO ? 0.07 : 0.01;
	if (unit === 'second') return usd * (typeof input.duration === 'number' ? input.duration : 5);
	return usd * (typeof input.num_images === 'number' ? input.num_images : 1);
}

/** A schema as a validator can take it: without the quirks, and without what it does not know. */
export function withoutQuirks(schema: unknown): unknown {
	if (Array.isArray(schema)) return schema.map(withoutQuirks);
	if (typeof schema !== 'object' || schema === null) return schema;
	const KNOWN_TYPES = ['string', 'integer', 'number', 'boolean', 'object', 'array', 'null'];
	const kept = Object.entries(schema).flatMap(([name, value]): Array<[string, unknown]> => {
		if (['format', 'validations', 'default', '$ref', 'title', 'description'].includes(name)) return [];
		if (name === 'type' && value === 'float') return [['type', 'number']];
		if (name === 'type' && typeof value === 'string' && !KNOWN_TYPES.includes(value)) return [];
		if (name === 'exclusiveMinimum' && value === true) return [];
		if (name === 'enum' || name === 'required' || name === 'const') return [[name, value]];
		if (name === 'properties') {
			const properties = Object.entries(value as object).map(([key, rules]) => [
				key,
				withoutQuirks(rules ?? {}),
			]);
			return [['properties', Object.fromEntries(properties)]];
		}
		return [[name, withoutQuirks(value)]];
	});
	return Object.fromEntries(kept);
}
