import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { JsonObject } from '../../api/json';
import { isJsonObject } from '../../api/json';
import { omitUndefined } from '../../common/omitUndefined';
import { FieldError } from '../../common/fieldError';
import { openInputFile, type InputSource } from '../../files/inputFile';
import type { Operation, OperationTools } from '../shared/operation';
import {
	numberIn,
	type OptionsReader,
	readChoice,
	readFileUrl,
	readFilledText,
	readJsonObject,
	readText,
	SEED_RANGE,
} from '../shared/parameters';
import { readSubmissionOptions, submissionFields, submissionWork } from '../shared/submission';
import { explainFileInput, randomSeed } from '../shared/modelInputs';

/** Ideogram 3.0 Replace Background: one typed model on top of the queue. Source of the schema: its API page. */
const MODEL_ID = 'ideogram/ideogram-v3/replace-background';

const SPEEDS = ['BALANCED', 'QUALITY', 'TURBO'] as const;
const MAGIC_PROMPTS = ['ON', 'AUTO', 'OFF'] as const;
/** Ideogram's own names; only Ember is attested for RunComfy (the others are assumed; “JSON” is the way around them). */
const PALETTES = ['Ember', 'Fresh', 'Jungle', 'Magic', 'Melon', 'Mosaic', 'Pastel', 'Ultramarine'] as const;
/** Ideogram's own types; only Auto is attested for RunComfy (the others are assumed). */
const STYLES = ['Auto', 'Design', 'Fiction', 'General', 'Realistic'] as const;

const MAX_PALETTE_COLORS = 8;
const COLOR_WEIGHT = { min: 0.05, max: 1 };

const fields: INodeProperties[] = [
	{
		displayName: 'Image Source',
		name: 'imageSource',
		type: 'options',
		options: [
			{ name: 'URL', value: 'url', description: 'An image on the internet that opens without login' },
			{ name: 'Input File', value: 'binary', description: 'An image file that comes with the item' },
		],
		default: 'url',
		description: 'Where the picture comes from whose background is to be replaced',
	},
	{
		displayName: 'Image URL',
		name: 'imageUrl',
		type: 'string',
		required: true,
		default: '',
		placeholder: 'e.g. https://example.com/product.png',
		description:
			'A public HTTPS address that RunComfy can open without login. At most 50 MB are recommended.',
		displayOptions: { show: { imageSource: ['url'] } },
	},
	{
		displayName: 'Input Data Field Name',
		name: 'binaryPropertyName',
		type: 'string',
		required: true,
		default: 'data',
		placeholder: 'e.g. data',
		hint: 'The name of the input field with the image file (JPEG, PNG or WebP). Whether RunComfy takes files for this model is not confirmed: the sure way is to upload the file to a storage and to pass its URL.',
		displayOptions: { show: { imageSource: ['binary'] } },
	},
	{
		displayName: 'Prompt',
		name: 'prompt',
		type: 'string',
		typeOptions: { rows: 4 },
		required: true,
		default: '',
		placeholder: 'e.g. On a wooden table in a sunny kitchen, soft morning light',
		description: 'The scene that is to replace the background',
	},
	{
		displayName: 'Rendering Speed',
		name: 'renderingSpeed',
		type: 'options',
		options: [
			{ name: 'Balanced', value: 'BALANCED' },
			{ name: 'Quality', value: 'QUALITY' },
			{ name: 'Turbo', value: 'TURBO' },
		],
		default: 'BALANCED',
		description: 'Whether the image should come faster or better',
	},
	{
		displayName: 'Magic Prompt',
		name: 'magicPrompt',
		type: 'options',
		options: [
			{ name: 'On', value: 'ON', description: 'The prompt is always enriched' },
			{ name: 'Auto', value: 'AUTO', description: 'The model decides' },
			{ name: 'Off', value: 'OFF', description: 'The prompt is used as it is' },
		],
		default: 'ON',
		description: 'Whether the model may enrich your prompt',
	},
	{
		displayName: 'Color Palette',
		name: 'colorPalette',
		type: 'options',
		options: [
			{ name: 'Default', value: 'default', description: 'Leave the choice to RunComfy' },
			...PALETTES.map((name) => ({ name, value: name })),
			{ name: 'Custom Colors', value: 'custom', description: 'Up to eight colors of your own' },
			{ name: 'JSON', value: 'json', description: 'For values that this list does not offer' },
		],
		default: 'default',
		description: 'The colors of the new scene',
	},
	{
		displayName: 'Palette Colors',
		name: 'paletteColors',
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
						description: 'How much of the color there should be, from 0.05 to 1',
					},
				],
			},
		],
		displayOptions: { show: { colorPalette: ['custom'] } },
	},
	{
		displayName: 'Palette (JSON)',
		name: 'paletteJson',
		type: 'json',
		default: '{\n  "name": "Ember"\n}',
		description: 'Sent to the model as color_palette',
		displayOptions: { show: { colorPalette: ['json'] } },
	},
	{
		displayName: 'Style',
		name: 'style',
		type: 'options',
		options: [
			{ name: 'Default', value: 'default', description: 'Leave the choice to RunComfy' },
			...STYLES.map((name) => ({ name, value: name })),
			{ name: 'JSON', value: 'json', description: 'For values that this list does not offer' },
		],
		default: 'default',
		description: 'The look of the new scene',
	},
	{
		displayName: 'Style (JSON)',
		name: 'styleJson',
		type: 'json',
		default: '{\n  "style_type": "Auto"\n}',
		description: 'Sent to the model as style',
		displayOptions: { show: { style: ['json'] } },
	},
	...submissionFields(['seed']),
];

/** The image as the model takes it, read only when it is sent: files may be large. */
async function readImage(
	{ context, access }: OperationTools,
	itemIndex: number,
	source: 'url' | 'binary',
	options: OptionsReader,
): Promise<InputSource> {
	if (source === 'url') {
		const url = readFileUrl(context, itemIndex, 'imageUrl', 'Image URL', access.isLoopback);
		return { bytes: url.length, read: async () => url };
	}
	const fieldName = readText(context, itemIndex, 'binaryPropertyName', 'Input Data Field Name');
	return await openInputFile(context, itemIndex, {
		label: 'Input Data Field Name',
		fieldName,
		kind: 'image',
		maxMegabytes: options.maxFileSize,
	});
}

/** The model's `color_palette`; undefined when the field is to be left out. */
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
	if (colors.length === 0) throw new FieldError(label, 'must hold at least one color');
	if (colors.length > MAX_PALETTE_COLORS) {
		throw new FieldError(
			label,
			`may hold at most ${MAX_PALETTE_COLORS} colors, but there are ${colors.length}`,
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

/** The model's `style`; undefined when the field is to be left out. */
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
		const { options, limits, wait, download } = readSubmissionOptions(context, itemIndex, true);
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
		const request = {
			modelId: MODEL_ID,
			buildInput: async () => ({ image: await image.read(), ...input, seed }),
			inputBytes: image.bytes,
			seed,
			limits,
		};
		const work = submissionWork(itemIndex, { wait, download, request });
		return source === 'url' ? work : explainFileInput(work);
	},
};
