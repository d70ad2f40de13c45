import * as fc from 'fast-check';

import { hostKind } from '../../nodes/RunComfy/api/addresses';
import { readBalance } from '../../nodes/RunComfy/api/account';
import { readCategories, readModelEntry, readModelPage } from '../../nodes/RunComfy/api/models';
import { cleanReason, explainAnswer, reasonOf } from '../../nodes/RunComfy/api/problems';
import { endedProblem } from '../../nodes/RunComfy/jobs/problems';
import { createRedact, redactJson } from '../../nodes/RunComfy/common/redact';
import { FieldError } from '../../nodes/RunComfy/common/fieldError';
import { fileTypeOf, looksLikeText } from '../../nodes/RunComfy/files/fileTypes';
import { splitSources } from '../../nodes/RunComfy/models/splitSources';
import { readInputFields } from '../../nodes/RunComfy/models/inputSchema';
import { readInputValues } from '../../nodes/RunComfy/models/inputValues';
import { toMapperField } from '../../nodes/RunComfy/models/mapperFields';
import { pagePathOf, readModelReference } from '../../nodes/RunComfy/models/modelReference';

/** Properties of the pure parts that read what comes from outside: whatever it is, they do what they promise. */

const TOKEN = 'rc_"token\\/0123456789';
const names = fc.constantFrom(
	'it',
	'seed',
	'constructor',
	'__proto__',
	'toString',
	'hasOwnProperty',
	'',
	'a.b:c',
);

/** What JSON can hold, with a good share of what a schema holds. */
const rules = fc.letrec<{ rule: unknown }>((tie) => ({
	rule: fc.oneof(
		{ maxDepth: 4, depthSize: 'small' },
		fc.jsonValue(),
		fc.record(
			{
				type: fc.oneof(
					fc.constantFrom('string', 'float', 'integer', 'boolean', 'object', 'array', 'null', 'tensor'),
					fc.jsonValue(),
				),
				format: fc.oneof(
					fc.constantFrom('image_uri', 'image_uris', 'date-time', 'lora_path'),
					fc.jsonValue(),
				),
				title: fc.oneof(fc.string(), fc.jsonValue()),
				enum: fc.oneof(fc.array(fc.jsonValue()), fc.jsonValue()),
				const: fc.jsonValue(),
				default: fc.jsonValue(),
				minimum: fc.oneof(fc.double(), fc.jsonValue()),
				exclusiveMaximum: fc.oneof(fc.double(), fc.boolean()),
				maxLength: fc.oneof(fc.nat(9), fc.jsonValue()),
				minItems: fc.oneof(fc.nat(3), fc.jsonValue()),
				items: tie('rule'),
				anyOf: fc.oneof(fc.array(tie('rule'), { maxLength: 4 }), fc.jsonValue()),
				allOf: fc.array(tie('rule'), { maxLength: 3 }),
				$ref: fc.oneof(
					fc.constantFrom('#', '#/$defs/A', '#/properties/it', '#/constructor', '#/%'),
					fc.string(),
				),
				validations: fc.array(fc.record({ validation_rule: fc.string(), validation_value: fc.jsonValue() })),
				required: fc.jsonValue(),
			},
			{ requiredKeys: [] },
		),
	),
})).rule;
const schemas = fc.record({
	properties: fc.oneof(fc.dictionary(names, rules, { maxKeys: 4 }), fc.jsonValue()),
	$defs: fc.record({ A: rules }),
	required: fc.oneof(fc.array(names), fc.jsonValue()),
});
/** What an expression can give. */
const values = fc.oneof(
	fc.anything({ withNullPrototype: true, withDate: true, withBigInt: true }),
	fc.constantFrom(
		'7',
		'true',
		'{}',
		'[]',
		'https://a.b/c.png,data',
		'data:image/png;base64,AA,BB',
		new Date(NaN),
	),
);

describe('Whatever a catalogue holds', () => {
	it('a schema becomes fields, in order, and none of them is an exception', () =>
		fc.assert(
			fc.property(schemas, (schema) => {
				const fields = readInputFields(schema, []);
				const { properties } = schema;
				const isObject = typeof properties === 'object' && properties !== null && !Array.isArray(properties);
				expect(fields.map(({ name }) => name)).toEqual(isObject ? Object.keys(properties) : []);
				for (const field of fields) expect(typeof toMapperField(field).displayName).toBe('string');
			}),
			{ numRuns: 500 },
		));

	it('values of any kind are taken, or refused with the name of their field', () =>
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

	it('an entry is read or left out, and its link is public', () => {
		const entry = fc.record(
			{
				model_id: fc.oneof(fc.constantFrom('a/b', '../x', 'a/__proto__'), fc.jsonValue()),
				display_name: fc.jsonValue(),
				base_price_usd: fc.jsonValue(),
				price_unit: fc.jsonValue(),
				pricing_note: fc.jsonValue(),
				categories: fc.jsonValue(),
				model_url: fc.oneof(
					fc.webUrl(),
					fc.string(),
					fc.constantFrom('https://10.0.0.1/', 'https://a.b/%', 'https://[::1]/', 'https://u:p@a.b/'),
				),
				required_inputs: fc.jsonValue(),
				input_schema: fc.jsonValue(),
			},
			{ requiredKeys: [] },
		);
		fc.assert(
			fc.property(fc.oneof(entry, fc.jsonValue()), (body) => {
				const read = readModelEntry(body);
				if (read?.url !== undefined) {
					expect(hostKind(new URL(read.url).hostname)).toBe('public');
					pagePathOf(read.url);
				}
				expect(readModelPage({ models: [body] })?.models).toEqual(read === undefined ? [] : [read]);
				readCategories({ categories: [body] });
				readBalance(body);
			}),
			{ numRuns: 1_000 },
		);
	});
});

describe('Whatever a user names', () => {
	it('a reference to a model is an id, a path or nothing', () => {
		const text = fc.oneof(
			fc.string(),
			fc.webUrl(),
			fc.string().map((path) => `https://www.runcomfy.com/models/${path}`),
			fc
				.array(fc.constantFrom('a', '/', '%', '..', 'models/', 'https://runcomfy.com/', ' '))
				.map((parts) => parts.join('')),
		);
		fc.assert(
			fc.property(text, (given) => {
				const reference = readModelReference(given);
				if (reference === undefined) return;
				const path = reference.kind === 'id' ? reference.modelId : reference.path;
				expect(encodeURI(path)).toBe(path);
				expect(path.split('/')).not.toContain('..');
			}),
			{ numRuns: 2_000 },
		);
	});

	it('a list of files loses nothing but what separates', () => {
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
		fc.assert(
			fc.property(
				fc.array(part).map((parts) => parts.join('')),
				(text) => {
					const bare = (one: string) => one.replace(/[\s,]/g, '');
					expect(bare(splitSources(text, (name) => name === 'data').join(''))).toBe(bare(text));
				},
			),
		);
	});
});

describe('Whatever RunComfy answers', () => {
	const redact = createRedact(TOKEN);
	const text = fc.oneof(
		fc.string(),
		fc.constantFrom(TOKEN, JSON.stringify(TOKEN), encodeURIComponent(TOKEN), `Bearer ${TOKEN}`, '<html>'),
	);
	const body = fc.letrec<{ body: unknown }>((tie) => ({
		body: fc.oneof(
			{ maxDepth: 5, depthSize: 'small' },
			text,
			fc.jsonValue(),
			fc.array(tie('body'), { maxLength: 3 }),
			fc.record(
				{
					error_code: fc.oneof(fc.nat(), text),
					error_message: tie('body'),
					detail: tie('body'),
					error: tie('body'),
					msg: text,
					loc: fc.array(fc.oneof(text, fc.nat(), fc.constant({ toString: 1 }))),
				},
				{ requiredKeys: [] },
			),
		),
	})).body;

	it('an error has a short sentence without the token', () =>
		fc.assert(
			fc.property(body, fc.integer({ min: 100, max: 599 }), (given, status) => {
				const read = redactJson(given, redact);
				const { what, advice } = explainAnswer({ status, headers: {}, body: read });
				const { message } = endedProblem('job', 'failed', read);
				for (const one of [what, advice, message, reasonOf(read) ?? '']) {
					expect(redact(one)).toBe(one);
					expect(one.length).toBeLessThan(800);
				}
			}),
			{ numRuns: 1_000 },
		));

	it.each<[string, unknown]>([
		['half a data URI, over and over', 'data:a/'.repeat(300_000)],
		['“bearer”, over and over', 'bearer '.repeat(300_000)],
		['white space', ' \n'.repeat(1_000_000)],
		['a long list', Array.from({ length: 200_000 }, () => ({ msg: 'x'.repeat(50) }))],
		['a deep one', JSON.parse(`${'[{"error":'.repeat(2_000)}"x"${'}]'.repeat(2_000)}`)],
	])('%s takes no time', (_, given) => {
		const from = performance.now();
		expect((reasonOf({ error: given }) ?? '').length).toBeLessThan(400);
		expect(performance.now() - from).toBeLessThan(500);
	});

	it('a schema of hostile texts takes no time', () => {
		const from = performance.now();
		const rule = `a${' '.repeat(300_000)}b`;
		readInputFields(
			{ properties: { it: { format: 'image_uri', validations: [{ validation_rule: rule }] } } },
			[],
		);
		readInputFields(
			{ properties: { [rule]: { title: rule, default: `https://${'.'.repeat(300_000)}` } } },
			[],
		);
		readModelReference(`https://www.runcomfy.com/models/${'/'.repeat(300_000)}x`);
		readModelReference(`a${'/'.repeat(300_000)}b`);
		readModelEntry({ model_id: 'a/'.repeat(300_000), model_url: `https://${'a.'.repeat(300_000)}` });
		expect(performance.now() - from).toBeLessThan(1_000);
	});

	it('a sentence is never an exception', () =>
		fc.assert(
			fc.property(fc.string({ unit: 'binary' }), (given) => (cleanReason(given) ?? '').length <= 301),
		));

	it('the bytes of a file have a type or none', () =>
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
				const buffer = Buffer.from(bytes);
				expect(['image', 'video', 'audio', undefined]).toContain(fileTypeOf(buffer)?.kind);
				expect(typeof looksLikeText(buffer)).toBe('boolean');
			}),
		));
});
