import { readInputFields } from '../../nodes/RunComfy/models/inputSchema';
import { toMapperField, toMapperFields } from '../../nodes/RunComfy/models/mapperFields';
import { field } from './inputField';

const mapped = (property: unknown, required = false) => toMapperField(field(property, required));
const fieldsOf = (properties: Record<string, unknown>, required: string[] = []) =>
	toMapperFields(readInputFields({ properties }, required));

describe('toMapperField', () => {
	it.each<[string, unknown, object]>([
		['a text', { type: 'string', title: 'Prompt' }, { type: 'string', displayName: 'Prompt' }],
		[
			'choices',
			{ enum: [1, 'two'], title: 'Mode' },
			{
				type: 'options',
				options: [
					{ name: '1', value: 1 },
					{ name: 'two', value: 'two' },
				],
			},
		],
		['a date', { type: 'string', format: 'date-time' }, { type: 'dateTime' }],
		['an object', { type: 'object' }, { type: 'object' }],
		['a list', { type: 'array' }, { type: 'array' }],
		['an image', { type: 'string', format: 'image_uri', title: 'Image' }, { type: 'string' }],
		['images', { type: 'array', format: 'image_uris' }, { type: 'string' }],
		['a switch without a default, which waits', { type: 'boolean' }, { type: 'boolean', removed: true }],
		['what is not understood', { type: 'tensor' }, { type: 'string' }],
	])('shows %s', (_, property, expected) => expect(mapped(property)).toMatchObject(expected));

	it.each<[string, unknown, unknown]>([
		['a number', { type: 'float', minimum: 0, maximum: 20, default: 2.5 }, 2.5],
		['a number that is given as a text', { type: 'integer', default: '5' }, 5],
		['a number beyond its bounds', { type: 'integer', maximum: 3, default: 5 }, undefined],
		['a text', { type: 'string', default: 'A lighthouse\non a cliff' }, 'A lighthouse\non a cliff'],
		['an empty text', { type: 'string', default: '' }, undefined],
		['a number of a text', { type: 'string', default: 7 }, '7'],
		['a switch', { type: 'boolean', default: true }, true],
		['a switch that is off', { type: 'boolean', default: false }, false],
		['a choice', { enum: [1, 'two'], default: 'two' }, 'two'],
		['a choice as the schema spells it', { enum: [1, 2], default: '2' }, 2],
		['what is no choice', { enum: ['a'], default: 'b' }, undefined],
		['an object', { type: 'object', default: { a: 1 } }, '{\n  "a": 1\n}'],
		['an empty list', { type: 'array', default: [] }, undefined],
		['null', { type: 'string', default: null }, undefined],
		['a text of an unknown type', { type: 'tensor', default: 'x' }, 'x'],
		['a number of an unknown type', { type: 'tensor', default: 7 }, undefined],
	])('shows the default in the field: %s', (_, property, expected) =>
		expect(mapped(property).defaultValue).toBe(expected),
	);

	it('marks what is required', () =>
		expect(mapped({ type: 'string' }, true)).toMatchObject({ required: true, display: true }));
});

describe('toMapperFields', () => {
	it('puts required inputs first, then files, texts, sizes, seeds, settings, and the rest', () => {
		const properties = {
			cfg_scale: { type: 'float' },
			elements: { type: 'array' },
			image_size: { enum: ['square'] },
			seed: { type: 'integer', default: 42 },
			negative_prompt: { type: 'string' },
			style: { type: 'string' },
			image_urls: { type: 'array', format: 'image_uris' },
			mode: { enum: ['a'] },
			prompt: { type: 'string' },
			start_image: { type: 'string', default: 'https://x.test/sample.png' },
		};
		const fields = fieldsOf(properties, ['mode', 'prompt', 'start_image']);
		expect(fields.map(({ displayName }) => displayName)).toEqual([
			...['Start Image', 'Prompt', 'Mode'],
			...['Image URLs', 'Style', 'Negative Prompt', 'Image Size', 'Seed', 'CFG Scale', 'Elements'],
		]);
		// Neither a random seed nor a sample file is sent.
		expect(fields.flatMap(({ defaultValue }) => defaultValue ?? [])).toEqual([]);
	});

	it('has readable choices', () => {
		const choices = ['landscape_4_3', 'square_hd', 'auto', 'png', '16:9', '720p', 'fp16', 'en', 'A-b', 2];
		const [field] = fieldsOf({ size: { enum: choices } });
		expect(field?.options?.map(({ name }) => name)).toEqual([
			...['Landscape 4:3', 'Square HD', 'Auto', 'PNG', '16:9', '720p', 'fp16', 'en', 'A-b', '2'],
		]);
		expect(field?.options?.map(({ value }) => value)).toEqual(choices);
	});

	it.each<[string, Record<string, unknown>, string[]]>([
		[
			'abbreviations',
			{ fps: {}, cfg: {}, image_urls: {}, numImages: {} },
			['FPS', 'CFG', 'Image URLs', 'Num Images'],
		],
		[
			'abbreviations in titles',
			{ a: { title: 'Image Urls' }, b: { title: 'Lora path' } },
			['Image URLs', 'LoRA path'],
		],
		['a title that occurs twice', { a_1: { title: 'Scale' }, b_2: { title: 'Scale' } }, ['A 1', 'B 2']],
		['names that look the same', { 'a b': {}, a_b: {}, 'a.b': {} }, ['a b', 'a_b', 'a.b']],
		['line breaks', { a: { title: 'One\n\ttwo' } }, ['One two']],
		[
			'long titles',
			{ a: { title: `${'word '.repeat(20)}` }, b: { title: `${'🎉'.repeat(30)}` } },
			['word word word word word word word word…', `${'🎉'.repeat(19)}…`],
		],
	])('has short labels: %s', (_, properties, labels) => {
		const shown = fieldsOf(properties).map(({ displayName }) => displayName);
		expect(shown.sort()).toEqual(labels.sort());
	});
});
