import * as fc from 'fast-check';

import { readInputFields } from '../../nodes/RunComfy/models/inputSchema';
import { readInputValues } from '../../nodes/RunComfy/models/inputValues';
import { FieldError } from '../../nodes/RunComfy/util/errors';
import { field } from './inputField';
import { names, schemas, values } from './schemaArbitraries';

describe('readInputValues', () => {
	const value = (property: unknown, given: unknown) =>
		readInputValues([field(property)], { it: given }).input.it;

	it.each<[unknown, unknown, unknown]>([
		[{ type: 'string' }, ' two words ', ' two words '],
		[{ type: 'string' }, 7, '7'],
		[{ type: 'float' }, '2.5', 2.5],
		[{ type: 'integer' }, 12, 12],
		[{ type: 'boolean' }, 'false', false],
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
	])('for %j refuses %j: %s', (property, given, message) =>
		expect(() => value(property, given)).toThrow(`“Inputs → It” ${message}`),
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

	it.each([[undefined], [null], [''], ['  ']])('refuses %j where a value is required', (given) =>
		expect(() => readInputValues([field({ type: 'string' }, true)], { it: given })).toThrow(
			'“Inputs → It” must not be empty',
		),
	);

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
