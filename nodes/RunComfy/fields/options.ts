import { isJsonObject, type JsonObject } from '../api/json';
import { TEMPORARY_LINK } from '../files/inputFile';
import { SEED_RANGE } from '../models/seeds';
import { FieldError } from '../util/errors';
import { booleanOf, choiceOf, numberOf, textOf, type Field, type Item } from './item';

/** The options of the node. */
export const OPTIONS = {
	cancelOnStop: {
		displayName: 'Cancel on Stop',
		name: 'cancelOnStop',
		decides: false,
		type: 'boolean',
		default: true,
		description:
			'Whether to cancel requests that are still queued at RunComfy when you stop the execution, or when it ends because an item failed. Running requests cannot be cancelled.',
	},
	expectedCost: {
		displayName: 'Expected Cost (USD)',
		name: 'expectedCost',
		decides: false,
		type: 'number',
		default: 0.05,
		typeOptions: { minValue: 0.0001, maxValue: 100_000, numberPrecision: 4 },
		description:
			'What one item will cost at most. With a “Spending Limit (USD)”, as many items then run side by side as the limit pays for.',
	},
	fileName: {
		displayName: 'File Name',
		name: 'fileName',
		decides: false,
		type: 'string',
		default: '',
		placeholder: 'e.g. product-photo',
		description: 'Name of the downloaded file, without extension. If empty, the file’s own name is used.',
	},
	includeCost: {
		displayName: 'Include Cost',
		name: 'includeCost',
		decides: false,
		type: 'boolean',
		default: true,
		description:
			'Whether to include the cost of the request in USD. It is left out if RunComfy does not report it yet.',
	},
	maxConcurrency: {
		displayName: 'Max Concurrency',
		name: 'maxConcurrency',
		decides: false,
		type: 'number',
		default: 10,
		typeOptions: { minValue: 1, maxValue: 100, numberPrecision: 0 },
		description: 'How many items to process at the same time. The value of the first item is used.',
	},
	maxFileSize: {
		displayName: 'Max File Size (MB)',
		name: 'maxFileSize',
		decides: false,
		type: 'number',
		default: 50,
		typeOptions: { minValue: 1, maxValue: 350 },
		description: 'Larger files are rejected, both as inputs and as downloads',
	},
	pollInterval: {
		displayName: 'Poll Interval (Seconds)',
		name: 'pollInterval',
		decides: false,
		type: 'number',
		default: 1,
		typeOptions: { minValue: 0.2, maxValue: 60, numberPrecision: 1 },
		description:
			'The pause between the first polls of a request, which are free. It grows to 5 seconds the longer a request takes, and shrinks to half when the end is expected.',
	},
	randomizeSeeds: {
		displayName: 'Randomize Seeds',
		name: 'randomizeSeeds',
		decides: true,
		type: 'boolean',
		default: true,
		description:
			'Whether to give every seed of the workflow that you do not set a random value. ComfyUI does not run again what has not changed, and then returns nothing.',
	},
	seed: {
		displayName: 'Seed',
		name: 'seed',
		decides: true,
		// A text, because a number that is added has a value: every item would have the same seed.
		type: 'string',
		default: '',
		placeholder: 'e.g. 42',
		typeOptions: { minValue: SEED_RANGE.min, maxValue: SEED_RANGE.max, numberPrecision: 0 },
		description:
			'The same seed with the same fields gives a similar image. If empty, each item gets a random seed.',
	},
	sendFilesAs: {
		displayName: 'Send Files As',
		name: 'sendFilesAs',
		decides: false,
		type: 'options',
		options: [
			{
				name: 'Data URI',
				value: 'dataUri',
				description: 'In the request itself. At most 6 MiB for an image, 16 for audio, and 32 for a video.',
			},
			{
				name: TEMPORARY_LINK,
				value: 'temporaryUrl',
				description: 'RunComfy fetches the file from this n8n, which must be reachable over the internet',
			},
		],
		default: 'dataUri',
		description:
			'How the files of the input item reach RunComfy. A temporary link works for an hour longer than the timeout.',
	},
	spendingLimit: {
		displayName: 'Spending Limit (USD)',
		name: 'spendingLimit',
		decides: false,
		type: 'number',
		default: 1,
		typeOptions: { minValue: 0.01, maxValue: 100_000, numberPrecision: 2 },
		description:
			'How much this node may spend in one execution of the workflow, with all retries, loop iterations, and tool calls. Where the cost of a request is not known in advance, items run one after another and the last one may exceed the limit: add “Expected Cost (USD)” to run them side by side.',
	},
	timeout: {
		displayName: 'Timeout (Seconds)',
		name: 'timeout',
		decides: false,
		type: 'number',
		default: 600,
		typeOptions: { minValue: 1, maxValue: 86_400 },
		description:
			'How long to wait for each item. A timeout does not cancel the request: the error contains the request ID, and Get Result fetches the result later.',
	},
	webhookUrl: {
		displayName: 'Webhook URL',
		name: 'webhookUrl',
		decides: false,
		type: 'string',
		default: '',
		placeholder: 'e.g. {{ $execution.resumeUrl }}',
		description:
			'RunComfy calls this address when the request ends. A call may be lost or repeated, so a Wait node that waits for it needs a time limit, and Get Result fetches the result.',
		displayOptions: { show: { '/waitForCompletion': [false] } },
	},
} satisfies Record<string, Field>;

export type OptionName = keyof typeof OPTIONS;

/** The options of deployments, which differ in some texts and defaults. */
export const DEPLOYMENT_OPTIONS = {
	...OPTIONS,
	cancelOnStop: {
		...OPTIONS.cancelOnStop,
		description:
			'Whether to cancel requests, queued or running, when you stop the execution, or when it ends because an item failed. Running requests use GPU time, which is billed by the second.',
	},
	timeout: {
		...OPTIONS.timeout,
		default: 1_800,
		description:
			'How long to wait for each item; a deployment that has to start first takes 3 to 5 minutes longer. A timeout does not cancel the request: the error contains the request ID, and Get Result fetches the result later.',
	},
} satisfies Record<OptionName, Field>;

const COLLECTION = { displayName: 'Options', name: 'options' } as const;

/**
 * The collection “Options” with the given options, sorted by name.
 * @param all the options to choose from: those of models, or of deployments.
 */
export function optionsField(names: OptionName[], all: typeof OPTIONS = OPTIONS): Field {
	return {
		...COLLECTION,
		decides: false,
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options: [...names].sort().map((name) => all[name]),
	};
}

/** The names of the options whose values are of this type. */
type NameOf<V> = { [N in OptionName]: (typeof OPTIONS)[N]['default'] extends V ? N : never }[OptionName];

/**
 * The options of one item. An option that the user has added must have a valid value: an expression without one never means
 * “no limit” or “the default”.
 */
export class Options {
	/** As the user has added them, with their expressions. */
	private readonly written: unknown;
	/** Their values; undefined where each is read by itself, so that another one's expression that fails does no harm. */
	private readonly values: JsonObject | undefined;

	/**
	 * @param all those of models, or of deployments.
	 * @throws FieldError when one expression gives all options, and does not give an object.
	 */
	constructor(
		private readonly item: Item,
		private readonly all: typeof OPTIONS,
	) {
		this.written = item.context.getNode().parameters.options;
		if (isJsonObject(this.written)) return;
		const values = item.raw(COLLECTION, {});
		if (Object.prototype.toString.call(values) !== '[object Object]' || !isJsonObject(values))
			throw new FieldError(COLLECTION.displayName, 'must be an object');
		this.values = values;
	}

	/** @returns the default where the user has not added the option. */
	number(name: NameOf<number>): number {
		return this.optionalNumber(name) ?? this.all[name].default;
	}

	/** As `number`; undefined where the user has not added the option, or has left one that is entered as a text empty. */
	optionalNumber(name: NameOf<number> | 'seed'): number | undefined {
		const field = this.all[name];
		if (!this.isAdded(name)) return undefined;
		const value = this.valueOf(name);
		return value === '' && field.default === '' ? undefined : numberOf(value, field);
	}

	boolean(name: NameOf<boolean>): boolean {
		const { displayName, default: unset } = this.all[name];
		return this.isAdded(name) ? booleanOf(this.valueOf(name), displayName) : unset;
	}

	choice(name: 'sendFilesAs'): string {
		return this.isAdded(name) ? choiceOf(this.valueOf(name), this.all[name]) : this.all[name].default;
	}

	/** @returns an empty text where the user has not added the option, or has left it empty. */
	text(name: NameOf<string>): string {
		const value = this.isAdded(name) ? (this.valueOf(name) ?? undefined) : '';
		const { displayName } = this.all[name];
		if (value === undefined) throw new FieldError(displayName, 'must not be empty');
		return textOf(value, displayName);
	}

	isAdded(name: OptionName): boolean {
		const added = this.values ?? this.written;
		return isJsonObject(added) && Object.hasOwn(added, name);
	}

	private valueOf(name: OptionName): unknown {
		const path = `${COLLECTION.name}.${name}`;
		return this.values === undefined ? this.item.raw({ name: path }, null) : this.values[name];
	}
}

/** The options that apply to the whole run. */
export interface RunOptions {
	maxConcurrency: number;
	cancelOnStop: boolean;
	/** In USD; undefined when the user has not added the option. */
	limitUsd: number | undefined;
}

export const DEFAULT_RUN_OPTIONS: RunOptions = {
	maxConcurrency: OPTIONS.maxConcurrency.default,
	cancelOnStop: OPTIONS.cancelOnStop.default,
	limitUsd: undefined,
};

/**
 * Reads the options that apply to the whole run from the first item. Only these: an invalid value in another option of
 * that item must fail the item, not the run.
 * @throws FieldError.
 */
export function readRunOptions(item: Item): RunOptions {
	const options = new Options(item, OPTIONS);
	return {
		maxConcurrency: options.number('maxConcurrency'),
		cancelOnStop: options.boolean('cancelOnStop'),
		limitUsd: options.optionalNumber('spendingLimit'),
	};
}

/** The timeout of an item, where it can be read. */
export function readTimeoutMs(item: Item): number {
	try {
		return new Options(item, OPTIONS).number('timeout') * 1_000;
	} catch {
		return OPTIONS.timeout.default * 1_000;
	}
}
