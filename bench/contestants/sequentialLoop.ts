import { sleep, type IExecuteFunctions, type INodeExecutionData } from 'n8n-workflow';

import { MODEL_ID } from '../../test/sandbox/sandbox';
import { bareNode, itemsOf, plainCall, prepareEngine } from '../engineTask';
import { IMAGE_URL } from '../workload';
import type { Contestant } from './contestant';

/**
 * The loop that other nodes of this kind have, with nothing left out that would slow it down further: one item after
 * the other, a look every so many seconds, then the result. n8n's own Databricks node looks every 2 seconds by default,
 * others every 5.
 */
export function sequentialLoop(everySeconds: number): Contestant {
	return async (task) => {
		const run = await prepareEngine(task.baseUrl, {
			node: bareNode(
				async (context) => await loop(context, task.baseUrl, (everySeconds * 1000) / task.timeScale),
			),
			parameters: {},
			items: itemsOf(task),
		});
		return async () => void (await run());
	};
}

async function loop(
	context: IExecuteFunctions,
	baseUrl: string,
	everyMs: number,
): Promise<INodeExecutionData[]> {
	const rows: INodeExecutionData[] = [];
	for (const { json } of context.getInputData()) {
		const { request_id: id } = await plainCall(context, `${baseUrl}/v1/models/${MODEL_ID}`, {
			image: IMAGE_URL,
			prompt: json.prompt,
		});
		do await sleep(everyMs);
		while ((await plainCall(context, `${baseUrl}/v1/requests/${id}/status`)).status !== 'completed');
		rows.push({ json: await plainCall(context, `${baseUrl}/v1/requests/${id}/result`) });
	}
	return rows;
}
