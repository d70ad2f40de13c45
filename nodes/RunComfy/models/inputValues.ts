import { isJsonObject, type JsonObject, parseJson } from '../api/json';
import { FieldError } from '../util/errors';
import { isEmpty, toBoolean } from '../util/values';
import { purposeOfName } from './inputNames';
import { type Choice, type InputField, type InputKind, isFileField } from './inputSchema';

/** Checks the user's values for the inputs of a model, and converts them to what is sent. Pure. */

type IsFileName = (name: string) => boolean;

/** The value of an input that takes files. */
export interface FileInput {
	field: InputField;
	/** URLs, data URIs, or names of the item's files. */
	sources: string[];
}

export interface InputValues {
	/** Everything but files. */
	input: JsonObject;
	files: FileInput[];
}

/** The field's name in error messages. */
export function inputLabel({ label }: InputField): string {
	return `Inputs → ${label}`;
}

function refuse(field: InputField, problem: string): never {
	throw new FieldError(inputLabel(field), problem);
}

/**
 * Reads the values of a model's inputs. Empty values are left out, except for a text that may be empty; a required input then
 * has its default. Values without a field in the schema are sent as they are, because the schema may be older than the model.
 * @param isFileName whether the item has a file with that name.
 * @throws FieldError with the label of the input.
 */
export function readInputValues(
	fields: InputField[],
	values: JsonObject,
	isFileName: IsFileName = () => false,
): InputValues {
	// A list of entries, because assigning a name such as `__proto__` to an object would not create a key.
	const input: Array<[string, unknown]> = [];
	const files: FileInput[] = [];
	for (const field of fields) {
		const value = Object.hasOwn(values, field.name) ? values[field.name] : undefined;
		if (isLeftOut(field, value)) {
			// An empty seed is random, and the default of a file is a sample.
			if (!field.required || field.isSeed === true) continue;
			if (field.default === undefined || isFileField(field)) refuse(field, 'must not be empty');
			input.push([field.name, convert(field, field.default)]);
		} else if (isFileField(field)) {
			files.push({ field, sources: sourcesOf(field, value, isFileName) });
		} else input.push([field.name, convert(field, value)]);
	}
	const known = new Set(fields.map(({ name }) => name));
	const others = Object.entries(values).filter(([name, value]) => !known.has(name) && !isEmpty(value));
	return { input: Object.fromEntries([...input, ...others]), files };
}

/** Null and undefined are no value anywhere. An emptied text is one, but a required prompt was rather forgotten. */
function isLeftOut({ name, kind, required, minLength, choices = [] }: InputField, value: unknown): boolean {
	if (!isEmpty(value)) return false;
	if (typeof value !== 'string') return true;
	if (kind !== 'text') return !choices.includes(value);
	const isPrompt = required && /prompt$/i.test(name) && purposeOfName(name) !== 'negative';
	return (minLength ?? (isPrompt ? 1 : 0)) > 0;
}

/** The value as it is sent; undefined where it is refused. */
export function tryConvert(field: InputField, value: unknown): unknown {
	try {
		return convert(field, value);
	} catch {
		return undefined;
	}
}

function convert(field: InputField, value: unknown): unknown {
	return (CONVERTERS[field.kind] ?? toAlternative)(field, value);
}

const CONVERTERS: Partial<Record<InputKind, (field: InputField, value: unknown) => unknown>> = {
	number: toNumber,
	integer: toNumber,
	boolean: (field, value) => toBoolean(value) ?? refuse(field, 'must be true or false'),
	choice: toChoice,
	object: toObject,
	array: toList,
	text: toText,
	date: (field, value) =>
		value instanceof Date && Number.isFinite(value.getTime()) ? value.toISOString() : toText(field, value),
};

/**
 * The value as the first alternative that accepts it: “5” becomes 5 where a number is expected. A text stays a text where
 * one of the alternatives is any text. A value that no alternative accepts is sent as it is, for RunComfy to check.
 */
function toAlternative({ alternatives = [] }: InputField, value: unknown): unknown {
	const others = alternatives.filter(({ kind }) => kind !== 'text');
	if (typeof value === 'string' && others.length < alternatives.length) return value;
	const converted = others.map((alternative) => tryConvert(alternative, value));
	return converted.find((one) => one !== undefined) ?? value;
}

function toNumber(field: InputField, value: unknown): number {
	const { kind, minimum = -Infinity, maximum = Infinity } = field;
	const { exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = field;
	const number = typeof value === 'string' ? Number(value) : value;
	const fits =
		typeof number === 'number' &&
		(kind === 'integer' ? Number.isInteger(number) : Number.isFinite(number)) &&
		number >= minimum &&
		number <= maximum &&
		number > exclusiveMinimum &&
		number < exclusiveMaximum;
	if (fits) return number;
	const whole = kind === 'integer' ? 'whole ' : '';
	return refuse(field, `must be a ${whole}number ${describeBounds(field)}`.trim());
}

/** The bounds in words: `from 0 to 20`, `of at least 1`, `below 5`; empty without bounds. */
function describeBounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: InputField): string {
	const low = exclusiveMinimum === minimum ? undefined : minimum;
	const high = exclusiveMaximum === maximum ? undefined : maximum;
	const range = low === undefined || high === undefined ? undefined : `from ${low} to ${high}`;
	const parts = [
		range ?? (low === undefined ? '' : `of at least ${low}`),
		range !== undefined || high === undefined ? '' : `of at most ${high}`,
		exclusiveMinimum === undefined ? '' : `above ${exclusiveMinimum}`,
		exclusiveMaximum === undefined ? '' : `below ${exclusiveMaximum}`,
	];
	return parts.filter((part) => part !== '').join(' and ');
}

/** The text of a plain value; undefined for an object, which may not even have one. */
function plainText(value: unknown): string | undefined {
	return ['string', 'number', 'boolean', 'bigint'].includes(typeof value) ? String(value) : undefined;
}

/** The choice as the schema spells it: an expression may return “5” for 5, or an object where the input takes one, too. */
function toChoice(field: InputField, value: unknown): Choice | JsonObject {
	const { choices = [], acceptsObject = false } = field;
	const json = acceptsObject && typeof value === 'string' ? parseJson(value) : value;
	if (acceptsObject && isJsonObject(json)) return json;
	const text = plainText(value)?.trim();
	const choice = choices.find((one) => one === value) ?? choices.find((one) => String(one) === text);
	const others = acceptsObject ? ', or a JSON object' : '';
	return choice ?? refuse(field, `must be one of: ${choices.join(', ')}${others}`);
}

function toText(field: InputField, value: unknown): string {
	const text = plainText(value) ?? refuse(field, 'must be text');
	// JSON Schema counts characters; JavaScript counts most emoji twice.
	const length = text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
	assertCount(field, 'characters', length, field.minLength, field.maxLength);
	return text;
}

function toObject(field: InputField, value: unknown): JsonObject {
	const json = typeof value === 'string' ? parseJson(value) : value;
	return isJsonObject(json) ? json : refuse(field, 'must be a JSON object, for example {"name": "value"}');
}

function toList(field: InputField, value: unknown): unknown[] {
	const json = typeof value === 'string' ? parseJson(value) : value;
	const list: unknown[] = Array.isArray(json)
		? json
		: refuse(field, 'must be a JSON list, for example ["one", "two"]');
	assertCount(field, 'entries', list.length, field.minItems, field.maxItems);
	return list;
}

function assertCount(field: InputField, what: string, count: number, min = 0, max = Infinity): void {
	if (count < min) refuse(field, `must have at least ${min} ${what}, but has ${count}`);
	if (count > max) refuse(field, `may have at most ${max} ${what}, but has ${count}`);
}

/** One URL or file name; for a list, several: as a JSON list, or separated by line breaks or commas. */
function sourcesOf(field: InputField, value: unknown, isFileName: IsFileName): string[] {
	if (field.kind === 'file') {
		if (typeof value !== 'string') return refuse(field, 'must be a URL or the name of an input file');
		return [oneSource(field, value)];
	}
	const isJson = typeof value === 'string' && value.trim().startsWith('[');
	const list = isJson
		? parseJson(value)
		: typeof value === 'string'
			? splitSources(value, isFileName)
			: value;
	const isSource = (one: unknown): one is string => typeof one === 'string' && one.trim() !== '';
	if (!Array.isArray(list) || !list.every(isSource))
		return refuse(field, 'must be URLs or names of input files, separated by commas or line breaks');
	assertCount(field, 'entries', list.length, field.minItems, field.maxItems);
	return list.map((one) => oneSource(field, one));
}

const ADDRESS = /^\s*(https?:\/\/|data:[a-z]+\/)/i;
/** What separates an address from the one that follows it. */
const BEFORE_ADDRESS = /(?<![\s,;|])[\s,;|]+(?=https?:\/\/|data:[a-z]+\/)/i;

/** A URL or the name of a file. Several of them would be sent as one that leads nowhere. */
function oneSource(field: InputField, text: string): string {
	const source = text.trim();
	if (!BEFORE_ADDRESS.test(source)) return source;
	return refuse(field, 'takes one file here, but holds several URLs');
}

/**
 * A comma can be part of a URL: after one, it separates only before white space, another URL, or the name of a file. A
 * space can be part of a name, and of a URL that was not encoded: it separates only URLs and names of files.
 */
function splitSources(text: string, isFileName: IsFileName): string[] {
	const sources = text
		.split(/\n/)
		.flatMap((line) => line.split(BEFORE_ADDRESS))
		.flatMap((line) => {
			const parts: string[] = [];
			for (const part of line.split(',')) {
				const before = parts.at(-1) ?? '';
				const isInDataUri = /^\s*data:/i.test(before) && !before.includes(',');
				const isNext = () => /^\s/.test(part) || isFileName(part.trim());
				if (isInDataUri || (ADDRESS.test(before) && !isNext())) parts.push(`${parts.pop()},${part}`);
				else parts.push(part);
			}
			return parts;
		});
	return sources.flatMap((source) => {
		const words = source.trim().split(/\s+/);
		return words.every((word) => ADDRESS.test(word) || isFileName(word)) ? words : source.trim() || [];
	});
}

/**
 * An input that may hold a file or something else, as its value decides: a URL, or a text that is exactly the name of one of
 * the item's files.
 */
export function asFileField(field: InputField, value: unknown, isFileName: IsFileName): InputField {
	const { kind, alternatives = [], name, label, required } = field;
	if (kind === 'text')
		return typeof value === 'string' && isFileName(value.trim()) ? { ...field, kind: 'file' } : field;
	if (kind !== 'array' && kind !== 'any') return field;
	const isJson = typeof value === 'string' && value.trim().startsWith('[');
	const list = isJson ? parseJson(value) : value;
	const sources: unknown[] =
		typeof list === 'string' ? splitSources(list, isFileName) : Array.isArray(list) ? list : [];
	const isNamed = sources.some((one) => typeof one === 'string' && isFileName(one.trim()));
	const isSource = (one: unknown) => typeof one === 'string' && (ADDRESS.test(one) || isFileName(one.trim()));
	if (sources.length === 0 || !sources.every(isSource)) return field;
	if (kind === 'array') return isNamed || typeof list === 'string' ? { ...field, kind: 'files' } : field;
	const isList = sources.length > 1 || Array.isArray(list);
	const files = alternatives.find((one) => one.kind === 'files');
	const chosen = isList ? files : (alternatives.find((one) => one.kind === 'file') ?? files);
	if (chosen !== undefined) return { ...chosen, name, label, required };
	return isNamed && !isList ? { ...field, kind: 'file' } : field;
}
