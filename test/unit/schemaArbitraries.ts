import * as fc from 'fast-check';

/** Generated schemas and values, for properties of the functions that read them. */

/** Names of inputs, some of them awkward. */
export const names = fc.constantFrom(
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
/** Input schemas of any shape. */
export const schemas = fc.record({
	properties: fc.oneof(fc.dictionary(names, rules, { maxKeys: 4 }), fc.jsonValue()),
	$defs: fc.record({ A: rules }),
	required: fc.oneof(fc.array(names), fc.jsonValue()),
});
/** What an expression can give. */
export const values = fc.oneof(
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
