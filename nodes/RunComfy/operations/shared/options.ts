import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../../api/json';
import { FieldError } from '../../common/fieldError';
import type { WaitLimits } from '../../jobs/job';
import { booleanOf, numberIn, textOf, type NumberRange } from './parameters';

/** Readers of the collection “Options”, whose fields are in `optionFields.ts`. */

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

/** The default timeout for a deployment, which may have to start first. */
export const DEPLOYMENT_TIMEOUT_SECONDS = 1_800;

/** The range of `seed` (documented). */
export const SEED_RANGE: NumberRange = { min: 0, max: 2_147_483_647, integer: true };

const SPENDING_LIMIT_RANGE: NumberRange = { min: 0.01, max: 100_000 };

type NumberOptionName = keyof typeof NUMBER_OPTIONS;

function numberOption(
	name: NumberOptionName,
	option: OptionValue | undefined,
	defaultValue?: number,
): number {
	const { label, default: usual, ...range }: NumberOption = NUMBER_OPTIONS[name];
	const byDefault = defaultValue ?? usual;
	return option === undefined ? byDefault : numberIn(option.value, label, range);
}

function booleanOption(option: OptionValue | undefined, label: string): boolean {
	return option === undefined ? true : booleanOf(option.value, label);
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
 * @throws FieldError.
 */
export function readRunOptions(context: IExecuteFunctions): RunOptions {
	const all = isJsonObject(context.getNode().parameters.options) ? undefined : readAllOptions(context, 0);
	const read = (name: string): OptionValue | undefined => {
		if (all !== undefined) return Object.hasOwn(all, name) ? { value: all[name] } : undefined;
		if (!isOptionAdded(context, name)) return undefined;
		return { value: context.getNodeParameter(`options.${name}`, 0, null) };
	};
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
	 * @throws FieldError.
	 */
	constructor(
		private readonly context: IExecuteFunctions,
		itemIndex: number,
		isDeployment = false,
	) {
		this.values = readAllOptions(context, itemIndex);
		// All numbers are checked, even those that are not used: an invalid one is a mistake.
		this.maxFileSize = numberOption('maxFileSize', this.find('maxFileSize'));
		this.pollInterval = numberOption('pollInterval', this.find('pollInterval'));
		this.timeout = numberOption(
			'timeout',
			this.find('timeout'),
			isDeployment ? DEPLOYMENT_TIMEOUT_SECONDS : undefined,
		);
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

	/** Whether seeds that the user left alone get a random value. */
	randomizeSeeds(): boolean {
		return booleanOption(this.find('randomizeSeeds'), 'Randomize Seeds');
	}

	/** Without extension; undefined when the user has not added the option. */
	fileName(): string | undefined {
		const fileName = this.find('fileName');
		if (fileName === undefined) return undefined;
		const text = textOf(fileName.value, 'File Name');
		if (text === '') throw new FieldError('File Name', 'must not be empty');
		return text;
	}

	waitLimits(): WaitLimits {
		const includeCost = booleanOption(this.find('includeCost'), 'Include Cost');
		return {
			timeoutMs: this.timeout * 1000,
			pollIntervalMs: this.pollInterval * 1000,
			// The spending limit needs the cost.
			includeCost: includeCost || this.find('spendingLimit') !== undefined,
		};
	}
}
