import { buy, buyAndWait, type JobOrder } from '../jobs/job';
import type { ItemWork } from './operation';
import { toFinishedOutput, type OutputWish } from './results';

/** How an item's request is bought and what becomes of it, the same for every model. */
export interface Purchase extends OutputWish {
	modelId: string;
	/** Whether to wait for the result, or to hand on the request's id right after the submit. */
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
				run.purse?.settle(itemIndex, undefined);
				// The answer to a submit holds no state; a new request begins in the queue (documented).
				return { json: { requestId, status: 'in_queue', ...(seed === undefined ? {} : { seed }) } };
			}
			const { result, seed } = await buyAndWait(run, itemIndex, order);
			return await toFinishedOutput(tools, result, { ...wish, ...(seed === undefined ? {} : { seed }) });
		},
	};
}
