import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../../api/json';
import type { WaitLimits } from '../../jobs/job';
import { FieldError } from '../../util/errors';
import { DEPLOYMENT_OPTIONS, type OptionName, OPTIONS } from './optionFields';
import { booleanOf, numberIn, orError, type ReadField, textOf } from './parameters';

/** Readers of the collection “Options”. The labels, defaults, and ranges are those of the fields in `optionFields.ts`. */

interface NumberField {
	displayName: string;
	default: number;
	typeOptions: { minValue: number; maxValue: number; numberPrecision?: number };
}

/** @throws FieldError. */
function readNumber({ displayName, typeOptions }: NumberField, { value }: OptionValue): number {
	const { minValue: min, maxValue: max, numberPrecision } = typeOptions;
	return numberIn(value, displayName, { min, max, integer: numberPrecision === 0 });
}

function numberOrDefault(field: NumberField, option: OptionValue | undefined): number {
	return option === undefined ? field.default : readNumber(field, option);
}

function booleanOrDefault(
	field: { displayName: string; default: boolean },
	option: OptionValue | undefined,
): boolean {
	return option === undefined ? field.default : booleanOf(option.value, field.displayName);
}

/** An option that the user has added. Its value may still be undefined or of any type. */
interface OptionValue {
	value: unknown;
}

/** The options that apply to the whole run. */
export interface RunOptions {
	maxConcurrency: number;
	cancelOnStop: boolean;
	/** In USD; undefined when the user has not added the option. */
	spendingLimit: number | undefined;
}

/**
 * Reads the options that apply to the whole run from the first item. Only these: an invalid value in another option of
 * that item must fail the item, not the run.
 * @throws FieldError, unless a default stands for what is wrong.
 */
export function readRunOptions(context: IExecuteFunctions, readField: ReadField = orError): RunOptions {
	const all = isJsonObject(context.getNode().parameters.options)
		? undefined
		: readField(() => readAllOptions(context, 0), {});
	const read = (name: OptionName): OptionValue | undefined => {
		if (all !== undefined) return Object.hasOwn(all, name) ? { value: all[name] } : undefined;
		if (!isOptionAdded(context, name)) return undefined;
		return { value: context.getNodeParameter(`options.${name}`, 0, null) };
	};
	const { maxConcurrency, cancelOnStop, spendingLimit } = OPTIONS;
	return {
		maxConcurrency: readField(
			() => numberOrDefault(maxConcurrency, read('maxConcurrency')),
			maxConcurrency.default,
		),
		cancelOnStop: readField(() => booleanOrDefault(cancelOnStop, read('cancelOnStop')), cancelOnStop.default),
		spendingLimit: readField(() => {
			const option = read('spendingLimit');
			return option === undefined ? undefined : readNumber(spendingLimit, option);
		}, undefined),
	};
}

/**
 * The whole collection, which may also be a single expression.
 * @throws FieldError.
 */
function readAllOptions(context: IExecuteFunctions, itemIndex: number): JsonObject {
	const values: unknown = context.getNodeParameter('options', itemIndex, {});
	const isPlain = Object.prototype.toString.call(values) === '[object Object]';
	if (!isPlain || !isJsonObject(values)) throw new FieldError('Options', 'must be an object');
	return values;
}

/** Checks the node's raw parameters, because an added option is missing from the evaluated ones when it is undefined. */
function isOptionAdded(context: IExecuteFunctions, name: string): boolean {
	const { options } = context.getNode().parameters;
	return isJsonObject(options) && Object.hasOwn(options, name);
}

/**
 * The options of one item. An option that the user has added must have a valid value: an empty one never means “no limit”
 * or “the default”.
 */
export class OptionsReader {
	private readonly values: JsonObject;
	readonly maxFileSize: number;
	private readonly pollInterval: number;
	private readonly timeout: number;

	/**
	 * @param isDeployment whether the operation is one of deployments, where some options differ.
	 * @throws FieldError, unless a default stands for what is wrong.
	 */
	constructor(
		private readonly context: IExecuteFunctions,
		itemIndex: number,
		isDeployment = false,
		private readonly readField: ReadField = orError,
	) {
		this.values = readField(() => readAllOptions(context, itemIndex), {});
		// All numbers are checked, even those that are not used: an invalid one is a mistake.
		const { maxFileSize, pollInterval, timeout } = isDeployment ? DEPLOYMENT_OPTIONS : OPTIONS;
		this.maxFileSize = this.number('maxFileSize', maxFileSize);
		this.pollInterval = this.number('pollInterval', pollInterval);
		this.timeout = this.number('timeout', timeout);
	}

	private number(name: OptionName, field: NumberField): number {
		return this.readField(() => numberOrDefault(field, this.find(name)), field.default);
	}

	private find(name: OptionName): OptionValue | undefined {
		const isAdded = Object.hasOwn(this.values, name) || isOptionAdded(this.context, name);
		return isAdded ? { value: Object.hasOwn(this.values, name) ? this.values[name] : undefined } : undefined;
	}

	/** Undefined when the user has not added the option. */
	seed(): number | undefined {
		const seed = this.find('seed');
		return seed === undefined ? undefined : readNumber(OPTIONS.seed, seed);
	}

	/** Whether seeds that the user left alone get a random value. */
	randomizeSeeds(): boolean {
		return booleanOrDefault(OPTIONS.randomizeSeeds, this.find('randomizeSeeds'));
	}

	/** Without extension; undefined when the user has not added the option. */
	fileName(): string | undefined {
		const fileName = this.find('fileName');
		if (fileName === undefined) return undefined;
		const label = OPTIONS.fileName.displayName;
		return this.readField(() => {
			const text = textOf(fileName.value, label);
			if (text === '') throw new FieldError(label, 'must not be empty');
			return text;
		}, undefined);
	}

	waitLimits(): WaitLimits {
		const field = OPTIONS.includeCost;
		const includeCost = this.readField(
			() => booleanOrDefault(field, this.find('includeCost')),
			field.default,
		);
		return {
			timeoutMs: this.timeout * 1000,
			pollIntervalMs: this.pollInterval * 1000,
			// The spending limit needs the cost.
			includeCost: includeCost || this.find('spendingLimit') !== undefined,
		};
	}
}
