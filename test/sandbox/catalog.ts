import inputSchema from './inputSchema.json';

/**
 * The sandbox's catalog: a dozen models whose schemas have the quirks of RunComfy's public ones (`type: "float"`,
 * `default: null`, `validations`, file formats, parts that no JSON Schema knows). Ids and prices are for tests only.
 */
export interface SandboxModel {
	model_id: string;
	display_name: string;
	description: string;
	kind: 'image' | 'video' | 'audio' | 'text';
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

const PAGES = 'https://www.runcomfy.com/models';
const SEED = { title: 'Seed', type: 'integer', default: null, minimum: 0, maximum: 2147483647 };
const PROMPT = { title: 'Prompt', description: 'What to make', type: 'string' };

function model(
	modelId: string,
	displayName: string,
	kind: SandboxModel['kind'],
	category: string,
	price: readonly [usd: number | null, unit: string | null],
	required: string[],
	properties: Record<string, unknown>,
	more: Partial<SandboxModel> = {},
): SandboxModel {
	return {
		model_id: modelId,
		display_name: displayName,
		description: `${displayName} as the sandbox has it`,
		kind,
		categories: [category],
		base_price_usd: price[0],
		price_unit: price[1],
		model_url: `${PAGES}/${modelId}`,
		input_schema: { type: 'object', required, properties },
		...more,
	};
}

export const CATALOG: SandboxModel[] = [
	{
		...model(
			MODEL_ID,
			'Ideogram 3.0 | Replace Background',
			'image',
			'image-to-image',
			[0.06, 'image'],
			[],
			{},
			{},
		),
		description: 'Replace backgrounds with prompt-controlled scenes, keeping subjects intact.',
		input_schema: inputSchema as SandboxModel['input_schema'],
	},
	model(
		TEXT_TO_IMAGE,
		'FLUX 2 Flash | Text to Image',
		'image',
		'text-to-image',
		[0.02, 'request'],
		['prompt'],
		{
			prompt: PROMPT,
			guidance_scale: {
				title: 'Guidance Scale',
				description: 'How closely to follow the prompt',
				type: 'float',
				minimum: 0,
				maximum: 20,
				default: 2.5,
			},
			seed: { title: 'Seed', description: '', type: 'integer', default: null },
			image_size: {
				title: 'Image Size',
				type: 'string',
				enum: ['square_hd', 'square', 'portrait_4_3', 'landscape_4_3', 'landscape_16_9'],
				default: 'landscape_4_3',
			},
			output_format: {
				title: 'Output Format',
				type: 'string',
				enum: ['jpeg', 'png', 'webp'],
				default: 'png',
			},
		},
		// The page of this model is not at its id.
		{ model_url: `${PAGES}/blackforestlabs/flux-2-flash` },
	),
	model(
		'google/nano-banana-2-lite/edit',
		'Nano Banana 2 Lite | Edit',
		'image',
		'image-to-image',
		[0.04, 'output'],
		['prompt', 'image_urls'],
		{
			prompt: PROMPT,
			aspect_ratio: { type: 'string', enum: ['auto', '16:9', '1:1', '9:16'], default: 'auto' },
			image_urls: { type: 'array', format: 'image_uris', minItems: 1, maxItems: 10 },
			num_images: { type: 'integer', default: 1, minimum: 1, maximum: 4 },
		},
	),
	model(
		IMAGE_EDIT,
		'Seedream 5.0 Pro | Image to Image',
		'image',
		'image-to-image',
		[0.05, 'image'],
		['prompt', 'image'],
		{
			prompt: { default: '', type: 'string' },
			resolution: { default: '2K', enum: ['1K', '2K'], type: 'string' },
			image: {
				format: 'image_uris',
				maxItems: 10,
				minItems: 1,
				type: 'array',
				validations: [
					{
						validation_rule: 'file_size_mb<',
						validation_value: 30,
						validation_error: 'File size must be less than 30 MB.',
					},
					{
						validation_rule: 'width/height>',
						validation_value: 0.0625,
						validation_error: 'The aspect ratio range should be 1:16 to 16:1.',
					},
				],
			},
		},
	),
	model(
		IMAGE_TO_VIDEO,
		'Seedance 2.5 | Image to Video 1080p',
		'video',
		'image-to-video',
		[0.12, 'second'],
		['prompt', 'image'],
		{
			prompt: { default: '', type: 'string' },
			duration: { default: 5, maximum: 30, minimum: 4, type: 'integer' },
			generate_audio: { default: true, type: 'boolean' },
			image: { format: 'image_uri', type: 'string' },
		},
	),
	model(
		'wan-ai/wan-3.0/image-to-video',
		'Wan 3.0 | Image to Video',
		'video',
		'image-to-video',
		[0.1, 'second'],
		['prompt', 'image_url'],
		{
			prompt: { default: '', type: 'string' },
			resolution: { default: '720p', enum: ['480p', '720p', '1080p'], type: 'string' },
			duration: { default: 5, maximum: 30, minimum: 2, type: 'integer' },
			prompt_extend: { default: true, type: 'boolean' },
			seed: { ...SEED, default: 0 },
			image_url: { format: 'image_uri', type: 'string' },
			end_image_url: { format: 'image_uri', type: 'string', default: null },
		},
	),
	model(
		'lightricks/ltx-2.5/audio-to-video',
		'LTX 2.5 | Audio to Video',
		'video',
		'audio-to-video',
		[0.08, 'second'],
		['audio_url'],
		{
			prompt: { type: ['string', 'null'], default: null },
			audio_url: { format: 'audio_uri', type: 'string' },
			image_url: { anyOf: [{ format: 'image_uri', type: 'string' }, { type: 'null' }], default: null },
		},
	),
	model(
		'bytedance/seedance-2.5/reference-to-video/1080p',
		'Seedance 2.5 | Reference to Video',
		'video',
		'reference-to-video',
		[0.15, 'second'],
		['prompt'],
		{
			prompt: { default: '', type: 'string' },
			images: { format: 'image_uris', maxItems: 9, type: 'array' },
			videos: { format: 'video_uris', maxItems: 3, type: 'array' },
			audios: { format: 'audio_uris', maxItems: 3, type: 'array' },
		},
	),
	model(TEXT_TO_AUDIO, 'ACE-Step 1.5 | Text to Audio', 'audio', 'text-to-audio', [null, null], ['tags'], {
		tags: { type: 'string', description: 'Style of the music' },
		lyrics: { type: 'string', default: null, maxLength: 4096 },
		duration: { type: 'float', default: 3, minimum: 1, maximum: 240 },
		seed: SEED,
	}),
	model(
		'blackforestlabs/flux-1/dev/lora',
		'FLUX 1 Dev | LoRA',
		'image',
		'text-to-image',
		[0.03, 'request'],
		['prompt', 'lora_path'],
		{
			prompt: PROMPT,
			lora_path: { title: 'LoRA Path', type: 'string', format: 'lora_path' },
			lora_scale: { title: 'LoRA Scale', type: 'float', default: 1.0, minimum: 0, exclusiveMaximum: 4 },
			loras: {
				type: 'array',
				default: null,
				items: { type: 'object', properties: { path: { type: 'string' }, scale: { type: 'float' } } },
			},
		},
	),
	model(
		'kling/kling-3.0/pro/text-to-video',
		'Kling 3.0 Pro | Text to Video',
		'video',
		'text-to-video',
		[0.2, 'second'],
		['prompt'],
		{
			prompt: PROMPT,
			duration: { type: 'integer', enum: [5, 10], default: 5 },
			camera: {
				type: 'object',
				properties: { move: { type: 'string' }, speed: { type: 'float' } },
				required: ['move'],
			},
			multi_prompt: { type: 'array', items: { type: 'object', properties: { prompt: PROMPT } } },
		},
	),
	model(
		QUIRKS,
		'Everything that no schema should have',
		'image',
		'text-to-image',
		[0.01, 'request'],
		['prompt'],
		{
			prompt: PROMPT,
			style: { $ref: '#/$defs/Style' },
			mystery: { type: 'tensor', default: null },
			safety_tolerance: { type: 'integer', enum: [1, 2, 3, '4'], default: 2 },
			mode: { const: 'fast' },
			publish_at: { type: 'string', format: 'date-time' },
			mask: { type: 'string', default: 'https://playgrounds-storage-public.runcomfy.net/tools/1/mask.png' },
			strength: { type: 'number', minimum: 0, exclusiveMinimum: true },
			enable: { type: 'boolean' },
			nothing: null,
		},
	),
	model(IMAGE_TO_TEXT, 'Caption | Image to Text', 'text', 'image-to-text', [0.005, 'request'], ['image'], {
		image: { type: 'string', format: 'image_uri' },
	}),
];

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
