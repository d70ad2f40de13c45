import { readBalance } from '../../nodes/RunComfy/api/account';
import { readCategories, readModelEntry, readModelPage } from '../../nodes/RunComfy/api/models';
import { readQuery } from '../../nodes/RunComfy/api/query';
import { readInputFields, type InputField } from '../../nodes/RunComfy/models/inputSchema';
import { readInputValues } from '../../nodes/RunComfy/models/inputValues';
import { toMapperField } from '../../nodes/RunComfy/models/mapperFields';
import { pagePathOf, readModelReference } from '../../nodes/RunComfy/models/modelReference';
import { CATALOGUE } from '../sandbox/catalogue';

/** One input from its schema, under the name `it`. */
function field(property: unknown, required = false): InputField {
	const schema = {
		properties: { it: property },
		definitions: { Mode: { enum: ['fast', 'slow'] } },
		$defs: {
			Steps: { type: 'integer', minimum: 1, title: 'Steps' },
			'More/Steps': { $ref: '#/$defs/Steps' },
			Picture: { type: 'string', format: 'image_uri' },
		},
	};
	const [read] = readInputFields(schema, required ? ['it'] : []);
	if (read === undefined) throw new Error('No field');
	return read;
}

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

	it('marks what is required by the schema and by the entry', () => {
		const fields = readInputFields({ required: ['a'], properties: { a: {}, b: {}, c: {} } }, ['b']);
		expect(fields.map(({ required }) => required)).toEqual([true, true, false]);
	});

	it.each([[undefined], [{}], [{ properties: [] }], [{ properties: 'x' }]])('makes nothing of %j', (schema) =>
		expect(readInputFields(schema, [])).toEqual([]),
	);

	it('reads every model of the sandbox’s catalogue', () => {
		for (const { input_schema: schema } of CATALOGUE) {
			expect(readInputFields(schema, []).map(({ name }) => name)).toEqual(Object.keys(schema.properties));
		}
	});
});

describe('readInputValues', () => {
	const value = (property: unknown, given: unknown) =>
		readInputValues([field(property)], { it: given }).input.it;

	it.each<[string, unknown, unknown, unknown]>([
		['a text', { type: 'string' }, ' two words ', ' two words '],
		['a number as a text', { type: 'string' }, 7, '7'],
		['a number', { type: 'float' }, '2.5', 2.5],
		['an integer', { type: 'integer' }, 12, 12],
		['a switch', { type: 'boolean' }, 'false', false],
		['a choice in its own type', { enum: [1, 2] }, '2', 2],
		['JSON', { type: 'object' }, '{"move": "left"}', { move: 'left' }],
		['an object from an expression', { type: 'object' }, { move: 'left' }, { move: 'left' }],
		['a list', { type: 'array' }, '[1, 2]', [1, 2]],
		['a date', { type: 'string', format: 'date-time' }, new Date(0), '1970-01-01T00:00:00.000Z'],
		['whatever is not understood', { type: 'tensor' }, { deep: [1] }, { deep: [1] }],
		['a number of a referenced type', { $ref: '#/$defs/Steps' }, '7', 7],
		[
			'a number where a word is the alternative',
			{ anyOf: [{ type: 'integer' }, { enum: ['auto'] }] },
			'7',
			7,
		],
		['the word', { anyOf: [{ type: 'integer' }, { enum: ['auto'] }] }, 'auto', 'auto'],
		[
			'an object where a word is the alternative',
			{ anyOf: [{ enum: ['hd'] }, { type: 'object' }] },
			'{"w": 1}',
			{ w: 1 },
		],
		['a text where any text will do', { anyOf: [{ type: 'integer' }, { type: 'string' }] }, '7', '7'],
		['a number where any text will do', { anyOf: [{ type: 'string' }, { type: 'integer' }] }, 7, 7],
		['what suits no alternative', { anyOf: [{ type: 'integer' }, { enum: ['auto'] }] }, 'x', 'x'],
		['as many characters as there may be', { type: 'string', maxLength: 3 }, '🎉🎉🎉', '🎉🎉🎉'],
	])('takes %s', (_, property, given, sent) => expect(value(property, given)).toEqual(sent));

	it.each<[string, unknown, unknown, string]>([
		[
			'a number below its bound',
			{ type: 'float', minimum: 0, maximum: 20 },
			-1,
			'“Inputs → It” must be a number from 0 to 20',
		],
		[
			'a broken number',
			{ type: 'integer', minimum: 1 },
			1.5,
			'“Inputs → It” must be a whole number of at least 1',
		],
		[
			'the exclusive bound itself',
			{ type: 'number', exclusiveMaximum: 4 },
			4,
			'“Inputs → It” must be a number below 4',
		],
		['no number', { type: 'integer' }, 'many', '“Inputs → It” must be a whole number'],
		['no switch', { type: 'boolean' }, 'maybe', '“Inputs → It” must be true or false'],
		['no choice', { enum: ['a', 'b'] }, 'c', '“Inputs → It” must be one of: a, b'],
		[
			'broken JSON',
			{ type: 'object' },
			'{"a"',
			'“Inputs → It” must be a JSON object, for example {"name": "value"}',
		],
		[
			'an object for a list',
			{ type: 'array' },
			'{}',
			'“Inputs → It” must be a JSON list, for example ["one", "two"]',
		],
		[
			'too long a list',
			{ type: 'array', maxItems: 1 },
			'[1, 2]',
			'“Inputs → It” may have at most 1 entries, but has 2',
		],
		[
			'too long a text',
			{ type: 'string', maxLength: 3 },
			'four',
			'“Inputs → It” may have at most 3 characters, but has 4',
		],
		[
			'too short a text',
			{ type: 'string', minLength: 3 },
			'no',
			'“Inputs → It” must have at least 3 characters, but has 2',
		],
		[
			'too few characters, however many units they take',
			{ type: 'string', minLength: 3 },
			'🎉🎉',
			'“Inputs → It” must have at least 3 characters, but has 2',
		],
		['an object for a text', { type: 'string' }, {}, '“Inputs → It” must be text'],
		[
			'an object without a text for a choice',
			{ enum: ['a'] },
			Object.create(null),
			'“Inputs → It” must be one of: a',
		],
		[
			'an object without a text for a text',
			{ type: 'string' },
			Object.create(null),
			'“Inputs → It” must be text',
		],
		['a broken date', { type: 'string', format: 'date' }, new Date(NaN), '“Inputs → It” must be text'],
		[
			'too few files',
			{ type: 'array', format: 'image_uris', minItems: 2 },
			'data',
			'“Inputs → It” must have at least 2 entries, but has 1',
		],
		[
			'a number for a file',
			{ type: 'string', format: 'image_uri' },
			7,
			'“Inputs → It” must be a URL or the name of an input file',
		],
	])('refuses %s', (_, property, given, message) => expect(() => value(property, given)).toThrow(message));

	it.each([[undefined], [null], [''], ['  ']])('leaves out %j, unless it is required', (given) => {
		expect(readInputValues([field({ type: 'string' })], { it: given }).input).toEqual({});
		expect(() => readInputValues([field({ type: 'string' }, true)], { it: given })).toThrow(
			'“Inputs → It” must not be empty',
		);
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
		['lines', 'data\nhttps://a.test/1.png', ['data', 'https://a.test/1.png']],
		['JSON', '["data", "https://a.test/1.png"]', ['data', 'https://a.test/1.png']],
		['a list from an expression', ['data', 'data_1'], ['data', 'data_1']],
	])('reads files given by %s', (_, given, sources) => {
		const isFileName = (name: string) => ['data', 'data_1', 'data_2'].includes(name);
		const fields = [field({ type: 'array', format: 'image_uris' })];
		expect(readInputValues(fields, { it: given }, isFileName).files).toMatchObject([{ sources }]);
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

describe('toMapperField', () => {
	const mapped = (property: unknown, required = false) => toMapperField(field(property, required));

	it.each<[string, unknown, object]>([
		['a text', { type: 'string', title: 'Prompt' }, { type: 'string', displayName: 'Prompt' }],
		[
			'bounds and default',
			{ type: 'float', title: 'Scale', minimum: 0, maximum: 20, default: 2.5 },
			{ type: 'number', displayName: 'Scale (from 0 to 20, default 2.5)' },
		],
		[
			'a long default',
			{ type: 'string', title: 'Prompt', default: 'A very long text that helps nobody' },
			{ displayName: 'Prompt' },
		],
		[
			'choices',
			{ enum: [1, 'two'], title: 'Mode', default: 'two' },
			{
				type: 'options',
				displayName: 'Mode (default two)',
				options: [
					{ name: '1', value: 1 },
					{ name: 'two', value: 'two' },
				],
			},
		],
		['a date', { type: 'string', format: 'date-time' }, { type: 'dateTime' }],
		['an object', { type: 'object' }, { type: 'object' }],
		['a list', { type: 'array' }, { type: 'array' }],
		[
			'an image',
			{ type: 'string', format: 'image_uri', title: 'Image' },
			{ type: 'string', displayName: 'Image (URL or file field)' },
		],
		[
			'images',
			{ type: 'array', format: 'image_uris', maxItems: 3, title: 'Images' },
			{
				type: 'string',
				displayName: 'Images (URLs or file fields, at most 3)',
			},
		],
		['a switch with a default', { type: 'boolean', default: true }, { type: 'boolean', defaultValue: true }],
		[
			'a switch without one, which waits until it is added',
			{ type: 'boolean' },
			{ type: 'boolean', removed: true },
		],
		['what is not understood', { type: 'tensor' }, { type: 'string' }],
	])('shows %s', (_, property, expected) => expect(mapped(property)).toMatchObject(expected));

	it('marks what is required', () =>
		expect(mapped({ type: 'string' }, true)).toMatchObject({ required: true, display: true }));
});

describe('readModelReference', () => {
	it.each([
		[
			'blackforestlabs/flux-2/flash/text-to-image',
			{ kind: 'id', modelId: 'blackforestlabs/flux-2/flash/text-to-image' },
		],
		[' /a/b/ ', { kind: 'id', modelId: 'a/b' }],
		[
			'https://www.runcomfy.com/models/blackforestlabs/flux-2-flash/api',
			{ kind: 'page', path: 'blackforestlabs/flux-2-flash' },
		],
		['https://www.runcomfy.com/de/models/a/b/playground?tab=1#x', { kind: 'page', path: 'a/b' }],
		['https://model-api.runcomfy.net/v1/models/a/b/c', { kind: 'page', path: 'a/b/c' }],
		['https://evil.test/models/a/b', undefined],
		['https://www.runcomfy.com/about', undefined],
		['just-a-word', undefined],
		['../../v1/requests/x/cancel', undefined],
		['a/../b', undefined],
		['a/b?c=d', undefined],
		['a/b%', undefined],
		['https://www.runcomfy.com/models/a/b%', undefined],
		['https://www.runcomfy.com/models/a/%zz', undefined],
		[`a/b${' '.repeat(2_000)}c`, undefined],
	])('%s', (text, expected) => expect(readModelReference(text)).toEqual(expected));

	it('finds nothing in what is no address', () => expect(pagePathOf('nonsense')).toBeUndefined());
});

describe('The catalogue’s answers', () => {
	const entry = {
		model_id: 'a/b',
		display_name: 'A B',
		base_price_usd: 0.06,
		price_unit: 'Request',
		categories: ['x', 7],
		required_inputs: ['prompt'],
		input_schema: { properties: {} },
	};

	it('reads an entry', () =>
		expect(readModelEntry(entry)).toEqual({
			modelId: 'a/b',
			displayName: 'A B',
			categories: ['x'],
			price: { usd: 0.06, unit: 'request' },
			inputSchema: { properties: {} },
			requiredInputs: ['prompt'],
		}));

	it.each([[{ ...entry, model_id: '../x' }], [{ model_id: 7 }], [null], ['text']])('cannot use %j', (body) =>
		expect(readModelEntry(body)).toBeUndefined(),
	);

	it.each([
		[{ base_price_usd: null, price_unit: null }, {}],
		[{ base_price_usd: -1 }, {}],
		[{ base_price_usd: '0.06' }, {}],
		[
			{ base_price_usd: 0.1, price_unit: 'second', pricing_note: '<html><body>x' },
			{ usd: 0.1, unit: 'second' },
		],
	])('reads the price in %j', (more, price) =>
		expect(readModelEntry({ model_id: 'a/b', ...more })?.price).toEqual(price),
	);

	it.each([
		['https://www.runcomfy.com/models/a/b', true],
		['javascript:alert(1)', false],
		['https://', false],
		['https://[broken', false],
		['https://10.0.0.1/models/a/b', false],
		['https://user:password@www.runcomfy.com/', false],
	])('makes a link of %s: %s', (url, isLink) =>
		expect(readModelEntry({ ...entry, model_url: url })?.url !== undefined).toBe(isLink),
	);

	it('reads a page and skips what it cannot use', () =>
		expect(readModelPage({ models: [entry, 7], total: 2 })).toMatchObject({
			received: 2,
			models: [{ modelId: 'a/b' }],
		}));

	it('reads categories as words and as objects', () =>
		expect(readCategories({ categories: ['a', { name: 'b' }, { category: 'c' }, 7] })).toEqual([
			'a',
			'b',
			'c',
		]));

	it.each([
		[
			{ balance_usd: 12.5, currency: 'USD' },
			{ balance: 12.5, currency: 'USD' },
		],
		[{ balance_usd: 0 }, { balance: 0, currency: 'USD' }],
		[{ balance_usd: '12' }, undefined],
		['', undefined],
	])('reads the balance in %j', (body, expected) => expect(readBalance(body)).toEqual(expected));

	const answer = (status: number, body: unknown) =>
		readQuery({ status, headers: {}, body }, 0, 'The list could not be read', readBalance);
	it.each([
		['an answer', 200, { balance_usd: 1 }, { kind: 'found' }],
		['a gateway’s page', 502, '<html>', { kind: 'again' }],
		['too many requests', 429, {}, { kind: 'again' }],
		['something else', 200, 'hello', { kind: 'again' }],
		[
			'a bad token',
			401,
			{ error_code: 400004 },
			{
				kind: 'refused',
				problem: { message: 'The list could not be read: RunComfy did not accept the API token' },
			},
		],
		['a polite refusal', 200, { error_code: 400001 }, { kind: 'refused', problem: { isNotFound: true } }],
		['no such thing', 404, 'x', { kind: 'refused', problem: { isNotFound: true } }],
	])('takes %s for what it is', (_, status, body, expected) =>
		expect(answer(status, body)).toMatchObject(expected),
	);
});
