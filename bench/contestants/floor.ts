import { setTimeout as sleep } from 'node:timers/promises';

import { Agent, request } from 'undici';

import { MODEL_ID, SANDBOX_TOKEN } from '../../test/sandbox/sandbox';
import { IMAGE_URL, promptOf } from '../workload';
import type { Contestant } from './contestant';

/** When a job turns out not to be quite done. */
const TOO_EARLY_MS = 2;

/**
 * What no client can beat: submits with undici, knows when each job will end, and fetches its result at that moment.
 * It takes the next item as soon as a slot is free.
 */
export const floor: Contestant = async ({ baseUrl, workload, concurrency }) => {
	const dispatcher = new Agent({ connections: concurrency, pipelining: 1 });
	const headers = { authorization: `Bearer ${SANDBOX_TOKEN}`, 'content-type': 'application/json' };
	const call = async (method: 'GET' | 'POST', path: string, body?: unknown) => {
		const answer = await request(`${baseUrl}${path}`, {
			method,
			headers,
			dispatcher,
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		return (await answer.body.json()) as Record<string, unknown>;
	};
	const count = workload.durationsMs.length;
	return async () => {
		let next = 0;
		const worker = async () => {
			while (next < count) {
				const item = next++;
				const input = { image: IMAGE_URL, prompt: promptOf(workload, item), seed: item };
				const submitted = await call('POST', `/v1/models/${MODEL_ID}`, input);
				await sleep(workload.durationsMs[item]);
				for (;;) {
					const result = await call('GET', `/v1/requests/${String(submitted.request_id)}/result`);
					if (result.status === 'succeeded') break;
					await sleep(TOO_EARLY_MS);
				}
			}
		};
		await Promise.all(Array.from({ length: Math.min(count, concurrency) }, worker));
		await dispatcher.close();
	};
};
