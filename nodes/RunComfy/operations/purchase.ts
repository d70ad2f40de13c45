import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { buy, buyAndWait, type JobOrder, type WaitLimits } from '../jobs/job';
import type { ItemWork } from './operation';
import { optionsField, type OptionName } from './optionFields';
import { OptionsReader, readBoolean } from './parameters';
import {
	downloadFields,
	readDownloadWish,
	toFinishedOutput,
	type DownloadSwitch,
	type DownloadWish,
	type OutputWish,
} from './results';

/** How an item's request is bought and what becomes of it, the same for every model. */

const OPTIONS: OptionName[] = [
	'cancelOnStop',
	'fileName',
	'includeCost',
	'maxConcurrency',
	'maxImageSize',
	'pollInterval',
	'spendingLimit',
	'timeout',
];

/** The fields of an operation that buys, after those of its model. */
export function purchaseFields(download: DownloadSwitch, moreOptions: OptionName[] = []): INodeProperties[] {
	return [
		{
			displayName: 'Wait for Completion',
			name: 'waitForCompletion',
			type: 'boolean',
			default: true,
			description:
				'Whether to wait until the result is there. Without waiting, the request ID is handed on at once, and Get Result fetches the result later.',
		},
		...downloadFields(download),
		optionsField([...OPTIONS, ...moreOptions]),
	];
}

/** What these fields say. */
export interface PurchaseWish {
	options: OptionsReader;
	limits: WaitLimits;
	/** Whether to wait for the result, or to hand on the request's id right after the submit. */
	wait: boolean;
	download: DownloadWish | undefined;
}

/**
 * @param needsFile whether a result without the URL of a file is an error.
 * @throws FieldError.
 */
export function readPurchaseWish(
	context: IExecuteFunctions,
	itemIndex: number,
	download: DownloadSwitch,
	needsFile: boolean,
): PurchaseWish {
	const options = new OptionsReader(context, itemIndex);
	const wait = readBoolean(context, itemIndex, 'waitForCompletion', 'Wait for Completion');
	return {
		options,
		limits: options.waitLimits(needsFile),
		wait,
		download: wait ? readDownloadWish(context, itemIndex, download, options) : undefined,
	};
}

export interface Purchase extends OutputWish {
	modelId: string;
	wait: boolean;
	/** Reads what may be large, and only when it is the item's turn. */
	placeOrder(): Promise<JobOrder>;
}

/** The work of an item that buys a request. */
export function purchaseWork(itemIndex: number, purchase: Purchase): ItemWork {
	const { modelId, wait, placeOrder, ...wish } = purchase;
	return {
		purchase: { modelId, waits: wait },
		run: async (tools) => {
			const { run } = tools;
			const order = await placeOrder();
			if (!wait) {
				const { requestId, seed } = await buy(run, itemIndex, order);
				run.purse?.settle(itemIndex, undefined, false);
				// The answer to a submit holds no state; a new request begins in the queue (documented).
				return { json: { requestId, status: 'in_queue', ...(seed === undefined ? {} : { seed }) } };
			}
			const { result, seed } = await buyAndWait(run, itemIndex, order);
			return await toFinishedOutput(tools, result, { ...wish, ...(seed === undefined ? {} : { seed }) });
		},
	};
}
