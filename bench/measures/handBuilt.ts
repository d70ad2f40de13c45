import path from 'node:path';

import type { INode } from 'n8n-workflow';

import { installN8n, isInstalled, NEWEST } from '../../test/n8n/installation';
import { N8nInstance, type StoredExecution, type WorkflowDefinition } from '../../test/n8n/instance';
import { MODEL_ID, SANDBOX_TOKEN } from '../../test/sandbox/sandbox';
import { jobsOf, type SandboxProcess } from '../processes';
import { mean } from '../stats';
import { durationsOf, IMAGE_URL, promptOf } from '../workload';

/** What people build without a node: HTTP Request, Wait and If, in whole n8n. */
export interface HandBuiltResult {
	n8nVersion: string;
	/** `oneByOne` goes round n8n's Loop Over Items, as is usual; `together` sends all items through the same nodes. */
	shape: 'oneByOne' | 'together';
	items: number;
	overLongest: number;
	looksPerJob: number;
	lateness: number;
}

const ROOT = path.resolve(__dirname, '..', '..');
const WAIT_SECONDS = 2;
const PATIENCE_MS = 10 * 60_000;

/** @returns nothing when whole n8n is not installed. */
export async function measureHandBuilt(
	sandbox: SandboxProcess,
	counts: number[],
	seed: number,
	tell: (line: string) => void,
): Promise<HandBuiltResult[]> {
	if (!isInstalled(NEWEST)) {
		tell(`n8n ${NEWEST} is not installed (npm run n8n does that): the hand-built workflow is left out`);
		return [];
	}
	const installation = await installN8n(NEWEST, tell);
	const n8n = await N8nInstance.start({ installation, root: ROOT });
	try {
		const credential = await n8n.createCredential(SANDBOX_TOKEN, sandbox.url);
		const results: HandBuiltResult[] = [];
		for (const items of counts) {
			for (const shape of ['oneByOne', 'together'] as const) {
				if (items === 1 && shape === 'together') continue;
				const workload = { run: `hand-${shape}-${items}`, durationsMs: durationsOf(items, seed) };
				const prompts = workload.durationsMs.map((_, item) => promptOf(workload, item));
				const workflow = handBuiltWorkflow(sandbox.url, credential, prompts, shape);
				const executionId = await n8n.execute(await n8n.createWorkflow(workflow));
				const execution = await n8n.finished(executionId, PATIENCE_MS);
				if (execution.status !== 'success')
					throw new Error(`The hand-built workflow ended with ${execution.status}`);
				const jobs = await jobsOf(sandbox, workload.run);
				results.push({
					n8nVersion: installation.version,
					shape,
					items,
					overLongest: wallMsOf(execution) / Math.max(...workload.durationsMs),
					looksPerJob: mean(jobs.map(({ looks, statusLooks }) => looks + statusLooks)),
					lateness:
						mean(jobs.map(({ deliveredAt = NaN, endsAt }) => deliveredAt - endsAt)) /
						mean(workload.durationsMs),
				});
			}
		}
		return results;
	} finally {
		await n8n.close();
	}
}

/** From the first submit to the last result. */
function wallMsOf({ data }: StoredExecution): number {
	const runs = Object.entries(data?.resultData.runData ?? {})
		.filter(([name]) => ['Submit', 'Result'].includes(name))
		.flatMap(([, turns]) => turns);
	const from = Math.min(...runs.map(({ startTime }) => startTime));
	return Math.max(...runs.map(({ startTime, executionTime }) => startTime + executionTime)) - from;
}

function handBuiltWorkflow(
	baseUrl: string,
	credential: { id: string; name: string },
	prompts: string[],
	shape: HandBuiltResult['shape'],
): WorkflowDefinition {
	const node = (name: string, type: string, typeVersion: number, parameters = {}): INode => ({
		id: name,
		name,
		type: `n8n-nodes-base.${type}`,
		typeVersion,
		position: [0, 0],
		parameters,
	});
	const call = (name: string, url: string, body?: string): INode => ({
		...node(name, 'httpRequest', 4.2, {
			method: body === undefined ? 'GET' : 'POST',
			url,
			authentication: 'predefinedCredentialType',
			nodeCredentialType: 'runComfyApi',
			...(body === undefined ? {} : { sendBody: true, specifyBody: 'json', jsonBody: body }),
		}),
		credentials: { runComfyApi: credential },
	});
	const to = (name: string) => [{ node: name, type: 'main' as const, index: 0 }];
	const oneByOne = shape === 'oneByOne';
	const input = `={{ JSON.stringify({ image: "${IMAGE_URL}", prompt: $json.prompt }) }}`;
	const list = JSON.stringify({ list: prompts.map((prompt) => ({ prompt })) });
	return {
		name: `Hand-built ${shape} ${prompts.length}`,
		nodes: [
			node('Start', 'manualTrigger', 1),
			node('List', 'set', 3.4, { mode: 'raw', jsonOutput: list }),
			node('Items', 'splitOut', 1, { fieldToSplitOut: 'list', options: {} }),
			...(oneByOne ? [node('Loop', 'splitInBatches', 3, { options: {} })] : []),
			call('Submit', `${baseUrl}/v1/models/${MODEL_ID}`, input),
			node('Wait', 'wait', 1.1, { amount: WAIT_SECONDS, unit: 'seconds' }),
			call('Status', `=${baseUrl}/v1/requests/{{ $json.request_id }}/status`),
			node('Done?', 'if', 2.2, {
				conditions: {
					options: { caseSensitive: true, leftValue: '', typeValidation: 'strict', version: 2 },
					combinator: 'and',
					conditions: [
						{
							id: '1',
							leftValue: '={{ $json.status }}',
							rightValue: 'completed',
							operator: { type: 'string', operation: 'equals' },
						},
					],
				},
				options: {},
			}),
			call('Result', `=${baseUrl}/v1/requests/{{ $json.request_id }}/result`),
		],
		connections: {
			Start: { main: [to('List')] },
			List: { main: [to('Items')] },
			Items: { main: [to(oneByOne ? 'Loop' : 'Submit')] },
			...(oneByOne ? { Loop: { main: [[], to('Submit')] }, Result: { main: [to('Loop')] } } : {}),
			Submit: { main: [to('Wait')] },
			Wait: { main: [to('Status')] },
			Status: { main: [to('Done?')] },
			'Done?': { main: [to('Result'), to('Wait')] },
		},
	};
}
