import { NodeConnectionTypes, sleep, type IExecuteFunctions, type INodeType } from 'n8n-workflow';

import { MODEL_ID } from '../../test/sandbox/sandbox';
import { itemsOf, prepareEngine } from '../engineTask';
import { IMAGE_URL } from '../workload';
import type { Contestant, Task } from './contestant';

/**
 * The loop that other nodes of this kind have, with nothing left out that would slow it down further: one item after
 * the other, a look every so many seconds, then the result. n8n's own Databricks node looks every 2 seconds by default,
 * others every 5.
 */
export function sequentialLoop(everySeconds: number): Contestant {
	return async (task) => {
		const run = await prepareEngine(task.baseUrl, {
			node: loopNode(task, (everySeconds * 1000) / task.timeScale),
			parameters: {},
			items: itemsOf(task),
		});
		return async () => void (await run());
	};
}

function loopNode({ baseUrl }: Task, everyMs: number): INodeType {
	return {
		description: {
			displayName: 'Sequential loop',
			name: 'sequentialLoop',
			group: ['transform'],
			version: 1,
			description: '',
			defaults: { name: 'Sequential loop' },
			inputs: [NodeConnectionTypes.Main],
			outputs: [NodeConnectionTypes.Main],
			credentials: [{ name: 'runComfyApi', required: true }],
			properties: [],
		},
		async execute(this: IExecuteFunctions) {
			const call = async (method: 'GET' | 'POST', path: string, body?: object) =>
				(await this.helpers.httpRequestWithAuthentication.call(this, 'runComfyApi', {
					method,
					url: `${baseUrl}${path}`,
					json: true,
					...(body === undefined ? {} : { body }),
				})) as Record<string, string>;
			const rows = [];
			for (const { json } of this.getInputData()) {
				const { request_id: id } = await call('POST', `/v1/models/${MODEL_ID}`, {
					image: IMAGE_URL,
					prompt: json.prompt,
				});
				do await sleep(everyMs);
				while ((await call('GET', `/v1/requests/${id}/status`)).status !== 'completed');
				rows.push({ json: await call('GET', `/v1/requests/${id}/result`) });
			}
			return [rows];
		},
	};
}
