import { isJsonObject, type JsonObject, parseJson } from '../api/json';
import { FieldError } from '../util/errors';
import { isEmpty } from '../util/values';
import type { Choice, InputField } from './inputSchema';
import { splitSources } from './splitSources';

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

/**
 * Reads the values of a model's inputs. Empty values are left out. Values without a field in the schema are sent as they
 * are, because the schema may be older than the model.
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
	const known = new Set(fields.map(({ name }) => name));
	for (const field of fields) {
		const value = Object.hasOwn(values, field.name) ? values[field.name] : undefined;
		if (isEmpty(value)) {
			if (field.required) throw new FieldError(inputLabel(field), 'must not be empty');
			continue;
		}
		if (field.kind === 'file' || field.kind === 'files')
			files.push({ field, sources: sourcesOf(field, value, isFileName) });
		else input.push([field.name, readValue(field, value)]);
	}
	for (const [name, value] of Object.entries(values)) {
		if (!known.has(name) && !isEmpty(value)) input.push([name, value]);
	}
	return { input: Object.fromEntries(input), files };
}

function readValue(field: InputField, value: unknown): unknown {
	switch (field.kind) {
		case 'number':
		case 'integer':
			return readNumber(field, value);
		case 'boolean':
			return readSwitch(field, value);
		case 'choice':
			return readChoice(field, value);
		case 'object':
		case 'array':
			return readJson(field, value);
		case 'text':
			return readText(field, value);
		case 'date':
			return value instanceof Date && Number.isFinite(value.getTime())
				? value.toISOString()
				: readText(field, value);
		case 'any':
			return readAlternative(field, value);
		default:
			return value;
	}
}

/**
 * The value as the first alternative that accepts it: “5” becomes 5 where a number is expected. A text stays a text where
 * one of the alternatives is any text. A value that no alternative accepts is sent as it is, for RunComfy to check.
 */
function readAlternative({ label, alternatives = [] }: InputField, value: unknown): unknown {
	const takesText = alternatives.some(({ kind }) => kind === 'text');
	if (typeof value === 'string' && takesText) return value;
	for (const alternative of alternatives.filter(({ kind }) => kind !== 'text')) {
		try {
			return readValue({ ...alternative, label }, value);
		} catch {
			continue;
		}
	}
	return value;
}

function readNumber(field: InputField, value: unknown): number {
	const number = typeof value === 'string' ? Number(value) : value;
	const { kind, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = field;
	const whole = kind === 'integer' ? 'whole ' : '';
	const isNumber = typeof number === 'number' && Number.isFinite(number);
	if (
		!isNumber ||
		(kind === 'integer' && !Number.isInteger(number)) ||
		(minimum !== undefined && number < minimum) ||
		(maximum !== undefined && number > maximum) ||
		(exclusiveMinimum !== undefined && number <= exclusiveMinimum) ||
		(exclusiveMaximum !== undefined && number >= exclusiveMaximum)
	) {
		const bounds = describeBounds(field);
		throw new FieldError(inputLabel(field), `must be a ${whole}number${bounds === '' ? '' : ` ${bounds}`}`);
	}
	return number;
}

/** The bounds in words: `from 0 to 20`, `of at least 1`, `below 5`; empty without bounds. */
export function describeBounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: InputField): string {
	const parts = [
		...(exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`]),
		...(exclusiveMaximum === undefined ? [] : [`below ${exclusiveMaximum}`]),
	];
	const low = exclusiveMinimum === minimum ? undefined : minimum;
	const high = exclusiveMaximum === maximum ? undefined : maximum;
	if (low !== undefined && high !== undefined) return [`from ${low} to ${high}`, ...parts].join(' and ');
	return [
		...(low === undefined ? [] : [`of at least ${low}`]),
		...(high === undefined ? [] : [`of at most ${high}`]),
		...parts,
	].join(' and ');
}

function readSwitch(field: InputField, value: unknown): boolean {
	if (typeof value === 'boolean') return value;
	if (value === 'true' || value === 1) return true;
	if (value === 'false' || value === 0) return false;
	throw new FieldError(inputLabel(field), 'must be true or false');
}

/** The text of a plain value; undefined for an object, which may not even have one. */
function textIn(value: unknown): string | undefined {
	return ['string', 'number', 'boolean', 'bigint'].includes(typeof value) ? String(value) : undefined;
}

/** The choice as the schema spells it: an expression may return “5” for 5. */
function readChoice(field: InputField, value: unknown): Choice {
	const { choices = [] } = field;
	const choice =
		choices.find((one) => one === value) ?? choices.find((one) => String(one) === textIn(value)?.trim());
	if (choice === undefined) {
		throw new FieldError(inputLabel(field), `must be one of: ${choices.map(String).join(', ')}`);
	}
	return choice;
}

function readText(field: InputField, value: unknown): string {
	const text = textIn(value);
	if (text === undefined) throw new FieldError(inputLabel(field), 'must be text');
	const { minLength = 0, maxLength = Infinity } = field;
	const length = lengthOf(text);
	if (length < minLength) {
		throw new FieldError(inputLabel(field), `must have at least ${minLength} characters, but has ${length}`);
	}
	if (length > maxLength) {
		throw new FieldError(inputLabel(field), `may have at most ${maxLength} characters, but has ${length}`);
	}
	return text;
}

/** The length in characters, as JSON Schema counts them; JavaScript counts most emoji twice. */
function lengthOf(text: string): number {
	return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}

function readJson(field: InputField, value: unknown): unknown {
	const json = typeof value === 'string' ? parseJson(value) : value;
	if (field.kind === 'object') {
		if (!isJsonObject(json))
			throw new FieldError(inputLabel(field), 'must be a JSON object, for example {"name": "value"}');
		return json;
	}
	if (!Array.isArray(json))
		throw new FieldError(inputLabel(field), 'must be a JSON list, for example ["one", "two"]');
	assertCount(field, json.length);
	return json;
}

function assertCount(field: InputField, count: number): void {
	const { minItems = 0, maxItems = Infinity } = field;
	if (count < minItems)
		throw new FieldError(inputLabel(field), `must have at least ${minItems} entries, but has ${count}`);
	if (count > maxItems)
		throw new FieldError(inputLabel(field), `may have at most ${maxItems} entries, but has ${count}`);
}

/** One URL or file name; for a list, several: as a JSON list, or separated by line breaks or commas. */
function sourcesOf(field: InputField, value: unknown, isFileName: IsFileName): string[] {
	if (field.kind === 'file') {
		if (typeof value !== 'string')
			throw new FieldError(inputLabel(field), 'must be a URL or the name of an input file');
		return [value.trim()];
	}
	const list = typeof value === 'string' ? readSources(value, isFileName) : value;
	if (
		!Array.isArray(list) ||
		!list.every((one): one is string => typeof one === 'string' && one.trim() !== '')
	) {
		throw new FieldError(
			inputLabel(field),
			'must be URLs or names of input files, separated by commas or line breaks',
		);
	}
	assertCount(field, list.length);
	return list.map((one) => one.trim());
}

function readSources(text: string, isFileName: IsFileName): unknown {
	return text.trim().startsWith('[') ? parseJson(text) : splitSources(text, isFileName);
}
