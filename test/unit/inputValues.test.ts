import * as fc from 'fast-check';

import { readInputFields } from '../../nodes/RunComfy/models/inputSchema';
import { asFileField, readInputValues } from '../../nodes/RunComfy/models/inputValues';
import { FieldError } from '../../nodes/RunComfy/util/errors';
import { field } from './inputField';
import { names, schemas, values } from './schemaArbitraries';
import { cpuMs } from './cpuMs';

describe('readInputValues', () => {
	const value = (property: unknown, given: unknown) =>
		readInputValues([field(property)], { it: given }).input.it;

	it.each<[unknown, unknown, unknown]>([
		[{ type: 'string' }, ' two words ', ' two words '],
		[{ type: 'string' }, 7, '7'],
		[{ type: 'float' }, '2.5', 2.5],
		[{ type: 'integer' }, 12, 12],
		[{ type: 'boolean' }, 'FALSE', false],
		[{ type: 'boolean' }, '0', false],
		[{ type: 'boolean' }, ' True ', true],
		[{ type: 'boolean' }, '1', true],
		[
			{ enum: ['a'], description: 'A custom `{width, height}` object may be sent instead' },
			{ w: 1 },
			{ w: 1 },
		],
		[{ enum: [1, 2] }, '2', 2],
		[{ type: 'object' }, '{"move": "left"}', { move: 'left' }],
		[{ type: 'object' }, { move: 'left' }, { move: 'left' }],
		[{ type: 'array' }, '[1, 2]', [1, 2]],
		[{ type: 'string', format: 'date-time' }, new Date(0), '1970-01-01T00:00:00.000Z'],
		[{ type: 'tensor' }, { deep: [1] }, { deep: [1] }],
		[{ $ref: '#/$defs/Steps' }, '7', 7],
		[{ anyOf: [{ type: 'integer' }, { enum: ['auto'] }] }, '7', 7],
		[{ anyOf: [{ type: 'integer' }, { enum: ['auto'] }] }, 'auto', 'auto'],
		[{ anyOf: [{ enum: ['hd'] }, { type: 'object' }] }, '{"w": 1}', { w: 1 }],
		[{ anyOf: [{ type: 'integer' }, { type: 'string' }] }, '7', '7'],
		[{ anyOf: [{ type: 'string' }, { type: 'integer' }] }, 7, 7],
		[{ anyOf: [{ type: 'integer' }, { enum: ['auto'] }] }, 'x', 'x'],
		[{ type: 'string', maxLength: 3 }, '🎉🎉🎉', '🎉🎉🎉'],
	])('for %j takes %j as %j', (property, given, sent) => expect(value(property, given)).toEqual(sent));

	it.each<[unknown, unknown, string]>([
		[{ type: 'float', minimum: 0, maximum: 20 }, -1, 'must be a number from 0 to 20'],
		[{ type: 'integer', minimum: 1 }, 1.5, 'must be a whole number of at least 1'],
		[{ type: 'number', exclusiveMaximum: 4 }, 4, 'must be a number below 4'],
		[{ type: 'integer' }, 'many', 'must be a whole number'],
		[{ type: 'boolean' }, 'maybe', 'must be true or false'],
		[{ enum: ['a', 'b'] }, 'c', 'must be one of: a, b'],
		[{ type: 'object' }, '{"a"', 'must be a JSON object, for example {"name": "value"}'],
		[{ type: 'array' }, '{}', 'must be a JSON list, for example ["one", "two"]'],
		[{ type: 'array', maxItems: 1 }, '[1, 2]', 'may have at most 1 entries, but has 2'],
		[{ type: 'string', maxLength: 3 }, 'four', 'may have at most 3 characters, but has 4'],
		[{ type: 'string', minLength: 3 }, 'no', 'must have at least 3 characters, but has 2'],
		[{ type: 'string', minLength: 3 }, '🎉🎉', 'must have at least 3 characters, but has 2'],
		[{ type: 'string' }, {}, 'must be text'],
		[{ enum: ['a'] }, Object.create(null), 'must be one of: a'],
		[{ type: 'string' }, Object.create(null), 'must be text'],
		[{ type: 'string', format: 'date' }, new Date(NaN), 'must be text'],
		[{ type: 'array', format: 'image_uris', minItems: 2 }, 'data', 'must have at least 2 entries, but has 1'],
		[{ type: 'string', format: 'image_uri' }, 7, 'must be a URL or the name of an input file'],
		[{ anyOf: [{ enum: ['hd'] }, { type: 'object' }] }, 'sd', 'must be one of: hd, or a JSON object'],
		[{ enum: ['hd'] }, { w: 1 }, 'must be one of: hd'],
	])('for %j refuses %j: %s', (property, given, message) =>
		expect(() => value(property, given)).toThrow(`“Inputs → It” ${message}`),
	);

	it.each([', ', ',', ' ', '; ', '|', '\n'])('refuses two URLs for one file, separated by %j', (between) =>
		expect(() =>
			value({ format: 'image_uri' }, ['https://a.test/1.png', 'https://a.test/2.png'].join(between)),
		).toThrow('takes one file here, but holds several URLs'),
	);

	it.each<[string, unknown, unknown, object]>([
		['undefined', { type: 'string' }, undefined, {}],
		['null', { type: 'string' }, null, {}],
		['an emptied text', { type: 'string' }, '', { it: '' }],
		['a blank text', { type: 'string' }, ' ', { it: ' ' }],
		['an emptied text that may not be empty', { type: 'string', minLength: 1 }, '', {}],
		['an empty number', { type: 'integer' }, '', {}],
		['an empty choice', { enum: ['a', 'b'] }, '', {}],
		['a choice that is empty', { enum: ['', 'b'] }, '', { it: '' }],
		['an empty list', { type: 'array' }, '', {}],
		['an empty file', { type: 'string', format: 'image_uri' }, '', {}],
	])('%s', (_, property, given, sent) => {
		const { input, files } = readInputValues([field(property)], { it: given });
		expect({ input, files }).toEqual({ input: sent, files: [] });
	});

	it.each<[string, object, unknown]>([
		['no value', { it: { type: 'string' } }, undefined],
		['null', { it: { type: 'string' } }, null],
		['an empty text that may not be empty', { it: { type: 'string', minLength: 1 } }, ''],
		['an empty prompt', { text_prompt: { type: 'string' } }, ' '],
		['a file, whose default is a sample', { it: { type: 'string', default: 'https://a.test/a.png' } }, ''],
	])('refuses %s where a value is required', (_, properties, given) => {
		const [name = ''] = Object.keys(properties);
		const fields = readInputFields({ properties, required: [name] }, []);
		expect(() => readInputValues(fields, { [name]: given })).toThrow('must not be empty');
	});

	it.each<[string, unknown, unknown, object]>([
		['an emptied text', { type: 'string' }, '', { it: '' }],
		['the default', { type: 'integer', default: 5 }, null, { it: 5 }],
		['the default of a choice', { enum: ['a', 'b'], default: 'b' }, '', { it: 'b' }],
	])('sends %s where a value is required', (_, property, given, sent) =>
		expect(readInputValues([field(property, true)], { it: given }).input).toEqual(sent),
	);

	it('sends no seed where the required one is empty, because a run gives it a random one', () => {
		const schema = { properties: { seed: { type: 'integer', default: 42 } }, required: ['seed'] };
		expect(readInputValues(readInputFields(schema, []), { seed: null }).input).toEqual({});
	});

	it('sends what the schema does not know, because it may be older than the model', () =>
		expect(readInputValues([field({ type: 'string' })], { it: 'a', brand_new: 1, empty: '' }).input).toEqual({
			it: 'a',
			brand_new: 1,
		}));

	it.each<[string, unknown, string[]]>([
		['one', 'https://a.test/1.png', ['https://a.test/1.png']],
		[
			'commas',
			'https://a.test/1.png, https://a.test/2.png',
			['https://a.test/1.png', 'https://a.test/2.png'],
		],
		[
			'commas without spaces',
			'https://a.test/1.png,https://a.test/2.png',
			['https://a.test/1.png', 'https://a.test/2.png'],
		],
		['a name after an address', 'https://a.test/1.png,data', ['https://a.test/1.png', 'data']],
		['a name before an address', 'data,https://a.test/1.png', ['data', 'https://a.test/1.png']],
		['a comma before what is no name', 'https://a.test/1.png,size=2', ['https://a.test/1.png,size=2']],
		[
			'data URIs',
			'data:image/png;base64,AAAA,data:image/png;base64,BBBB',
			['data:image/png;base64,AAAA', 'data:image/png;base64,BBBB'],
		],
		[
			'a data URI among others',
			'data,data:image/png;base64,data,https://a.test/1.png',
			['data', 'data:image/png;base64,data', 'https://a.test/1.png'],
		],
		['a name that nobody knows', 'data,tada,https://a.test/1.png', ['data', 'tada', 'https://a.test/1.png']],
		['too many commas', ',data,, https://a.test/1.png,', ['data', 'https://a.test/1.png,']],
		['a comma in an address', 'https://a.test/w_10,h_20/1.png', ['https://a.test/w_10,h_20/1.png']],
		['names', 'data, data_1,data_2', ['data', 'data_1', 'data_2']],
		['spaces', 'data data_1 https://a.test/1.png', ['data', 'data_1', 'https://a.test/1.png']],
		[
			'a semicolon',
			'https://a.test/1.png; https://a.test/2.png',
			['https://a.test/1.png', 'https://a.test/2.png'],
		],
		['a bar', 'https://a.test/1.png|https://a.test/2.png', ['https://a.test/1.png', 'https://a.test/2.png']],
		['an address with a space', 'https://a.test/my photo.png', ['https://a.test/my photo.png']],
		['lines', 'data\nhttps://a.test/1.png', ['data', 'https://a.test/1.png']],
		['JSON', '["data", "https://a.test/1.png"]', ['data', 'https://a.test/1.png']],
		['a list from an expression', ['data', 'data_1'], ['data', 'data_1']],
	])('reads files given by %s', (_, given, sources) => {
		const isFileName = (name: string) => ['data', 'data_1', 'data_2'].includes(name);
		const fields = [field({ type: 'array', format: 'image_uris' })];
		expect(readInputValues(fields, { it: given }, isFileName).files).toMatchObject([{ sources }]);
	});

	it('property: a list of files loses nothing but its separators', () => {
		const fields = [field({ type: 'array', format: 'image_uris' })];
		const part = fc.constantFrom(
			'data',
			',',
			', ',
			'\n',
			'https://a.b/c',
			'data:image/png;base64,',
			'x',
			'AA==',
		);
		const bare = (text: string) => text.replace(/[\s,]/g, '');
		fc.assert(
			fc.property(fc.array(part), (parts) => {
				const text = `x${parts.join('')}`;
				const [file] = readInputValues(fields, { it: text }, (name) => name === 'data').files;
				expect(bare(file?.sources.join('') ?? '')).toBe(bare(text));
			}),
		);
	});

	const URLS = {
		anyOf: [
			{ type: 'string', format: 'uri' },
			{ type: 'array', items: { format: 'uri' } },
		],
	};
	it.each<[string, unknown, unknown, string[]]>([
		['a text that is a name', { type: 'string' }, ' data ', ['file', 'data']],
		['a text that holds a name', { type: 'string' }, 'my data', []],
		['a choice that is a name', { enum: ['data'] }, 'data', []],
		[
			'a list that holds a name',
			{ type: 'array' },
			['https://a.test/1', 'data'],
			['files', 'https://a.test/1', 'data'],
		],
		['a list of texts', { type: 'array' }, ['my', 'data'], []],
		['a list of URLs, which stays one', { type: 'array' }, ['https://a.test'], []],
		['names for a list', { type: 'array' }, 'data, data_1', ['files', 'data', 'data_1']],
		['URLs for a list', { type: 'array' }, 'https://a.test/1', ['files', 'https://a.test/1']],
		['anything that is a name', { type: 'tensor' }, 'data', ['file', 'data']],
		['one of one or several', URLS, 'data', ['file', 'data']],
		['several of one or several', URLS, 'data,data_1', ['files', 'data', 'data_1']],
		['a list of one or several', URLS, '["data"]', ['files', 'data']],
	])('takes a name of one of the item’s files for it: %s', (_, property, given, expected) => {
		const isFileName = (name: string) => ['data', 'data_1'].includes(name);
		const asField = asFileField(field(property), given, isFileName);
		const { files } = readInputValues([asField], { it: given }, isFileName);
		expect(files.flatMap((file) => [file.field.kind, ...file.sources])).toEqual(expected);
	});

	it('is fast on hostile text', () => {
		const from = cpuMs();
		const text = `https://a.test/${' '.repeat(300_000)}x`;
		readInputValues([field({ type: 'array', format: 'image_uris' })], { it: text });
		asFileField(field({ type: 'array' }), text, () => false);
		expect(cpuMs() - from).toBeLessThan(1_000);
	});

	it('takes inputs of any name', () => {
		const names = ['constructor', '__proto__', 'toString', 'hasOwnProperty'];
		const properties = JSON.parse(
			`{${names.map((name) => `"${name}": {"type": "integer"}`).join()}}`,
		) as object;
		const values = JSON.parse(`{${names.map((name) => `"${name}": "7"`).join()}}`) as Record<string, unknown>;
		const { input } = readInputValues(readInputFields({ properties }, []), values);
		expect(Object.entries(input)).toEqual(names.map((name) => [name, 7]));
		expect(readInputValues(readInputFields({ properties }, []), {}).input).toEqual({});
	});
});

describe('readInputValues, whatever the schema and values', () => {
	it('property: values of any kind are accepted, or refused with the name of their field', () =>
		fc.assert(
			fc.property(schemas, fc.dictionary(names, values, { maxKeys: 4 }), (schema, given) => {
				const fields = readInputFields(schema, []);
				try {
					const { input, files } = readInputValues(fields, given, (name) => name === 'data');
					const known = new Set([...fields.map(({ name }) => name), ...Object.keys(given)]);
					for (const name of Object.keys(input)) expect(known).toContain(name);
					for (const { sources } of files) expect(sources.every((source) => source.trim() !== '')).toBe(true);
				} catch (error) {
					if (!(error instanceof FieldError)) throw error;
					expect(error.field).toMatch(/^Inputs → /);
				}
			}),
			{ numRuns: 1_000 },
		));
});
