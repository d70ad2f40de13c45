import { Agent as HttpAgent, request as httpRequest } from 'node:http';

import { Agent, request } from 'undici';

import { Engine, RUNCOMFY_TYPE } from '../test/engine/engine';
import { passThrough, source } from '../test/engine/standIns';
import { SANDBOX_TOKEN } from '../test/sandbox/sandbox';
import { loadCompiled } from '../test/engine/compiled';
import { NodeConnectionTypes, type INodeType } from 'n8n-workflow';

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
	const node: INodeType = {
		description: {
			displayName: 'Looks',
			name: 'looks',
			group: ['transform'],
			version: 1,
			description: '',
			defaults: { name: 'Looks' },
			inputs: [NodeConnectionTypes.Main],
			outputs: [NodeConnectionTypes.Main],
			credentials: [{ name: 'runComfyApi', required: true }],
			properties: [],
		},
		async execute() {
			await measure(async () => {
				await this.helpers.httpRequestWithAuthentication.call(this, 'runComfyApi', { url, json: true });
			});
			return [[]];
		},
	};
	const { RunComfyApi } = await loadCompiled();
	const engine = await Engine.create({
		nodes: { source: source([{ json: {} }]), passThrough, [RUNCOMFY_TYPE]: node },
		credentialType: new RunComfyApi(),
		credential: { apiToken: SANDBOX_TOKEN, baseUrl: new URL(url).origin },
	});
	const place = { typeVersion: 1, position: [0, 0] as [number, number], parameters: {} };
	const credentials = { runComfyApi: { id: '1', name: 'RunComfy' } };
	await engine.run({
		nodes: [
			{ id: '1', name: 'Start', type: 'source', ...place },
			{ id: '2', name: 'Looks', type: RUNCOMFY_TYPE, credentials, ...place },
		],
		connections: { Start: { main: [[{ node: 'Looks', type: 'main', index: 0 }]] } },
	});
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
