import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { INodeType } from 'n8n-workflow';
import { Agent, request, stream } from 'undici';

import { passThrough } from '../../test/engine/fakeNodes';
import { MODEL_ID, SANDBOX_TOKEN } from '../../test/sandbox/sandbox';
import { durationOf, IMAGE_URL } from '../workload';
import { prepareEngine } from './node';
import { forEach, type Task, type Variant } from './variant';

/** One call of the API: GET without a body, POST with one. */
type Call = (path: string, body?: object) => Promise<Record<string, unknown>>;
/** What is done for an item, whatever makes the calls. */
type Act = (call: Call, item: string, task: Task) => Promise<unknown>;

const headers = { authorization: `Bearer ${SANDBOX_TOKEN}`, 'content-type': 'application/json' };
const submit = async (call: Call, prompt: string) =>
	String((await call(`/v1/models/${MODEL_ID}`, { image: IMAGE_URL, prompt })).request_id);
export const pollResult: Act = async (call, requestId) => await call(`/v1/requests/${requestId}/result`);

/** Knows when each job ends, and gets its result at that moment: two calls for an item, never late. */
export const submitAndGet: Act = async (call, prompt) => {
	const result = `/v1/requests/${await submit(call, prompt)}/result`;
	await sleep(durationOf(prompt));
	while ((await call(result)).status !== 'succeeded') await sleep(2);
};

/** The loop that other nodes have: n8n's own Databricks node polls every 2 seconds by default, others every 5. */
export function pollEvery(seconds: number): Act {
	return async (call, prompt, { timeScale = 1 }) => {
		const url = `/v1/requests/${await submit(call, prompt)}`;
		do await sleep((seconds * 1000) / timeScale);
		while ((await call(`${url}/status`)).status !== 'completed');
		await call(`${url}/result`);
	};
}

/** With its connections kept, or a new one for every call. */
export function byUndici(act: Act, keepAlive = true): Variant {
	return async (task) => {
		const dispatcher = new Agent({ connections: task.concurrency, pipelining: keepAlive ? 1 : 0 });
		const call: Call = async (path, body) => {
			const post = body === undefined ? {} : { method: 'POST' as const, body: JSON.stringify(body) };
			const answer = await request(`${task.baseUrl}${path}`, { headers, dispatcher, ...post });
			if (answer.statusCode !== 200) throw new Error(`${path}: HTTP ${answer.statusCode}`);
			return (await answer.body.json()) as Record<string, unknown>;
		};
		return async () => {
			await forEach(task, async (item) => await act(call, item, task));
			await dispatcher.close();
			return 0;
		};
	};
}

/** A node with nothing but these calls, made by n8n's authenticated request, which every node has to use. */
export function byN8n(act: Act): Variant {
	return async (task) => {
		const credentials = [{ name: 'runComfyApi', required: true }];
		const node: INodeType = {
			description: { ...passThrough.description, credentials },
			async execute() {
				const send = this.helpers.httpRequestWithAuthentication;
				const call: Call = async (path, body) => {
					const method = body === undefined ? 'GET' : 'POST';
					const options = { method, url: `${task.baseUrl}${path}`, json: true, body } as const;
					return (await send.call(this, 'runComfyApi', options)) as Record<string, unknown>;
				};
				await forEach(task, async (item) => await act(call, item, task));
				return [this.getInputData()];
			},
		};
		return await prepareEngine(task, node);
	};
}

/** Into plain files. */
export const undiciDownloads: Variant = async (task) => async () => {
	let bytes = 0;
	const folder = await mkdtemp(path.join(tmpdir(), 'runcomfy-bench-'));
	await forEach(task, async (id) => {
		const file = createWriteStream(path.join(folder, id));
		await stream(`${task.baseUrl}/outputs/${id}/replaced-background.png`, { method: 'GET' }, () => file);
		bytes += file.bytesWritten;
	});
	await rm(folder, { recursive: true });
	return bytes;
};
