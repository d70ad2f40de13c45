import { jsonParse, type IExecuteFunctions } from 'n8n-workflow';

import { findFileUrlFault } from '../api/addresses';
import { isJsonObject, type JsonObject } from '../api/json';
import { isRequestId } from '../api/responses';
import { FieldError } from '../fieldError';
import type { WaitLimits } from '../jobs/job';

/** Readers of what the user has typed, or what an expression gave instead: each checks, and names the field's label. */

/** A text parameter without white space around it. */
export function readText(context: IExecuteFunctions, itemIndex: number, name: string, label: string): string {
	const value: unknown = context.getNodeParameter(name, itemIndex, '');
	if (value === undefined || value === null) return '';
	if (typeof value === 'string' || typeof value === 'number') return String(value).trim();
	throw new FieldError(label, 'must be a text');
}

/** As `readText`, and something must be in it. */
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

/** A switch; an expression may give the words `true` and `false`. */
export function readBoolean(
	context: IExecuteFunctions,
	itemIndex: number,
	name: string,
	label: string,
): boolean {
	return booleanOf(context.getNodeParameter(name, itemIndex), label);
}

/** One of the values that the field offers; an expression may give anything. */
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

/** The address of a file that RunComfy's servers fetch, without login, over the internet. */
export function readFileUrl(
	context: IExecuteFunctions,
	itemIndex: number,
	name: string,
	label: string,
	allowLoopback: boolean,
): string {
	const url = readFilledText(context, itemIndex, name, label);
	const fault = findFileUrlFault(url, { allowLoopback });
	if (fault !== undefined) throw new FieldError(label, fault);
	// Spaces and the like come out percent-encoded, as a server expects them.
	return new URL(url).href;
}

/**
 * A JSON object, typed as text or given by an expression.
 * @param example of such an object, for the error.
 */
export function readJsonObject(
	context: IExecuteFunctions,
	itemIndex: number,
	name: string,
	label: string,
	example = '{"name": "Ember"}',
): JsonObject {
	const raw: unknown = context.getNodeParameter(name, itemIndex);
	const value: unknown = typeof raw === 'string' ? jsonParse(raw, { fallbackValue: null }) : raw;
	if (!isJsonObject(value)) throw new FieldError(label, `must be a JSON object, for example ${example}`);
	return value;
}

/** An id that can stand in a path as it is. */
export function readRequestId(context: IExecuteFunctions, itemIndex: number): string {
	const label = 'Request ID';
	const requestId = readFilledText(context, itemIndex, 'requestId', label);
	if (!isRequestId(requestId)) {
		throw new FieldError(label, 'may only hold letters, digits, “-” and “_” (at most 128 of them)');
	}
	return requestId;
}

interface NumberRange {
	min: number;
	max: number;
	integer?: boolean;
}

interface NumberOption extends NumberRange {
	label: string;
	default: number;
}

const NUMBER_OPTIONS = {
	maxConcurrency: { label: 'Max Concurrency', default: 10, min: 1, max: 100, integer: true },
	maxImageSize: { label: 'Max File Size (MB)', default: 50, min: 1, max: 350 },
	pollInterval: { label: 'Poll Interval (Seconds)', default: 1, min: 0.2, max: 60 },
	timeout: { label: 'Timeout (Seconds)', default: 600, min: 1, max: 86_400 },
} satisfies Record<string, NumberOption>;

/** The API page's bounds of `seed`. */
export const SEED_RANGE: NumberRange = { min: 0, max: 2_147_483_647, integer: true };

const SPENDING_LIMIT_RANGE: NumberRange = { min: 0.01, max: 100_000 };

/** A number within its range; a text that is a number counts, because expressions often give one. */
export function numberIn(value: unknown, label: string, range: NumberRange): number {
	const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
	const { min, max, integer = false } = range;
	if (
		typeof number !== 'number' ||
		!(number >= min && number <= max) ||
		(integer && !Number.isInteger(number))
	) {
		throw new FieldError(label, `must be a ${integer ? 'whole ' : ''}number from ${min} to ${max}`);
	}
	return number;
}

function booleanOf(value: unknown, label: string): boolean {
	if (typeof value === 'boolean') return value;
	if (value === 'true' || value === 'false') return value === 'true';
	throw new FieldError(label, 'must be true or false');
}

type NumberOptions = Record<keyof typeof NUMBER_OPTIONS, number>;

/** The collection “Options” of one item. */
export class OptionsReader {
	private readonly values: JsonObject;
	/** All of them checked, needed or not: a wrong number is a mistake that the user wants to hear of. */
	readonly numbers: NumberOptions;

	/** @throws FieldError. */
	constructor(context: IExecuteFunctions, itemIndex: number) {
		const values: unknown = context.getNodeParameter('options', itemIndex, {});
		this.values = isJsonObject(values) ? values : {};
		this.numbers = {
			maxConcurrency: this.number('maxConcurrency'),
			maxImageSize: this.number('maxImageSize'),
			pollInterval: this.number('pollInterval'),
			timeout: this.number('timeout'),
		};
	}

	private number(name: keyof NumberOptions): number {
		const option: NumberOption = NUMBER_OPTIONS[name];
		const value = this.values[name];
		return value === undefined ? option.default : numberIn(value, option.label, option);
	}

	boolean(name: 'cancelOnStop' | 'includeCost', label: string): boolean {
		const value = this.values[name];
		return value === undefined ? true : booleanOf(value, label);
	}

	/** Undefined when the user has not added the option or has left it empty. */
	seed(): number | undefined {
		const value = this.values.seed;
		return value === undefined || value === '' ? undefined : numberIn(value, 'Seed', SEED_RANGE);
	}

	/** Without extension; empty when the name in the URL is to be used. */
	fileName(): string {
		const value = this.values.fileName;
		return typeof value === 'string' ? value.trim() : '';
	}

	/** In USD; undefined when the user has not added the option or has left it empty. */
	spendingLimit(): number | undefined {
		const value = this.values.spendingLimit;
		return value === undefined || value === ''
			? undefined
			: numberIn(value, 'Spending Limit (USD)', SPENDING_LIMIT_RANGE);
	}

	/** @param needsFile whether a result without the URL of a file is an error. */
	waitLimits(needsFile: boolean): WaitLimits {
		return {
			timeoutMs: this.numbers.timeout * 1000,
			pollIntervalMs: this.numbers.pollInterval * 1000,
			// Whoever limits the spending has to know the cost.
			includeCost: this.boolean('includeCost', 'Include Cost') || this.spendingLimit() !== undefined,
			needsFile,
		};
	}
}
