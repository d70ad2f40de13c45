import { NodeConnectionTypes, type IExecuteFunctions, type INodeType } from 'n8n-workflow';

import { MODEL_ID } from '../../test/sandbox/sandbox';
import { itemsOf, prepareEngine } from '../engineTask';
import { durationOf, IMAGE_URL } from '../workload';
import type { Contestant } from './contestant';

/**
 * Not a contestant but a bound: the floor's own two calls for each item, at the moments when the floor makes them, but
 * through n8n's authenticated request, which every node has to use. What it costs beyond the floor is n8n's share.
 */
export const callsOnly: Contestant = async (task) => {
	const run = await prepareEngine(task.baseUrl, {
		node: callingNode(task.baseUrl, task.concurrency),
		parameters: {},
		items: itemsOf(task),
	});
	return async () => void (await run());
};

function callingNode(baseUrl: string, concurrency: number): INodeType {
	return {
		description: {
			displayName: 'Calls only',
			name: 'callsOnly',
			group: ['transform'],
			version: 1,
			description: '',
			defaults: { name: 'Calls only' },
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
			const items = this.getInputData();
			const rows = items.map(({ json }) => ({ json }));
			let next = 0;
			const worker = async () => {
				while (next < items.length) {
					const item = next++;
					const prompt = String(items[item]?.json.prompt);
					const { request_id: id } = await call('POST', `/v1/models/${MODEL_ID}`, {
						image: IMAGE_URL,
						prompt,
					});
					await new Promise((resolve) => setTimeout(resolve, durationOf(prompt) + 2));
					rows[item] = { json: await call('GET', `/v1/requests/${id}/result`) };
				}
			};
			await Promise.all(Array.from({ length: Math.min(items.length, concurrency) }, worker));
			return [rows];
		},
	};
}
