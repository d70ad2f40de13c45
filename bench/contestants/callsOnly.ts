import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { MODEL_ID } from '../../test/sandbox/sandbox';
import { bareNode, itemsOf, plainCall, prepareEngine } from '../engineTask';
import { durationOf, IMAGE_URL } from '../workload';
import type { Contestant } from './contestant';

/**
 * Not a contestant but a bound: the floor's own two calls for each item, at the moments when the floor makes them, but
 * through n8n's authenticated request, which every node has to use. What it costs beyond the floor is n8n's share.
 */
export const callsOnly: Contestant = async (task) => {
	const run = await prepareEngine(task.baseUrl, {
		node: bareNode(async (context) => await callAll(context, task.baseUrl, task.concurrency)),
		parameters: {},
		items: itemsOf(task),
	});
	return async () => void (await run());
};

async function callAll(
	context: IExecuteFunctions,
	baseUrl: string,
	concurrency: number,
): Promise<INodeExecutionData[]> {
	const items = context.getInputData();
	const rows: INodeExecutionData[] = items.map(({ json }) => ({ json }));
	let next = 0;
	const worker = async () => {
		while (next < items.length) {
			const item = next++;
			const prompt = String(items[item]?.json.prompt);
			const { request_id: id } = await plainCall(context, `${baseUrl}/v1/models/${MODEL_ID}`, {
				image: IMAGE_URL,
				prompt,
			});
			await new Promise((resolve) => setTimeout(resolve, durationOf(prompt) + 2));
			rows[item] = { json: await plainCall(context, `${baseUrl}/v1/requests/${id}/result`) };
		}
	};
	await Promise.all(Array.from({ length: Math.min(items.length, concurrency) }, worker));
	return rows;
}
