import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../../api/json';
import { type InputSource, openInputFile, urlSource } from '../../files/inputFile';
import type { Field } from '../../n8n/identity';
import { FieldError } from '../../util/errors';
import { omitUndefined } from '../../util/values';
import { explainFileInput } from '../shared/fileInputs';
import type { ItemWork, Operation, OperationTools } from '../shared/operation';
import type { OptionsReader } from '../shared/options';
import {
	numberIn,
	readChoice,
	readFileUrl,
	readFilledText,
	readJsonObject,
	readText,
} from '../shared/parameters';
import { randomSeed, SEED_RANGE } from '../shared/seeds';
import {
	modelWork,
	noContent,
	readResumeOptions,
	readSubmissionOptions,
	type RequestContent,
	submissionFields,
	type SubmissionOptions,
} from '../shared/submission';

/** Ideogram 3.0 Replace Background. Its inputs are typed fields, taken from the model's API page (documented). */
const MODEL_ID = 'ideogram/ideogram-v3/replace-background';

const SPEEDS = ['BALANCED', 'QUALITY', 'TURBO'] as const;
const MAGIC_PROMPTS = ['ON', 'AUTO', 'OFF'] as const;
/** Ideogram's names: Ember (documented), the others [assumed]. Users can enter other values as JSON. */
const PALETTES = ['Ember', 'Fresh', 'Jungle', 'Magic', 'Melon', 'Mosaic', 'Pastel', 'Ultramarine'] as const;
/** Ideogram's names: Auto (documented), the others [assumed]. Users can enter other values as JSON. */
const STYLES = ['Auto', 'Design', 'Fiction', 'General', 'Realistic'] as const;

const MAX_PALETTE_COLORS = 8;
const COLOR_WEIGHT = { min: 0.05, max: 1 };

const fields: Field[] = [
	{
		displayName: 'Image Source',
		name: 'imageSource',
		decides: true,
		type: 'options',
		options: [
			{ name: 'URL', value: 'url', description: 'An image on the internet that opens without a login' },
			{ name: 'Input File', value: 'binary', description: 'An image file of the input item' },
		],
		default: 'url',
		description: 'Where to get the image whose background is replaced',
	},
	{
		displayName: 'Image URL',
		name: 'imageUrl',
		decides: true,
		type: 'string',
		required: true,
		default: '',
		placeholder: 'e.g. https://example.com/product.png',
		description:
			'A public HTTPS URL that RunComfy can open without a login. RunComfy recommends at most 50 MB.',
		displayOptions: { show: { imageSource: ['url'] } },
	},
	{
		displayName: 'Input Data Field Name',
		name: 'binaryPropertyName',
		decides: true,
		type: 'string',
		required: true,
		default: 'data',
		placeholder: 'e.g. data',
		hint: 'The name of the input field containing the image file (JPEG, PNG, or WebP). It is not confirmed that RunComfy accepts files for this model. To be safe, upload the file to a storage service and use its URL.',
		displayOptions: { show: { imageSource: ['binary'] } },
	},
	{
		displayName: 'Prompt',
		name: 'prompt',
		decides: true,
		type: 'string',
		typeOptions: { rows: 4 },
		required: true,
		default: '',
		placeholder: 'e.g. On a wooden table in a sunny kitchen, soft morning light',
		description: 'The scene that replaces the background',
	},
	{
		displayName: 'Rendering Speed',
		name: 'renderingSpeed',
		decides: true,
		type: 'options',
		options: [
			{ name: 'Balanced', value: 'BALANCED' },
			{ name: 'Quality', value: 'QUALITY' },
			{ name: 'Turbo', value: 'TURBO' },
		],
		default: 'BALANCED',
		description: 'Trades speed for quality',
	},
	{
		displayName: 'Magic Prompt',
		name: 'magicPrompt',
		decides: true,
		type: 'options',
		options: [
			{ name: 'On', value: 'ON', description: 'Always enhance the prompt' },
			{ name: 'Auto', value: 'AUTO', description: 'Let the model decide' },
			{ name: 'Off', value: 'OFF', description: 'Use the prompt as it is' },
		],
		default: 'ON',
		description: 'Whether the model may enhance your prompt',
	},
	{
		displayName: 'Color Palette',
		name: 'colorPalette',
		decides: true,
		type: 'options',
		options: [
			{ name: 'Default', value: 'default', description: 'Let RunComfy choose' },
			...PALETTES.map((name) => ({ name, value: name })),
			{ name: 'Custom Colors', value: 'custom', description: 'Up to eight custom colors' },
			{ name: 'JSON', value: 'json', description: 'For values that are not in this list' },
		],
		default: 'default',
		description: 'The colors of the new scene',
	},
	{
		displayName: 'Palette Colors',
		name: 'paletteColors',
		decides: true,
		type: 'fixedCollection',
		typeOptions: { multipleValues: true },
		placeholder: 'Add Color',
		default: {},
		options: [
			{
				displayName: 'Color',
				name: 'color',
				values: [
					{
						displayName: 'Color',
						name: 'hex',
						type: 'color',
						default: '#ff8800',
					},
					{
						displayName: 'Weight',
						name: 'weight',
						type: 'number',
						typeOptions: { minValue: COLOR_WEIGHT.min, maxValue: COLOR_WEIGHT.max, numberPrecision: 2 },
						default: 0.5,
						description: 'How strongly the color is used, from 0.05 to 1',
					},
				],
			},
		],
		displayOptions: { show: { colorPalette: ['custom'] } },
	},
	{
		displayName: 'Palette (JSON)',
		name: 'paletteJson',
		decides: true,
		type: 'json',
		default: '{\n  "name": "Ember"\n}',
		description: 'Sent to the model as color_palette',
		displayOptions: { show: { colorPalette: ['json'] } },
	},
	{
		displayName: 'Style',
		name: 'style',
		decides: true,
		type: 'options',
		options: [
			{ name: 'Default', value: 'default', description: 'Let RunComfy choose' },
			...STYLES.map((name) => ({ name, value: name })),
			{ name: 'JSON', value: 'json', description: 'For values that are not in this list' },
		],
		default: 'default',
		description: 'The style of the new scene',
	},
	{
		displayName: 'Style (JSON)',
		name: 'styleJson',
		decides: true,
		type: 'json',
		default: '{\n  "style_type": "Auto"\n}',
		description: 'Sent to the model as style',
		displayOptions: { show: { style: ['json'] } },
	},
	...submissionFields(['seed']),
];

/** The image as the model expects it. Files may be large, so they are read only when they are sent. */
async function readImage(
	{ context, access }: OperationTools,
	itemIndex: number,
	source: 'url' | 'binary',
	options: OptionsReader,
): Promise<InputSource> {
	if (source === 'url') {
		const url = readFileUrl(context, itemIndex, 'imageUrl', 'Image URL', access.isLoopback);
		return urlSource(url);
	}
	const fieldName = readText(context, itemIndex, 'binaryPropertyName', 'Input Data Field Name');
	return await openInputFile(context, itemIndex, {
		label: 'Input Data Field Name',
		fieldName,
		kind: 'image',
		maxMegabytes: options.maxFileSize,
	});
}

/** The model's `color_palette`; undefined to leave it out. */
function readPalette(context: IExecuteFunctions, itemIndex: number): JsonObject | undefined {
	const choice = readChoice(context, itemIndex, 'colorPalette', 'Color Palette', [
		'default',
		...PALETTES,
		'custom',
		'json',
	]);
	if (choice === 'default') return undefined;
	if (choice === 'json') return readJsonObject(context, itemIndex, 'paletteJson', 'Palette (JSON)');
	if (choice === 'custom') return { members: readPaletteMembers(context, itemIndex) };
	return { name: choice };
}

function readPaletteMembers(context: IExecuteFunctions, itemIndex: number): JsonObject[] {
	const label = 'Palette Colors';
	const raw: unknown = context.getNodeParameter('paletteColors', itemIndex, {});
	const colors: unknown[] = isJsonObject(raw) && Array.isArray(raw.color) ? raw.color : [];
	if (colors.length === 0) throw new FieldError(label, 'must contain at least one color');
	if (colors.length > MAX_PALETTE_COLORS) {
		throw new FieldError(
			label,
			`may contain at most ${MAX_PALETTE_COLORS} colors, but there are ${colors.length}`,
		);
	}
	return colors.map((color, index) => {
		const { hex, weight } = isJsonObject(color) ? color : {};
		const nth = `${label} → Color ${index + 1}`;
		if (typeof hex !== 'string' || !/^#?[0-9a-f]{6}$/i.test(hex.trim())) {
			throw new FieldError(nth, 'must be a color like #ff8800');
		}
		return {
			color_hex: `#${hex.trim().replace('#', '').toLowerCase()}`,
			color_weight: numberIn(weight, `${nth} → Weight`, COLOR_WEIGHT),
		};
	});
}

/** The model's `style`; undefined to leave it out. */
function readStyle(context: IExecuteFunctions, itemIndex: number): JsonObject | undefined {
	const choice = readChoice(context, itemIndex, 'style', 'Style', ['default', ...STYLES, 'json']);
	if (choice === 'default') return undefined;
	return choice === 'json'
		? readJsonObject(context, itemIndex, 'styleJson', 'Style (JSON)')
		: { style_type: choice };
}

export const replaceBackground: Operation = {
	fields,

	async prepare(tools, itemIndex) {
		const { context, random } = tools;
		const submission = readSubmissionOptions(tools, itemIndex);
		const { options } = submission;
		const source = readChoice(context, itemIndex, 'imageSource', 'Image Source', ['url', 'binary']);
		const image = await readImage(tools, itemIndex, source, options);
		const input: JsonObject = {
			prompt: readFilledText(context, itemIndex, 'prompt', 'Prompt'),
			rendering_speed: readChoice(context, itemIndex, 'renderingSpeed', 'Rendering Speed', SPEEDS),
			magic_prompt: readChoice(context, itemIndex, 'magicPrompt', 'Magic Prompt', MAGIC_PROMPTS),
			...omitUndefined({
				color_palette: readPalette(context, itemIndex),
				style: readStyle(context, itemIndex),
			}),
		};
		const seed = options.seed() ?? randomSeed(random, SEED_RANGE);
		const content = {
			buildInput: async () => ({ image: await image.read(), ...input, seed }),
			inputBytes: image.bytes,
		};
		const work = workOf(tools, itemIndex, submission, content, seed);
		return source === 'url' ? work : explainFileInput(work);
	},

	resume: (tools, itemIndex, _modelId, problem) =>
		workOf(tools, itemIndex, readResumeOptions(tools, itemIndex), noContent(problem)),
};

function workOf(
	tools: OperationTools,
	itemIndex: number,
	{ download, waits, limits }: SubmissionOptions,
	content: RequestContent,
	seed?: number,
): ItemWork {
	return modelWork(tools, itemIndex, {
		...{ modelId: MODEL_ID, download, request: { ...content, waits, limits }, seed },
		needsFile: true,
	});
}
