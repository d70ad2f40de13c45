import type { INodeProperties, INodePropertyCollection, INodePropertyOptions } from 'n8n-workflow';

import { SEED_RANGE } from './parameters';

type Option = INodePropertyOptions | INodeProperties | INodePropertyCollection;

const OPTIONS = {
	cancelOnStop: {
		displayName: 'Cancel on Stop',
		name: 'cancelOnStop',
		type: 'boolean',
		default: true,
		description:
			'Whether to cancel what is still queued at RunComfy when you stop the execution, or when it gives up after a failed item. What already runs cannot be cancelled.',
	},
	fileName: {
		displayName: 'File Name',
		name: 'fileName',
		type: 'string',
		default: '',
		placeholder: 'e.g. product-photo',
		description:
			'Name of the downloaded file, without extension. Without this option, the name in its URL is used.',
	},
	includeCost: {
		displayName: 'Include Cost',
		name: 'includeCost',
		type: 'boolean',
		default: true,
		description:
			'Whether to ask RunComfy what the request cost in USD. The cost is left out while RunComfy does not know it yet.',
	},
	maxConcurrency: {
		displayName: 'Max Concurrency',
		name: 'maxConcurrency',
		type: 'number',
		default: 10,
		typeOptions: { minValue: 1, maxValue: 100, numberPrecision: 0 },
		description: 'How many items are worked on at the same time. Taken from the first item.',
	},
	maxFileSize: {
		displayName: 'Max File Size (MB)',
		name: 'maxFileSize',
		type: 'number',
		default: 50,
		typeOptions: { minValue: 1, maxValue: 350 },
		description: 'Larger files are refused, as input and as download',
	},
	pollInterval: {
		displayName: 'Poll Interval (Seconds)',
		name: 'pollInterval',
		type: 'number',
		default: 1,
		typeOptions: { minValue: 0.2, maxValue: 60, numberPrecision: 1 },
		description:
			'The shortest pause between two polls of a request. Polls are free, and become rarer the longer a request takes.',
	},
	seed: {
		displayName: 'Seed',
		name: 'seed',
		type: 'number',
		default: 0,
		typeOptions: { minValue: SEED_RANGE.min, maxValue: SEED_RANGE.max, numberPrecision: 0 },
		description:
			'The same seed and fields give a similar image again. Without this option, each item gets a random seed.',
	},
	spendingLimit: {
		displayName: 'Spending Limit (USD)',
		name: 'spendingLimit',
		type: 'number',
		default: 1,
		typeOptions: { minValue: 0.01, maxValue: 100_000, numberPrecision: 2 },
		description:
			'How much this node may spend in one execution of the workflow: all its items, retries, loop turns, and tool calls together. The price is read before anything is submitted. When the limit does not pay for all items, none is submitted, or, with “On Error” set to continue, only as many as it pays for. Taken from the first item.',
	},
	timeout: {
		displayName: 'Timeout (Seconds)',
		name: 'timeout',
		type: 'number',
		default: 600,
		typeOptions: { minValue: 1, maxValue: 86_400 },
		description:
			'How long to wait for each item. A timeout does not cancel: the error holds the request ID, and Get Result fetches the result later.',
	},
} satisfies Record<string, Option>;

export type OptionName = keyof typeof OPTIONS;

/** The collection “Options” with the given options, in the order of their labels. */
export function optionsField(names: OptionName[]): INodeProperties {
	return {
		displayName: 'Options',
		name: 'options',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options: [...names].sort().map((name) => OPTIONS[name]),
	};
}
