import { jsonParse, type IExecuteFunctions } from 'n8n-workflow';

import { findFileUrlProblem } from '../../api/addresses';
import { isJsonObject, type JsonObject } from '../../api/json';
import { readRequestId as toRequestId } from '../../api/responses';
import { FieldError } from '../../common/fieldError';
import type { WaitLimits } from '../../jobs/job';

/** Readers of what the user has typed, or what an expression gave instead: each checks, and names the field's label. */

/** A text parameter without white space around it. */
export function readText(context: IExecuteFunctions, itemIndex: number, name: string, label: string): string {
	return textOf(context.getNodeParameter(name, itemIndex, ''), label);
}

/** A text, or a number that an expression gives instead; nothing counts as an empty text. */
function textOf(value: unknown, label: string): string {
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
	const problem = findFileUrlProblem(url, { allowLoopback });
	if (problem !== undefined) throw new FieldError(label, problem);
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

/** An id that can be encoded into a path. */
export function readRequestId(context: IExecuteFunctions, itemIndex: number): string {
	const label = 'Request ID';
	const requestId = toRequestId(readFilledText(context, itemIndex, 'requestId', label));
	if (requestId === undefined) throw new FieldError(label, 'cannot be the ID of a request');
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
	maxFileSize: { label: 'Max File Size (MB)', default: 50, min: 1, max: 350 },
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
		const problem = `must be a ${integer ? 'whole ' : ''}number from ${min} to ${max}`;
		throw new FieldError(label, isEmpty(value) ? `${problem}, but is empty` : problem);
	}
	return number;
}

function isEmpty(value: unknown): boolean {
	return value === undefined || value === null || (typeof value === 'string' && value.trim() === '');
}

function booleanOf(value: unknown, label: string): boolean {
	if (typeof value === 'boolean') return value;
	if (value === 'true' || value === 'false') return value === 'true';
	throw new FieldError(
		label,
		isEmpty(value) ? 'must be true or false, but is empty' : 'must be true or false',
	);
}

type NumberOptionName = keyof typeof NUMBER_OPTIONS;

function numberOption(name: NumberOptionName, option: OptionValue | undefined): number {
	const { label, default: byDefault, ...range }: NumberOption = NUMBER_OPTIONS[name];
	return option === undefined ? byDefault : numberIn(option.value, label, range);
}

function booleanOption(option: OptionValue | undefined, label: string): boolean {
	return option === undefined ? true : booleanOf(option.value, label);
}

/** An option that the user has added; its value may still be anything, and nothing. */
interface OptionValue {
	value: unknown;
}

/** The options that hold for the whole run. */
export interface RunOptions {
	maxConcurrency: number;
	cancelOnStop: boolean;
	/** In USD; undefined when the user has not added the option. */
	spendingLimit: number | undefined;
}

/**
 * Reads the options that hold for the whole run, from the first item. Each by itself: another option of that item that
 * is wrong is that item's own problem.
 * @throws FieldError.
 */
export function readRunOptions(context: IExecuteFunctions): RunOptions {
	const read = (name: string): OptionValue | undefined =>
		isOptionAdded(context, name)
			? { value: context.getNodeParameter(`options.${name}`, 0, null) }
			: undefined;
	const spendingLimit = read('spendingLimit');
	return {
		maxConcurrency: numberOption('maxConcurrency', read('maxConcurrency')),
		cancelOnStop: booleanOption(read('cancelOnStop'), 'Cancel on Stop'),
		spendingLimit:
			spendingLimit === undefined
				? undefined
				: numberIn(spendingLimit.value, 'Spending Limit (USD)', SPENDING_LIMIT_RANGE),
	};
}

/** By the node's raw parameters: what an expression gives may be undefined, and then the option is there all the same. */
function isOptionAdded(context: IExecuteFunctions, name: string): boolean {
	const { options } = context.getNode().parameters;
	return isJsonObject(options) && Object.hasOwn(options, name);
}

/**
 * The options of one item. One that the user has added must have a usable value: empty never means “no limit” or “the
 * default”.
 */
export class OptionsReader {
	private readonly values: JsonObject;
	readonly maxFileSize: number;
	private readonly pollInterval: number;
	private readonly timeout: number;

	/** @throws FieldError. */
	constructor(
		private readonly context: IExecuteFunctions,
		itemIndex: number,
	) {
		const values: unknown = context.getNodeParameter('options', itemIndex, {});
		this.values = isJsonObject(values) ? values : {};
		// All of them checked, needed or not: a wrong number is a mistake that the user wants to hear of.
		this.maxFileSize = numberOption('maxFileSize', this.find('maxFileSize'));
		this.pollInterval = numberOption('pollInterval', this.find('pollInterval'));
		this.timeout = numberOption('timeout', this.find('timeout'));
	}

	private find(name: string): OptionValue | undefined {
		const isAdded = Object.hasOwn(this.values, name) || isOptionAdded(this.context, name);
		return isAdded ? { value: Object.hasOwn(this.values, name) ? this.values[name] : undefined } : undefined;
	}

	/** Undefined when the user has not added the option. */
	seed(): number | undefined {
		const seed = this.find('seed');
		return seed === undefined ? undefined : numberIn(seed.value, 'Seed', SEED_RANGE);
	}

	/** Without extension; undefined when the user has not added the option. */
	fileName(): string | undefined {
		const fileName = this.find('fileName');
		if (fileName === undefined) return undefined;
		const text = textOf(fileName.value, 'File Name');
		if (text === '') throw new FieldError('File Name', 'must not be empty');
		return text;
	}

	/** @param needsFile whether a result without the URL of a file is an error. */
	waitLimits(needsFile: boolean): WaitLimits {
		const includeCost = booleanOption(this.find('includeCost'), 'Include Cost');
		return {
			timeoutMs: this.timeout * 1000,
			pollIntervalMs: this.pollInterval * 1000,
			// A spending limit needs the cost.
			includeCost: includeCost || this.find('spendingLimit') !== undefined,
			needsFile,
		};
	}
}
