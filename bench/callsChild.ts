import { Agent as HttpAgent, request as httpRequest } from 'node:http';

import { Agent, request } from 'undici';

import { SANDBOX_TOKEN } from '../test/sandbox/sandbox';
import { bareNode, plainCall, prepareEngine } from './engineTask';

/** What one look costs, by the way in which it is made. Arguments: the way, the URL of a result, how many looks. */
const [way = '', url = '', count = '1'] = process.argv.slice(2);
const AT_ONCE = 20;
const WARM_UP = 300;

export type CallWay = 'undici' | 'pooled' | 'fresh' | 'helper';

export interface CallsReport {
	cpuMsPerCall: number;
}

type Look = () => Promise<void>;

async function many(look: Look, times: number): Promise<void> {
	let left = times;
	await Promise.all(
		Array.from({ length: AT_ONCE }, async () => {
			while (left-- > 0) await look();
		}),
	);
}

async function measure(look: Look): Promise<void> {
	await many(look, WARM_UP);
	const from = process.cpuUsage();
	await many(look, Number(count));
	const { user, system } = process.cpuUsage(from);
	const report: CallsReport = { cpuMsPerCall: (user + system) / 1000 / Number(count) };
	process.send?.(report, () => process.exit(0));
}

const headers = { authorization: `Bearer ${SANDBOX_TOKEN}` };

/** Node's own client, with its connections kept or a new one for every call. */
function nodeClient(keepAlive: boolean): Look {
	const agent = new HttpAgent({ keepAlive, maxSockets: AT_ONCE });
	return async () =>
		await new Promise((resolve, reject) => {
			const call = httpRequest(url, { headers, agent }, (answer) => {
				answer.resume();
				answer.once('end', resolve);
			});
			call.once('error', reject);
			call.end();
		});
}

function undiciPooled(): Look {
	const dispatcher = new Agent({ connections: AT_ONCE });
	return async () => {
		const { body } = await request(url, { headers, dispatcher });
		await body.json();
	};
}

/** n8n's authenticated request, as a node makes it. */
async function byHelper(): Promise<void> {
	const run = await prepareEngine(new URL(url).origin, {
		node: bareNode(async (context) => {
			await measure(async () => void (await plainCall(context, url)));
			return [{ json: {} }];
		}),
		parameters: {},
		items: [{ json: {} }],
	});
	await run();
}

const WAYS: Record<string, () => Promise<void>> = {
	undici: async () => await measure(undiciPooled()),
	pooled: async () => await measure(nodeClient(true)),
	fresh: async () => await measure(nodeClient(false)),
	helper: byHelper,
};

async function main(): Promise<void> {
	const start = WAYS[way];
	if (start === undefined) throw new Error(`No such way: ${way}`);
	await start();
}

main().catch((error: unknown) => {
	console.error(error);
	process.exit(1);
});
