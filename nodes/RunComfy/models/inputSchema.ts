import { isJsonObject, type JsonObject, numberAt, textAt, textsIn } from '../api/json';
import { isWebUrl } from '../api/urls';
import { kindByName } from '../files/fileTypes';
import { omitUndefined } from '../util/values';
import { fileKindOfName, labelOf, spell } from './inputNames';

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
	/** A choice may also be a JSON object. */
	acceptsObject?: boolean;
	/** A run sends a random value where the user gives none. */
	isSeed?: boolean;
	/** Not shown in the editor until the user adds it. */
	isHidden?: boolean;
}

/** True for an input that takes files only. */
export function isFileField({ kind }: InputField): boolean {
	return kind === 'file' || kind === 'files';
}

/** The inputs of a model, in the order of its schema; empty when the schema cannot be used. */
export function readInputFields(schema: JsonObject | undefined, requiredInputs: string[]): InputField[] {
	if (!isJsonObject(schema?.properties)) return [];
	const { properties } = schema;
	const required = new Set([...textsIn(schema.required), ...requiredInputs]);
	const fields = Object.entries(properties).map(([name, property]) => {
		const rules = resolve(property, schema);
		return fieldOf(name, rules, required.has(name) || rules.required === true, schema);
	});
	// RunComfy requires what it does not list: another name of a listed input, or a real one. The user can send it.
	const missing = [...required].filter((name) => !Object.hasOwn(properties, name));
	const offered = missing.map((name) => {
		const fileType = /s$/.test(name) ? 'array' : 'string';
		const type = fileKindOfName(name) === undefined ? undefined : fileType;
		return fieldOf(name, { title: `${labelOf(name)} (Required, Not Listed)`, type }, false, schema);
	});
	return [...fields, ...offered];
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
		rules = { ...findReference($ref, schema), ...own };
	}
	return rules;
}

/** Finds a part of the schema by a JSON pointer, the format of `$ref`. */
function findReference(reference: string, schema: JsonObject): JsonObject | undefined {
	const [root, ...parts] = reference.split('/', MAX_REFERENCES);
	let found: unknown = root === '#' ? schema : undefined;
	for (const part of parts) {
		const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
		found = isJsonObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
	}
	return isJsonObject(found) ? found : undefined;
}

const LIMITS = ['minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems'] as const;

function fieldOf(name: string, property: JsonObject, required: boolean, schema: JsonObject): InputField {
	const alternatives = alternativesOf(property, schema);
	const rules = alternatives.length === 1 ? { ...alternatives[0], ...property } : property;
	const content = fileContentOf(name, rules, schema) ?? plainContentOf(name, rules, alternatives, schema);
	return omitUndefined({
		name,
		label: spell(textAt(rules, 'title') ?? labelOf(name)),
		required,
		...Object.fromEntries(LIMITS.map((limit) => [limit, numberAt(rules, limit)])),
		exclusiveMinimum: exclusiveBound(rules.exclusiveMinimum, rules.minimum),
		exclusiveMaximum: exclusiveBound(rules.exclusiveMaximum, rules.maximum),
		default: rules.default ?? undefined,
		isSeed: name === 'seed' && content.kind === 'integer' ? true : undefined,
		...content,
	});
}

/** An exclusive bound: a number in newer JSON Schema, or `true` beside the inclusive bound in older. */
function exclusiveBound(bound: unknown, inclusive: unknown): number | undefined {
	const value = bound === true ? inclusive : bound;
	return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
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

/** What a field holds: its kind, and what goes with that kind. */
export type FieldContent = Omit<InputField, 'name' | 'label' | 'required' | 'default'>;

/** `image_uri`, `image_uris`, `image_uri_with_mask_…`, and the `uri` of other services: the format of a file's URL. */
const FILE_FORMAT = /^(?:([a-z]+)_)?uri(s)?/i;
/** Types that are none of JSON Schema, seen at other services. */
const FILE_TYPE = /^(file|image|video|audio)([-_]upload)?$/;

/** Some file inputs have no format, and are detected by the URL of a sample file, or by their name [assumed]. */
function fileContentOf(name: string, rules: JsonObject, schema: JsonObject): FieldContent | undefined {
	const type = typeOf(rules);
	const items = type === 'array' ? resolve(rules.items, schema) : {};
	const format = [rules, items].map((one) => FILE_FORMAT.exec(textAt(one, 'format') ?? '')).find(Boolean);
	const [, kind, plural] = format ?? [];
	const holdsTexts = type === 'array' ? (typeOf(items) ?? 'string') === 'string' : type === 'string';
	// One text with a plural name may hold a list of URLs in a form of its own.
	const isNamed = type === 'array' || !/s(_?\d+)?$/i.test(name);
	const isPlain = holdsTexts && [rules, items].every((one) => choicesOf(one).length === 0);
	const samples = [rules.default, rules.example, rules.examples].flat().filter(isWebUrl);
	const guessed = isPlain
		? (samples.map(kindByName).find(Boolean) ?? (isNamed ? fileKindOfName(name) : undefined))
		: undefined;
	const [, typed] = (typeof type === 'string' && FILE_TYPE.exec(type)) || [];
	const fileKind = kind ?? guessed ?? typed ?? (format === undefined ? undefined : 'file');
	if (fileKind === undefined) return undefined;
	const isList = type === 'array' || (plural !== undefined && type !== 'string');
	return { kind: isList ? 'files' : 'file', fileKind, fileRules: fileRulesOf(rules) };
}

function fileRulesOf({ validations }: JsonObject): FileRule[] | undefined {
	const rules = (Array.isArray(validations) ? validations : []).filter(isJsonObject).flatMap((validation) => {
		const rule = textAt(validation, 'validation_rule') ?? '';
		const [, subject = '', comparison] = /^([^<>]+)([<>])=?$/.exec(rule) ?? [];
		const value = numberAt(validation, 'validation_value');
		if ((comparison !== '<' && comparison !== '>') || value === undefined) return [];
		const problem = textAt(validation, 'validation_error') ?? `must have ${subject} ${comparison} ${value}`;
		return [{ subject: subject.trim(), comparison, value, problem } satisfies FileRule];
	});
	return rules.length === 0 ? undefined : rules;
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

/** “A custom `{width, height}` object may be sent instead”, as RunComfy says of some choices. */
const TAKES_OBJECT = /\{\s*\w+\s*,|\b(custom|json)\b.*\bobject\b/i;

function plainContentOf(
	name: string,
	rules: JsonObject,
	alternatives: JsonObject[],
	schema: JsonObject,
): FieldContent {
	const choices = choicesOf(rules);
	if (choices.length > 0) {
		const acceptsObject = TAKES_OBJECT.test(textAt(rules, 'description') ?? '') || undefined;
		return { kind: 'choice', choices, acceptsObject };
	}
	const kind = KINDS.get(typeOf(rules));
	if (kind === 'text' && (rules.format === 'date-time' || rules.format === 'date')) return { kind: 'date' };
	if (kind !== undefined) return { kind };
	if (isJsonObject(rules.properties)) return { kind: 'object' };
	if (rules.items !== undefined) return { kind: 'array' };
	return alternatives.length > 1 ? mergeAlternatives(name, alternatives, schema) : { kind: 'any' };
}

function typeOf({ type }: JsonObject): unknown {
	const types = [type].flat().map((one: unknown) => (typeof one === 'string' ? one.toLowerCase() : one));
	const [first, ...others] = types.length > 1 ? types.filter((one) => one !== 'null') : types;
	return others.length === 0 ? first : undefined;
}

/** A longer list would be of no use in the editor, and is for RunComfy to check. */
const MAX_CHOICES = 5_000;

function choicesOf(rules: JsonObject): Choice[] {
	const list: unknown = 'const' in rules ? [rules.const] : rules.enum;
	return Array.isArray(list) && list.length <= MAX_CHOICES ? list.filter(isChoice) : [];
}

/** True for a value that a drop-down list can hold. */
export function isChoice(value: unknown): value is Choice {
	return ['string', 'number', 'boolean'].includes(typeof value);
}

/** Kinds for which several alternatives look the same to the user as one. */
const PLAIN_KINDS: InputKind[] = ['text', 'integer', 'number', 'boolean', 'object', 'array'];

/** Alternatives of one kind become that kind, and their choices are merged. */
function mergeAlternatives(name: string, rules: JsonObject[], schema: JsonObject): FieldContent {
	// Nested alternatives are ignored: none have been seen in RunComfy's catalog.
	const alternatives = rules.map(({ anyOf: _any, oneOf: _one, allOf: _all, ...rule }) =>
		fieldOf(name, rule, false, schema),
	);
	const are = (...kinds: InputKind[]) => alternatives.every(({ kind }) => kinds.includes(kind));
	const acceptsObject = alternatives.some(({ kind }) => kind === 'object');
	if (are('choice', 'object') && !are('object')) {
		const choices = alternatives.flatMap((one) => one.choices ?? []);
		if (choices.length > MAX_CHOICES) return { kind: 'any' };
		return { kind: 'choice', choices, ...(acceptsObject ? { acceptsObject } : {}) };
	}
	const kind = PLAIN_KINDS.find((one) => are(one)) ?? (are('integer', 'number') ? 'number' : 'any');
	return kind === 'any' ? { kind, alternatives } : { kind };
}
