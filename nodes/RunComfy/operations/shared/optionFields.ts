import type { Field } from '../../n8n/identity';
import { SEED_RANGE } from './seeds';

/** The options of the node. Their labels, defaults, and ranges also apply where `options.ts` reads the values. */
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
	fileName: {
		displayName: 'File Name',
		name: 'fileName',
		decides: false,
		type: 'string',
		default: '',
		placeholder: 'e.g. product-photo',
		description: 'Name of the downloaded file, without extension. If not set, the file’s own name is used.',
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
			'The shortest pause between two polls of a request. Polls are free, and become less frequent the longer a request takes. When the end is expected, because earlier requests took as long, the pause may be half as long.',
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
		type: 'number',
		default: 0,
		typeOptions: { minValue: SEED_RANGE.min, maxValue: SEED_RANGE.max, numberPrecision: 0 },
		description:
			'The same seed with the same fields gives a similar image. If not set, each item gets a random seed.',
	},
	spendingLimit: {
		displayName: 'Spending Limit (USD)',
		name: 'spendingLimit',
		decides: false,
		type: 'number',
		default: 1,
		typeOptions: { minValue: 0.01, maxValue: 100_000, numberPrecision: 2 },
		description:
			'How much this node may spend in one execution of the workflow, including all items, retries, loop iterations, and tool calls. The price is read before anything is submitted. If the limit does not cover all items, none are submitted. If RunComfy lists no price per request, the first request may exceed the limit. If “On Error” is set to continue, as many items are submitted as the limit covers. The value of the first item is used.',
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
			'How long to wait for each item. A deployment that has to start first takes 3 to 5 minutes longer. A timeout does not cancel the request: the error contains the request ID, and Get Result fetches the result later.',
	},
} satisfies Record<OptionName, Field>;

/**
 * The collection “Options” with the given options, sorted by name.
 * @param all the options to choose from: those of models, or of deployments.
 */
export function optionsField(names: OptionName[], all: Record<OptionName, Field> = OPTIONS): Field {
	return {
		displayName: 'Options',
		name: 'options',
		decides: false,
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options: [...names].sort().map((name) => all[name]),
	};
}
