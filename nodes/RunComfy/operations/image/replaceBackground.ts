import { isJsonObject, type JsonObject } from '../../api/json';
import { modelEndpoint, queryModel } from '../../api/modelApi';
import { downloadFields } from '../../fields/downloads';
import { fileAdvice } from '../../fields/files';
import { numberOf, urlOf, type Field, type Item } from '../../fields/item';
import { OPTIONS, optionsField } from '../../fields/options';
import { openInputFile, urlSource, type FileRules, type InputSource } from '../../files/inputFile';
import { randomSeed, SEED_RANGE } from '../../models/seeds';
import { FieldError } from '../../util/errors';
import { findModelOutputProblem, toModelOutput } from '../modelOutput';
import type { SubmittingOperation } from '../operation';
import { MODEL_OPTIONS, waitField } from '../submission';

/** Ideogram 3.0 Replace Background. Its inputs are typed fields, taken from the model's API page (documented). */
const MODEL_ID = 'ideogram/ideogram-v3/replace-background';

/** Ideogram's names: Ember (documented), the others [assumed]. Users can enter other values as JSON. */
const PALETTES = ['Ember', 'Fresh', 'Jungle', 'Magic', 'Melon', 'Mosaic', 'Pastel', 'Ultramarine'] as const;
/** Ideogram's names: Auto (documented), the others [assumed]. Users can enter other values as JSON. */
const STYLES = ['Auto', 'Design', 'Fiction', 'General', 'Realistic'] as const;

const MAX_PALETTE_COLORS = 8;
const COLOR_WEIGHT = { minValue: 0.05, maxValue: 1 };

const imageSourceField: Field = {
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
};

const imageUrlField: Field = {
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
};

const binaryPropertyNameField: Field = {
	displayName: 'Input Data Field Name',
	name: 'binaryPropertyName',
	decides: true,
	type: 'string',
	required: true,
	default: 'data',
	placeholder: 'e.g. data',
	hint: 'The name of the input field containing the image file. It is not confirmed that RunComfy accepts files for this model: to be safe, upload the file to a storage service and use its URL.',
	displayOptions: { show: { imageSource: ['binary'] } },
};

const promptField: Field = {
	displayName: 'Prompt',
	name: 'prompt',
	decides: true,
	type: 'string',
	typeOptions: { rows: 4 },
	required: true,
	default: '',
	placeholder: 'e.g. On a wooden table in a sunny kitchen, soft morning light',
	description: 'The scene that replaces the background',
};

const renderingSpeedField: Field = {
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
	description: 'Turbo is the fastest, and Quality gives the best images',
};

const magicPromptField: Field = {
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
};

const colorPaletteField: Field = {
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
};

const paletteColorsField: Field = {
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
					typeOptions: { ...COLOR_WEIGHT, numberPrecision: 2 },
					default: 0.5,
					description: 'How strongly the color is used, from 0.05 to 1',
				},
			],
		},
	],
	displayOptions: { show: { colorPalette: ['custom'] } },
};

const paletteJsonField: Field = {
	displayName: 'Palette (JSON)',
	name: 'paletteJson',
	decides: true,
	type: 'json',
	default: '{\n  "name": "Ember"\n}',
	description: 'Sent to the model as color_palette',
	displayOptions: { show: { colorPalette: ['json'] } },
};

const styleField: Field = {
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
};

const styleJsonField: Field = {
	displayName: 'Style (JSON)',
	name: 'styleJson',
	decides: true,
	type: 'json',
	default: '{\n  "style_type": "Auto"\n}',
	description: 'Sent to the model as style',
	displayOptions: { show: { style: ['json'] } },
};

export const replaceBackground: SubmittingOperation = {
	name: 'Replace Background',
	action: 'Replace image background',
	description:
		'Place the subject of an image in a new scene (Ideogram 3.0). Each image costs money: Model → Get shows the price.',
	fields: [
		imageSourceField,
		imageUrlField,
		binaryPropertyNameField,
		promptField,
		...downloadFields,
		renderingSpeedField,
		magicPromptField,
		colorPaletteField,
		paletteColorsField,
		paletteJsonField,
		styleField,
		styleJsonField,
		waitField,
		optionsField([...MODEL_OPTIONS, 'seed']),
	],
	options: OPTIONS,

	async read({ http, random, query }, item, { options, fileRules }) {
		const isFile = item.choice(imageSourceField) === 'binary';
		const image = isFile
			? await openImage(item, fileRules)
			: urlSource(urlOf(item.filledText(imageUrlField), imageUrlField.displayName, fileRules));
		const seed = options.optionalNumber('seed') ?? randomSeed(random, SEED_RANGE);
		const input = {
			prompt: item.filledText(promptField),
			rendering_speed: item.choice(renderingSpeedField),
			magic_prompt: item.choice(magicPromptField),
			color_palette: readPalette(item),
			style: readStyle(item),
			seed,
		};
		return {
			endpoint: modelEndpoint(http, MODEL_ID),
			buildInput: async () => ({ image: await image.read(), ...input }),
			inputBytes: image.bytes,
			seeds: { seed },
			async getPrice() {
				const { usd, unit = '' } = (await query((to) => queryModel(to, MODEL_ID))).price;
				// A request makes one image.
				return { usd, unit: ['image', 'output'].includes(unit) ? 'request' : unit };
			},
			expectedUsd: options.optionalNumber('expectedCost'),
			inputAdvice: isFile ? fileAdvice(fileRules) : undefined,
		};
	},

	findOutputProblem: (result) => findModelOutputProblem(result, 'image'),

	toOutput: async (tools, { result }, { download }, run) =>
		await toModelOutput(tools, result, download, run, 'image'),
};

/** The image as the model expects it. Files may be large, so they are read only when they are sent. */
async function openImage(item: Item, rules: FileRules): Promise<InputSource> {
	return await openInputFile(item.context, item.index, {
		...rules,
		label: binaryPropertyNameField.displayName,
		fieldName: item.text(binaryPropertyNameField),
		kind: 'image',
		formats: { names: 'a JPEG, PNG, or WebP image', extensions: ['jpg', 'png', 'webp'] },
	});
}

/** The model's `color_palette`; undefined to leave it out. */
function readPalette(item: Item): JsonObject | undefined {
	const choice = item.choice(colorPaletteField);
	if (choice === 'default') return undefined;
	if (choice === 'json') return item.jsonObject(paletteJsonField, '{"name": "Ember"}');
	return choice === 'custom' ? { members: readPaletteMembers(item) } : { name: choice };
}

function readPaletteMembers(item: Item): JsonObject[] {
	const label = paletteColorsField.displayName;
	const raw = item.raw(paletteColorsField, {});
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
			color_weight: numberOf(weight, { displayName: `${nth} → Weight`, typeOptions: COLOR_WEIGHT }),
		};
	});
}

/** The model's `style`; undefined to leave it out. */
function readStyle(item: Item): JsonObject | undefined {
	const choice = item.choice(styleField);
	if (choice === 'default') return undefined;
	return choice === 'json'
		? item.jsonObject(styleJsonField, '{"style_type": "Auto"}')
		: { style_type: choice };
}
