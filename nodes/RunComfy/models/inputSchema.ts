import { isJsonObject, type JsonObject, numberOf, textOf, textsOf } from '../api/json';
import { kindByName } from '../files/fileTypes';
import { omitUndefined } from '../util/values';

/**
 * The inputs of a model, read from the `input_schema` of its catalog entry, which is JSON Schema with RunComfy's own
 * additions [assumed]. Pure. A part that cannot be read leads to a field that accepts anything, never to an error.
 */

export type InputKind =
	| 'text'
	| 'number'
	| 'integer'
	| 'boolean'
	| 'choice'
	| 'date'
	| 'object'
	| 'array'
	/** The URL of a file, or the file itself. */
	| 'file'
	| 'files'
	/** Not recognized: any value is sent as it is. */
	| 'any';

export type Choice = string | number | boolean;

/** A rule for a file, such as `file_size_mb<` 30 or `width/height>` 0.0625. Seen on images. */
export interface FileRule {
	subject: string;
	comparison: '<' | '>';
	value: number;
	/** What is wrong with a file that breaks the rule, in RunComfy's words. */
	problem: string;
}

/** One input of a model. */
export interface InputField {
	/** The name in the request. */
	name: string;
	/** The name in the editor. */
	label: string;
	kind: InputKind;
	required: boolean;
	choices?: Choice[];
	minimum?: number;
	maximum?: number;
	/** Bounds that are themselves not allowed. */
	exclusiveMinimum?: number;
	exclusiveMaximum?: number;
	/** Of a text. */
	minLength?: number;
	maxLength?: number;
	/** Of a list. */
	minItems?: number;
	maxItems?: number;
	/** The value that the model uses when the input is left out; never null. */
	default?: unknown;
	/** `image`, `video`, `audio`, or another kind of file. */
	fileKind?: string;
	fileRules?: FileRule[];
	/** Of an input that accepts values of several kinds. */
	alternatives?: InputField[];
	/** Not shown in the editor until the user adds it. */
	isHidden?: true;
}

/** The inputs of a model, in the order of its schema; empty when the schema cannot be used. */
export function readInputFields(schema: JsonObject | undefined, requiredInputs: string[]): InputField[] {
	if (!isJsonObject(schema?.properties)) return [];
	const required = new Set([...textsOf(schema.required), ...requiredInputs]);
	return Object.entries(schema.properties).map(([name, property]) => {
		const rules = resolve(property, schema);
		return readField(name, rules, required.has(name) || rules.required === true, schema);
	});
}

/** Ends the resolution of a schema that refers to itself. */
const MAX_REFERENCES = 8;
const MAX_ALTERNATIVES = 20;

/**
 * Resolves the local references (`#/$defs/Style`) of a rule, whose own keys take precedence.
 * @returns an empty rule for anything but a rule.
 */
function resolve(rule: unknown, schema: JsonObject): JsonObject {
	let rules = isJsonObject(rule) ? rule : {};
	for (let count = 0; count < MAX_REFERENCES && typeof rules.$ref === 'string'; count++) {
		const { $ref, ...own } = rules;
		const target = findReference($ref, schema);
		if (target === undefined) break;
		rules = { ...keywordsOf(target), ...own };
	}
	return rules;
}

/** The keys that are read of a rule. Nothing else is copied, because a reference may point to something large. */
const KEYWORDS = [
	...['$ref', 'type', 'format', 'title', 'description', 'default', 'enum', 'const', 'examples', 'required'],
	...['anyOf', 'oneOf', 'allOf', 'items', 'properties', 'validations', 'minimum', 'maximum'],
	...['exclusiveMinimum', 'exclusiveMaximum', 'minLength', 'maxLength', 'minItems', 'maxItems'],
];

function keywordsOf(target: JsonObject): JsonObject {
	return Object.fromEntries(
		KEYWORDS.filter((name) => Object.hasOwn(target, name)).map((name) => [name, target[name]]),
	);
}

/** Finds a part of the schema by a JSON pointer, the format of `$ref`. */
function findReference(reference: string, schema: JsonObject): JsonObject | undefined {
	const [root, ...parts] = reference.split('/', MAX_REFERENCES);
	if (root !== '#') return undefined;
	let found: unknown = schema;
	for (const part of parts) {
		const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
		if (!isJsonObject(found) || !Object.hasOwn(found, name)) return undefined;
		found = found[name];
	}
	return isJsonObject(found) ? found : undefined;
}

/** `image_uri`, `image_uris`, `video_uri`, and so on: the format of a file's URL, or of a list of them. */
const FILE_FORMAT = /^([a-z]+)_uri(s)?$/;

function readField(name: string, property: JsonObject, required: boolean, schema: JsonObject): InputField {
	const alternatives = alternativesOf(property, schema);
	const [only] = alternatives;
	const rules = alternatives.length === 1 ? { ...property, ...only } : property;
	const title = textOf(property, 'title') ?? textOf(rules, 'title');
	const fallback: unknown = property.default ?? rules.default;
	const common = omitUndefined({
		name,
		label: title ?? labelOf(name),
		required,
		minimum: numberOf(rules, 'minimum'),
		maximum: numberOf(rules, 'maximum'),
		exclusiveMinimum: exclusiveRule(rules, 'exclusiveMinimum', 'minimum'),
		exclusiveMaximum: exclusiveRule(rules, 'exclusiveMaximum', 'maximum'),
		minLength: numberOf(rules, 'minLength'),
		maxLength: numberOf(rules, 'maxLength'),
		minItems: numberOf(rules, 'minItems'),
		maxItems: numberOf(rules, 'maxItems'),
		default: fallback ?? undefined,
	});
	const items = resolve(rules.items, schema);
	const file = fileFormatOf(rules, items) ?? sampleFileOf(rules, fallback);
	if (file !== undefined) {
		const fileRules = readFileRules(property);
		return {
			...common,
			kind: file.isList ? 'files' : 'file',
			fileKind: file.kind,
			...omitUndefined({ fileRules: fileRules.length === 0 ? undefined : fileRules }),
		};
	}
	const choices = choicesOf(rules);
	if (choices !== undefined) return { ...common, kind: 'choice', choices };
	const kind = kindOf(rules);
	return kind === 'any' && alternatives.length > 1
		? ofAlternatives(common, alternatives, schema)
		: { ...common, kind };
}

/**
 * The alternatives of `anyOf` and `oneOf` without null: `anyOf: [{…}, {type: null}]` has a single alternative. The parts of
 * `allOf` are merged into one alternative.
 */
function alternativesOf({ anyOf, oneOf, allOf }: JsonObject, schema: JsonObject): JsonObject[] {
	const rulesOf = (list: unknown) =>
		Array.isArray(list) ? list.slice(0, MAX_ALTERNATIVES).map((one) => resolve(one, schema)) : [];
	const all = rulesOf(allOf);
	if (all.length > 0) return [Object.assign({}, ...all) as JsonObject];
	return rulesOf(anyOf ?? oneOf).filter(({ type }) => type !== 'null');
}

/** Kinds for which several alternatives look the same to the user as one. */
const PLAIN_KINDS: InputKind[] = ['text', 'integer', 'number', 'boolean', 'object', 'array'];

/** A field for several alternatives: alternatives of one kind become that kind, and their choices are merged. */
function ofAlternatives(
	common: Omit<InputField, 'kind'>,
	rules: JsonObject[],
	schema: JsonObject,
): InputField {
	// Nested alternatives are ignored: none have been seen in RunComfy's catalog.
	const alternatives = rules.map(({ anyOf: _any, oneOf: _one, allOf: _all, ...rule }) =>
		readField(common.name, rule, common.required, schema),
	);
	const are = (...kinds: InputKind[]) => alternatives.every(({ kind }) => kinds.includes(kind));
	if (are('choice')) {
		return { ...common, kind: 'choice', choices: alternatives.flatMap(({ choices = [] }) => choices) };
	}
	const kind = PLAIN_KINDS.find((one) => are(one)) ?? (are('integer', 'number') ? 'number' : 'any');
	return kind === 'any' ? { ...common, kind, alternatives } : { ...common, kind };
}

function typeOf({ type }: JsonObject): unknown {
	if (!Array.isArray(type)) return type;
	const types = type.filter((one) => one !== 'null');
	return types.length === 1 ? types[0] : undefined;
}

/** JSON Schema's types, and RunComfy's own names for them, such as `float`. */
const KINDS = new Map<unknown, InputKind>([
	['string', 'text'],
	['number', 'number'],
	['float', 'number'],
	['double', 'number'],
	['integer', 'integer'],
	['int', 'integer'],
	['boolean', 'boolean'],
	['bool', 'boolean'],
	['object', 'object'],
	['array', 'array'],
]);

function kindOf(rules: JsonObject): InputKind {
	const kind = KINDS.get(typeOf(rules));
	if (kind === 'text' && (rules.format === 'date-time' || rules.format === 'date')) return 'date';
	if (kind !== undefined) return kind;
	if (isJsonObject(rules.properties)) return 'object';
	return rules.items === undefined ? 'any' : 'array';
}

function fileFormatOf(rules: JsonObject, items: JsonObject): { kind: string; isList: boolean } | undefined {
	const isArray = typeOf(rules) === 'array';
	const own = FILE_FORMAT.exec(textOf(rules, 'format') ?? '');
	const inItems = isArray ? FILE_FORMAT.exec(textOf(items, 'format') ?? '') : null;
	const [, kind, plural] = own ?? inItems ?? [];
	if (kind === undefined) return undefined;
	return { kind, isList: isArray || (plural !== undefined && typeOf(rules) !== 'string') };
}

/** Some file inputs have no format, and are detected by their default, the URL of a sample file [assumed]. */
function sampleFileOf(rules: JsonObject, fallback: unknown): { kind: string; isList: boolean } | undefined {
	if (typeOf(rules) !== 'string' || typeof fallback !== 'string') return undefined;
	const kind = /^https?:\/\/./i.test(fallback) ? kindByName(fallback) : undefined;
	return kind === undefined ? undefined : { kind, isList: false };
}

function choicesOf(rules: JsonObject): Choice[] | undefined {
	const list: unknown = 'const' in rules ? [rules.const] : rules.enum;
	if (!Array.isArray(list)) return undefined;
	const choices = list.filter((one): one is Choice => ['string', 'number', 'boolean'].includes(typeof one));
	return choices.length === 0 ? undefined : choices;
}

function readFileRules({ validations }: JsonObject): FileRule[] {
	if (!Array.isArray(validations)) return [];
	return validations.filter(isJsonObject).flatMap((validation) => {
		const rule = textOf(validation, 'validation_rule')?.replace(/=$/, '') ?? '';
		const comparison = rule.at(-1);
		const subject = rule.slice(0, -1).trim();
		const value = numberOf(validation, 'validation_value');
		if (subject === '' || (comparison !== '<' && comparison !== '>') || value === undefined) return [];
		const problem = textOf(validation, 'validation_error') ?? `must have ${subject} ${comparison} ${value}`;
		return [{ subject, comparison, value, problem }];
	});
}

/** An exclusive bound: a number in newer JSON Schema, or `true` together with the inclusive bound in older. */
function exclusiveRule(
	rules: JsonObject,
	name: 'exclusiveMinimum' | 'exclusiveMaximum',
	plain: 'minimum' | 'maximum',
): number | undefined {
	return rules[name] === true ? numberOf(rules, plain) : numberOf(rules, name);
}

/** `guidance_scale` → `Guidance Scale`. */
export function labelOf(name: string): string {
	const words = name.replace(/[_\s]+/g, ' ').trim();
	return words === '' ? name : words.replace(/(^|\s)\p{Ll}/gu, (first) => first.toUpperCase());
}
