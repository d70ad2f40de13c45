import * as fc from 'fast-check';

import { readInputFields, type InputField } from '../../nodes/RunComfy/models/inputSchema';
import { toMapperField } from '../../nodes/RunComfy/models/mapperFields';
import { CATALOG } from '../sandbox/catalog';
import { field } from './inputField';
import { schemas } from './schemaArbitraries';
import { cpuMs } from './cpuMs';

describe('readInputFields', () => {
	it.each<[string, unknown, Partial<InputField>]>([
		['a text', { type: 'string' }, { kind: 'text' }],
		['a number', { type: 'number' }, { kind: 'number' }],
		[
			'RunComfy’s float',
			{ type: 'float', minimum: 0, maximum: 20, default: 2.5 },
			{ kind: 'number', minimum: 0, maximum: 20, default: 2.5 },
		],
		['an integer', { type: 'integer', minimum: 4 }, { kind: 'integer', minimum: 4 }],
		['a switch', { type: 'boolean', default: true }, { kind: 'boolean', default: true }],
		[
			'choices',
			{ type: 'string', enum: ['a', 'b'], default: 'a' },
			{ kind: 'choice', choices: ['a', 'b'], default: 'a' },
		],
		[
			'choices of several types',
			{ type: 'integer', enum: [1, '4', null, {}] },
			{ kind: 'choice', choices: [1, '4'] },
		],
		['a constant', { const: 'fast' }, { kind: 'choice', choices: ['fast'] }],
		['a date', { type: 'string', format: 'date-time' }, { kind: 'date' }],
		['an object', { type: 'object', properties: {} }, { kind: 'object' }],
		['an object without a type', { properties: { a: {} } }, { kind: 'object' }],
		['a list', { type: 'array', items: { type: 'object' }, maxItems: 3 }, { kind: 'array', maxItems: 3 }],
		['an image', { type: 'string', format: 'image_uri' }, { kind: 'file', fileKind: 'image' }],
		[
			'images',
			{ type: 'array', format: 'image_uris', minItems: 1, maxItems: 10 },
			{ kind: 'files', fileKind: 'image', minItems: 1, maxItems: 10 },
		],
		[
			'images by the format of the entries',
			{ type: 'array', items: { type: 'string', format: 'image_uri' } },
			{ kind: 'files', fileKind: 'image' },
		],
		['a video', { type: 'string', format: 'video_uri' }, { kind: 'file', fileKind: 'video' }],
		['audio files', { type: 'array', format: 'audio_uris' }, { kind: 'files', fileKind: 'audio' }],
		[
			'a kind of file that nobody has seen',
			{ type: 'string', format: 'mesh_uri' },
			{ kind: 'file', fileKind: 'mesh' },
		],
		[
			'an image without a format, by its sample',
			{ type: 'string', default: 'https://x.test/a/b.png' },
			{ kind: 'file', fileKind: 'image' },
		],
		['a file of another service', { type: 'string', format: 'uri' }, { kind: 'file', fileKind: 'file' }],
		[
			'Ideogram’s image with a mask',
			{ type: 'string', format: 'image_uri_with_mask_image_ideogramv3' },
			{ kind: 'file', fileKind: 'image' },
		],
		[
			'images by a sample in the list',
			{ type: 'array', items: { type: 'string' }, default: ['https://x.test/b.png'] },
			{ kind: 'files', fileKind: 'image' },
		],
		['a video by its example', { type: 'string', examples: ['https://x.test/b.mp4'] }, { fileKind: 'video' }],
		['a type in capitals', { type: 'Float' }, { kind: 'number' }],
		['capital types', { type: ['String', 'null'] }, { kind: 'text' }],
		[
			'choices or an object',
			{ anyOf: [{ enum: ['hd'] }, { type: 'object' }] },
			{ kind: 'choice', choices: ['hd'], acceptsObject: true },
		],
		['a LoRA’s path', { type: 'string', format: 'lora_path' }, { kind: 'text' }],
		['a type or null', { type: ['string', 'null'] }, { kind: 'text' }],
		[
			'one thing or null',
			{ anyOf: [{ type: 'null' }, { type: 'string', format: 'image_uri' }], title: 'Image' },
			{ kind: 'file', label: 'Image' },
		],
		['several alternatives', { anyOf: [{ type: 'string' }, { type: 'integer' }] }, { kind: 'any' }],
		['two kinds of number', { anyOf: [{ type: 'integer' }, { type: 'float' }] }, { kind: 'number' }],
		['one kind twice', { oneOf: [{ type: 'integer' }, { type: 'integer' }] }, { kind: 'integer' }],
		[
			'choices as alternatives',
			{ anyOf: [{ const: 'a' }, { enum: ['b', 3] }, { type: 'null' }] },
			{ kind: 'choice', choices: ['a', 'b', 3] },
		],
		[
			'all of several rules',
			{ allOf: [{ type: 'integer' }, { minimum: 2 }] },
			{ kind: 'integer', minimum: 2 },
		],
		['a reference to nothing', { $ref: '#/$defs/Nothing' }, { kind: 'any' }],
		['a reference to a method of objects', { $ref: '#/constructor/name' }, { kind: 'any' }],
		['a reference to another document', { $ref: 'https://example.com/schema' }, { kind: 'any' }],
		['a reference to itself', { $ref: '#/properties/it' }, { kind: 'any' }],
		[
			'a reference',
			{ $ref: '#/$defs/Steps', title: 'How many' },
			{ kind: 'integer', minimum: 1, label: 'How many' },
		],
		['an older reference', { $ref: '#/definitions/Mode' }, { kind: 'choice', choices: ['fast', 'slow'] }],
		['a reference to a reference', { $ref: '#/$defs/More~1Steps' }, { kind: 'integer' }],
		['a reference or null', { anyOf: [{ $ref: '#/$defs/Steps' }, { type: 'null' }] }, { kind: 'integer' }],
		[
			'a list of referenced images',
			{ type: 'array', items: { $ref: '#/$defs/Picture' } },
			{ kind: 'files', fileKind: 'image' },
		],
		['a type that nobody knows', { type: 'tensor', default: null }, { kind: 'any' }],
		['nothing at all', null, { kind: 'any', label: 'It' }],
		[
			'an exclusive bound',
			{ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 4 },
			{ exclusiveMinimum: 0, exclusiveMaximum: 4 },
		],
		[
			'an exclusive bound, the older way',
			{ type: 'number', minimum: 0, exclusiveMinimum: true },
			{ minimum: 0, exclusiveMinimum: 0 },
		],
		['a required mark at the input', { type: 'string', required: true }, { required: true }],
		[
			'rules about files',
			{
				format: 'image_uri',
				type: 'string',
				validations: [
					{ validation_rule: 'file_size_mb<', validation_value: 30, validation_error: 'Too large.' },
					{ validation_rule: 'odd' },
					7,
				],
			},
			{ fileRules: [{ subject: 'file_size_mb', comparison: '<', value: 30, problem: 'Too large.' }] },
		],
	])('understands %s', (_, property, expected) => expect(field(property)).toMatchObject(expected));

	it('leaves out a default that is null', () =>
		expect(field({ type: 'integer', default: null })).not.toHaveProperty('default'));

	it('names an input by its title, or makes a label of its name', () => {
		const [a, b] = readInputFields(
			{ properties: { guidance_scale: { title: 'Guidance' }, num_images: {} } },
			[],
		);
		expect([a?.label, b?.label]).toEqual(['Guidance', 'Num Images']);
	});

	it.each([
		...['mask', 'image', 'start_image_url', 'first_frame', 'imageUrl', 'image_1', '33_video', 'audio_file'],
		...['custom_music_url', 'face-image', 'photo', 'mask_image_url', 'input_file'],
	])('knows a file by its name: %s', (name) => {
		const of = (property: object) => readInputFields({ properties: { [name]: property } }, [])[0]?.kind;
		expect(of({ type: 'string', default: '' })).toBe('file');
		expect(of({ type: 'array', items: { type: 'string' } })).toBe('files');
		expect([of({ enum: ['a'] }), of({ type: 'integer' }), of({ type: 'boolean' })]).not.toContain('file');
		expect(of({ type: 'array', items: { type: 'object' } })).toBe('array');
	});

	it.each([
		...['image_size', 'image_prompt', 'mask_mode', 'video_length', 'voice', 'prompt', 'keyframe', 'filename'],
		...['auto_mask_text', 'image_urls', 'profile'],
	])('knows a text by its name: %s', (name) =>
		expect(readInputFields({ properties: { [name]: { type: 'string' } } }, [])[0]?.kind).toBe('text'),
	);

	it('offers what is required and not listed, and does not insist on it', () => {
		const fields = readInputFields({ required: ['image_urls'], properties: { images: {} } }, ['seed']);
		expect(fields.slice(1)).toMatchObject([
			{ name: 'image_urls', label: 'Image URLs (Required, Not Listed)', kind: 'files', required: false },
			{ name: 'seed', kind: 'any', required: false },
		]);
	});

	it('marks what is required by the schema and by the entry', () => {
		const fields = readInputFields({ required: ['a'], properties: { a: {}, b: {}, c: {} } }, ['b']);
		expect(fields.map(({ required }) => required)).toEqual([true, true, false]);
	});

	it.each([[undefined], [{}], [{ properties: [] }], [{ properties: 'x' }]])('makes nothing of %j', (schema) =>
		expect(readInputFields(schema, [])).toEqual([]),
	);

	it('reads every model of the sandbox’s catalog', () => {
		for (const { input_schema: schema } of CATALOG) {
			expect(readInputFields(schema, []).map(({ name }) => name)).toEqual(Object.keys(schema.properties));
		}
	});
});

describe('readInputFields, whatever the schema', () => {
	it('property: a schema becomes fields in the same order, without an exception', () =>
		fc.assert(
			fc.property(schemas, (schema) => {
				const fields = readInputFields(schema, []);
				const { properties } = schema;
				const isObject = typeof properties === 'object' && properties !== null && !Array.isArray(properties);
				const listed = isObject ? Object.keys(properties) : [];
				// After them come inputs that are required and not listed.
				expect(fields.map(({ name }) => name).slice(0, listed.length)).toEqual(listed);
				if (!isObject) expect(fields).toEqual([]);
				for (const field of fields) expect(typeof toMapperField(field).displayName).toBe('string');
			}),
			{ numRuns: 500 },
		));

	it('is fast on hostile text', () => {
		const from = cpuMs();
		const rule = `a${' '.repeat(300_000)}b`;
		readInputFields(
			{ properties: { it: { format: 'image_uri', validations: [{ validation_rule: rule }] } } },
			[],
		);
		readInputFields(
			{ properties: { [rule]: { title: rule, default: `https://${'.'.repeat(300_000)}` } } },
			[],
		);
		expect(cpuMs() - from).toBeLessThan(500);
	});
});
