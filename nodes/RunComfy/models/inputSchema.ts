import { isJsonObject, numberOf, textOf, textsOf, type JsonObject } from '../api/json';

/**
 * What a model takes, read from the `input_schema` of its catalogue entry: JSON Schema with RunComfy's quirks. Pure, and
 * forgiving: a part that is not understood makes a field of any kind, never an error.
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
	/** The address of a file, or the file itself. */
	| 'file'
	| 'files'
	/** Not understood: whatever is given is sent. */
	| 'any';

export type Choice = string | number | boolean;

/** A rule about a file: `file_size_mb<` 30, `width/height>` 0.0625. Seen on images. */
export interface FileRule {
	subject: string;
	comparison: '<' | '>';
	value: number;
	/** RunComfy's own sentence. */
	fault: string;
}

/** One input of a model. */
export interface InputField {
	/** As it is sent. */
	name: string;
	/** As the user sees it. */
	label: string;
	kind: InputKind;
	required: boolean;
	choices?: Choice[];
	minimum?: number;
	maximum?: number;
	/** The bounds themselves are not allowed. */
	exclusiveMinimum?: number;
	exclusiveMaximum?: number;
	/** Of a text. */
	minLength?: number;
	maxLength?: number;
	/** Of a list. */
	minItems?: number;
	maxItems?: number;
	/** What the model takes when the input is left out; never null. */
	default?: unknown;
	/** `image`, `video`, `audio` or another kind of file. */
	fileKind?: string;
	fileRules?: FileRule[];
}

/** The inputs of a model, in the order of its schema; empty when the schema cannot be used. */
export function readInputFields(schema: JsonObject | undefined, requiredInputs: string[]): InputField[] {
	if (!isJsonObject(schema?.properties)) return [];
	const required = new Set([...textsOf(schema.required), ...requiredInputs]);
	return Object.entries(schema.properties).map(([name, property]) => {
		const rules = isJsonObject(property) ? property : {};
		return readField(name, rules, required.has(name) || rules.required === true);
	});
}

/** `image_uri`, `image_uris`, `video_uri` …: the format of a file's address, or of a list of them. */
const FILE_FORMAT = /^([a-z]+)_uri(s)?$/;

function readField(name: string, property: JsonObject, required: boolean): InputField {
	const rules = onlyAlternative(property);
	const title = textOf(property, 'title') ?? textOf(rules, 'title');
	const base = { name, label: title ?? labelOf(name), required };
	const bounds = {
		...numberRule(rules, 'minimum'),
		...numberRule(rules, 'maximum'),
		...exclusiveRule(rules, 'exclusiveMinimum', 'minimum'),
		...exclusiveRule(rules, 'exclusiveMaximum', 'maximum'),
		...numberRule(rules, 'minLength'),
		...numberRule(rules, 'maxLength'),
		...numberRule(rules, 'minItems'),
		...numberRule(rules, 'maxItems'),
	};
	const fallback: unknown = property.default ?? rules.default;
	const common = {
		...base,
		...bounds,
		...(fallback === undefined || fallback === null ? {} : { default: fallback }),
	};
	const file = fileFormatOf(rules) ?? sampleFileOf(rules, fallback);
	if (file !== undefined) {
		const fileRules = readFileRules(property);
		return {
			...common,
			kind: file.isList ? 'files' : 'file',
			fileKind: file.kind,
			...(fileRules.length === 0 ? {} : { fileRules }),
		};
	}
	const choices = choicesOf(rules);
	if (choices !== undefined) return { ...common, kind: 'choice', choices };
	return { ...common, kind: kindOf(rules) };
}

/** `anyOf: [{…}, {type: null}]` and the like mean the one alternative that is not null. */
function onlyAlternative(property: JsonObject): JsonObject {
	for (const name of ['anyOf', 'oneOf', 'allOf']) {
		const list: unknown = property[name];
		if (!Array.isArray(list)) continue;
		const alternatives = list.filter((one): one is JsonObject => isJsonObject(one) && one.type !== 'null');
		const [first] = alternatives;
		if (alternatives.length === 1 && first !== undefined) return { ...property, ...first };
	}
	return property;
}

function typeOf({ type }: JsonObject): unknown {
	if (!Array.isArray(type)) return type;
	const types = type.filter((one) => one !== 'null');
	return types.length === 1 ? types[0] : undefined;
}

/** `float` is RunComfy's own word for JSON Schema's `number`. */
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

function fileFormatOf(rules: JsonObject): { kind: string; isList: boolean } | undefined {
	const isArray = typeOf(rules) === 'array';
	const own = FILE_FORMAT.exec(textOf(rules, 'format') ?? '');
	const inItems =
		isArray && isJsonObject(rules.items) ? FILE_FORMAT.exec(textOf(rules.items, 'format') ?? '') : null;
	const [, kind, plural] = own ?? inItems ?? [];
	if (kind === undefined) return undefined;
	return { kind, isList: isArray || (plural !== undefined && typeOf(rules) !== 'string') };
}

/** Some file inputs have no format; their default, a sample file, tells. [assumed] */
const SAMPLE_FILES: ReadonlyArray<readonly [RegExp, string]> = [
	[/^https?:\/\/.+\.(png|jpe?g|webp)$/i, 'image'],
	[/^https?:\/\/.+\.(mp4|mov|webm)$/i, 'video'],
	[/^https?:\/\/.+\.(mp3|wav|ogg|flac|m4a)$/i, 'audio'],
];

function sampleFileOf(rules: JsonObject, fallback: unknown): { kind: string; isList: boolean } | undefined {
	if (typeOf(rules) !== 'string' || typeof fallback !== 'string') return undefined;
	const [, kind] = SAMPLE_FILES.find(([pattern]) => pattern.test(fallback)) ?? [];
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
		const [, subject, comparison] =
			/^(.+?)\s*([<>])=?$/.exec(textOf(validation, 'validation_rule') ?? '') ?? [];
		const value = numberOf(validation, 'validation_value');
		if (subject === undefined || (comparison !== '<' && comparison !== '>') || value === undefined) return [];
		const fault = textOf(validation, 'validation_error') ?? `must have ${subject} ${comparison} ${value}`;
		return [{ subject, comparison, value, fault }];
	});
}

type NumberRule = 'minimum' | 'maximum' | 'minLength' | 'maxLength' | 'minItems' | 'maxItems';

function numberRule(rules: JsonObject, name: NumberRule): Partial<Pick<InputField, NumberRule>> {
	const value = numberOf(rules, name);
	return value === undefined ? {} : { [name]: value };
}

/** A number in newer JSON Schema; `true` beside the plain bound in older. */
function exclusiveRule(
	rules: JsonObject,
	name: 'exclusiveMinimum' | 'exclusiveMaximum',
	plain: 'minimum' | 'maximum',
): Partial<InputField> {
	const value = rules[name] === true ? numberOf(rules, plain) : numberOf(rules, name);
	return value === undefined ? {} : { [name]: value };
}

/** `guidance_scale` → `Guidance Scale`. */
function labelOf(name: string): string {
	const words = name.replace(/[_\s]+/g, ' ').trim();
	return words === '' ? name : words.replace(/(^|\s)\p{Ll}/gu, (first) => first.toUpperCase());
}
