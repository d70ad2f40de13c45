import type {
	IExecuteFunctions,
	INodeProperties,
	INodePropertyCollection,
	INodePropertyOptions,
} from 'n8n-workflow';

import { isExact, isJsonObject, isTooDeep, parseJson, type JsonObject } from '../api/json';
import { findFileUrlProblem, type AddressRules } from '../api/urls';
import { FieldError, toError } from '../util/errors';
import { isEmpty, toBoolean } from '../util/values';

/** A field of the node, which says itself whether its value decides what is generated. */
export interface Field extends Omit<INodeProperties, 'options'> {
	/** False for what only says how to wait, what to spend, and what to return. Of a collection, each option says it. */
	decides: boolean;
	options?: Field[] | INodePropertyOptions[] | INodePropertyCollection[];
}

export const TOO_DEEP = 'is nested too deeply, or refers to itself';

/** What a reader needs to know of a field. */
type Named = Pick<Field, 'displayName' | 'name'>;
type Ranged = Pick<Field, 'displayName' | 'typeOptions'>;

/**
 * One input item, and the values that the fields have for it: from the user or from an expression. A reader checks the
 * value, and throws a FieldError with the label of the field.
 */
export class Item {
	constructor(
		readonly context: IExecuteFunctions,
		readonly index: number,
	) {}

	/** The item's own data. */
	get json(): JsonObject {
		return this.context.getInputData()[this.index]?.json ?? {};
	}

	/** The names of its files. */
	get fileNames(): string[] {
		return Object.keys(this.context.getInputData()[this.index]?.binary ?? {});
	}

	/** @param fallback where the field has no value. */
	raw({ name, displayName = name }: Partial<Named> & Pick<Field, 'name'>, fallback?: unknown): unknown {
		try {
			return this.context.getNodeParameter(name, this.index, fallback);
		} catch (error) {
			throw unreadable(error, displayName);
		}
	}

	/** A text, without surrounding white space. */
	text(field: Named): string {
		return textOf(this.raw(field, ''), field.displayName);
	}

	/** As `text`; it must not be empty. */
	filledText(field: Named): string {
		const text = this.text(field);
		if (text === '') throw new FieldError(field.displayName, 'must not be empty');
		return text;
	}

	/** An expression may also return a text or a number that means one. */
	boolean(field: Named): boolean {
		return booleanOf(this.raw(field), field.displayName);
	}

	number(field: Named & Ranged): number {
		return numberOf(this.raw(field), field);
	}

	/** One of the values of a drop-down list. An expression may return any other value. */
	choice(field: Pick<Field, 'displayName' | 'name' | 'options'>): string {
		return choiceOf(this.raw(field), field);
	}

	/**
	 * A JSON object, entered as text or returned by an expression.
	 * @param example of such an object, for the error message.
	 */
	jsonObject(field: Named, example: string): JsonObject {
		const label = field.displayName;
		const raw = this.raw(field);
		const value = typeof raw === 'string' ? parseJson(raw) : raw;
		if (!isJsonObject(value)) throw new FieldError(label, `must be a JSON object, for example ${example}`);
		assertExact(value, label);
		return value;
	}
}

/** n8n looks through the whole value, and so exhausts the stack. */
function unreadable(error: unknown, label: string): Error {
	return error instanceof RangeError ? new FieldError(label, TOO_DEEP) : toError(error);
}

/** A text without surrounding white space. An expression may return a number; null or undefined count as an empty text. */
export function textOf(value: unknown, label: string): string {
	if (value === undefined || value === null) return '';
	if (typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value)))
		return String(value).trim();
	throw new FieldError(label, 'must be text');
}

/** A URL that RunComfy's servers fetch or call over the internet, without a login. */
export function urlOf(text: string, label: string, rules: AddressRules): string {
	const problem = findFileUrlProblem(text, rules);
	if (problem !== undefined) throw new FieldError(label, problem);
	// `URL` percent-encodes spaces and other characters that a URL must not contain.
	return new URL(text).href;
}

/** A number within the range of its field. A text that holds one is accepted, because expressions often return it. */
export function numberOf(value: unknown, { displayName, typeOptions = {} }: Ranged): number {
	const { minValue: min = -Infinity, maxValue: max = Infinity, numberPrecision } = typeOptions;
	const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
	const isWhole = numberPrecision === 0;
	if (typeof number === 'number' && number >= min && number <= max && (!isWhole || Number.isInteger(number)))
		return number;
	const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
	const problem = `must be a ${isWhole ? 'whole ' : ''}number ${range}`;
	throw new FieldError(displayName, isEmpty(value) ? `${problem}, but is empty` : problem);
}

export function choiceOf(
	value: unknown,
	{ displayName, options = [] }: Pick<Field, 'displayName' | 'options'>,
): string {
	const choices = options.flatMap((option) => ('value' in option ? String(option.value) : []));
	const choice = choices.find((candidate) => candidate === value);
	if (choice === undefined) throw new FieldError(displayName, `must be one of: ${choices.join(', ')}`);
	return choice;
}

export function booleanOf(value: unknown, label: string): boolean {
	const found = toBoolean(value);
	if (found !== undefined) return found;
	throw new FieldError(label, `must be true or false${isEmpty(value) ? ', but is empty' : ''}`);
}

/**
 * Checks that a value is sent as the user has written it: JavaScript does not hold larger integers exactly, and deeper
 * values could not be written as JSON.
 */
export function assertExact(value: unknown, label: string): void {
	if (isTooDeep(value)) throw new FieldError(label, TOO_DEEP);
	const inexact = findInexact(value, label);
	if (inexact === undefined) return;
	throw new FieldError(
		inexact,
		`must not be beyond ${Number.MAX_SAFE_INTEGER}, because larger numbers are not exact`,
	);
}

/** Where a value holds a number that is not exact, as a path that begins with its label. */
function findInexact(value: unknown, path: string): string | undefined {
	// 1e400 is read as infinite, and would be sent as null.
	if (typeof value === 'number') return isExact(value) ? undefined : path;
	if (typeof value !== 'object' || value === null) return undefined;
	for (const [name, part] of Object.entries(value)) {
		const found = findInexact(part, `${path} → ${name}`);
		if (found !== undefined) return found;
	}
	return undefined;
}
