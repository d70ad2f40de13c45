import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, isTooDeep, type JsonObject, parseJson } from '../../api/json';
import { findFileUrlProblem } from '../../api/urls';
import { FieldError } from '../../util/errors';
import { isEmpty } from '../../util/values';

/**
 * Readers of parameters, whose values come from the user or from an expression. Each checks the value, and throws a
 * FieldError with the label of the field.
 */

/** Reads a value that may be wrong. What happens then is up to the reader: see `orError` and `orDefault`. */
export type ReadField = <T>(read: () => T, defaultValue: T) => T;

/** What is wrong is an error. */
export const orError: ReadField = (read) => read();

/** The default stands for what is wrong. Only for an item that submits nothing, but may return what it has paid for. */
export const orDefault: ReadField = (read, defaultValue) => {
	try {
		return read();
	} catch {
		return defaultValue;
	}
};

/** A text, without surrounding white space. */
export function readText(context: IExecuteFunctions, itemIndex: number, name: string, label: string): string {
	return textOf(context.getNodeParameter(name, itemIndex, ''), label);
}

/** A text without surrounding white space. An expression may return a number; null or undefined count as an empty text. */
export function textOf(value: unknown, label: string): string {
	if (value === undefined || value === null) return '';
	if (typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value)))
		return String(value).trim();
	throw new FieldError(label, 'must be text');
}

/** As `readText`; the text must not be empty. */
export function readFilledText(
	context: IExecuteFunctions,
	itemIndex: number,
	name: string,
	label: string,
): string {
	const text = readText(context, itemIndex, name, label);
	if (text === '') throw new FieldError(label, 'must not be empty');
	return text;
}

/** A boolean. An expression may return the texts `true` and `false`. */
export function readBoolean(
	context: IExecuteFunctions,
	itemIndex: number,
	name: string,
	label: string,
): boolean {
	return booleanOf(context.getNodeParameter(name, itemIndex), label);
}

/** One of the values of a drop-down list. An expression may return any other value. */
export function readChoice<T extends string>(
	context: IExecuteFunctions,
	itemIndex: number,
	name: string,
	label: string,
	choices: readonly T[],
): T {
	const value: unknown = context.getNodeParameter(name, itemIndex);
	const choice = choices.find((candidate) => candidate === value);
	if (choice === undefined) throw new FieldError(label, `must be one of: ${choices.join(', ')}`);
	return choice;
}

/** The URL of a file that RunComfy's servers fetch over the internet, without a login. */
export function readFileUrl(
	context: IExecuteFunctions,
	itemIndex: number,
	name: string,
	label: string,
	allowLoopback: boolean,
): string {
	const url = readFilledText(context, itemIndex, name, label);
	const problem = findFileUrlProblem(url, { allowLoopback });
	if (problem !== undefined) throw new FieldError(label, problem);
	// `URL` percent-encodes spaces and other characters that a URL must not contain.
	return new URL(url).href;
}

/**
 * A JSON object, entered as text or returned by an expression.
 * @param example of such an object, for the error message.
 */
export function readJsonObject(
	context: IExecuteFunctions,
	itemIndex: number,
	name: string,
	label: string,
	example = '{"name": "Ember"}',
): JsonObject {
	const raw: unknown = context.getNodeParameter(name, itemIndex);
	const value: unknown = typeof raw === 'string' ? parseJson(raw) : raw;
	if (!isJsonObject(value)) throw new FieldError(label, `must be a JSON object, for example ${example}`);
	assertExact(value, label);
	return value;
}

/**
 * Checks that a value is sent as the user has written it: JavaScript does not hold larger integers exactly, and deeper
 * values could not be written as JSON.
 */
export function assertExact(value: unknown, label: string): void {
	if (isTooDeep(value)) throw new FieldError(label, 'is nested too deeply');
	const inexact = findInexact(value, label);
	if (inexact === undefined) return;
	throw new FieldError(
		inexact,
		`must not be beyond ${Number.MAX_SAFE_INTEGER}, because larger numbers are not exact`,
	);
}

/** Where a value holds a number that is not exact, as a path that begins with its label. */
function findInexact(value: unknown, path: string): string | undefined {
	if (typeof value === 'number') {
		return Number.isInteger(value) && !Number.isSafeInteger(value) ? path : undefined;
	}
	if (typeof value !== 'object' || value === null) return undefined;
	for (const [name, part] of Object.entries(value)) {
		const found = findInexact(part, `${path} → ${name}`);
		if (found !== undefined) return found;
	}
	return undefined;
}

export interface NumberRange {
	min: number;
	max: number;
	integer?: boolean;
}

/** A number within its range. A text that holds a number is accepted, because expressions often return one. */
export function numberIn(value: unknown, label: string, range: NumberRange): number {
	const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
	const { min, max, integer = false } = range;
	if (
		typeof number !== 'number' ||
		!(number >= min && number <= max) ||
		(integer && !Number.isInteger(number))
	) {
		const problem = `must be a ${integer ? 'whole ' : ''}number from ${min} to ${max}`;
		throw new FieldError(label, isEmpty(value) ? `${problem}, but is empty` : problem);
	}
	return number;
}

export function booleanOf(value: unknown, label: string): boolean {
	if (typeof value === 'boolean') return value;
	if (value === 'true' || value === 'false') return value === 'true';
	throw new FieldError(
		label,
		isEmpty(value) ? 'must be true or false, but is empty' : 'must be true or false',
	);
}
