import path from 'node:path';

import type { INode, INodeCredentials } from 'n8n-workflow';

import { installN8n, isInstalled, NEWEST } from '../../test/n8n/installation';
import { N8nInstance, type StoredExecution } from '../../test/n8n/instance';
import { MODEL_ID, SANDBOX_TOKEN, type Sandbox } from '../../test/sandbox/sandbox';
import { timingsOf } from '../processes';
import { durationsOf, IMAGE_URL, promptsOf } from '../workload';

/** What people build without a node, in whole n8n: HTTP Request, Wait and If; one by one is usual. */
export const ONE_BY_ONE = 'by hand in n8n, Loop Over Items';
const TOGETHER = 'by hand in n8n, all items together';
const root = path.resolve(__dirname, '..', '..');

/** @returns nothing when whole n8n is not installed. */
export async function measureHandBuilt(sandbox: Sandbox) {
	if (!isInstalled(NEWEST)) {
		console.log(`n8n ${NEWEST} is not installed (npm run n8n does that): no hand-built workflow is measured`);
		return [];
	}
	const figures = [];
	const n8n = await N8nInstance.start({ installation: await installN8n(NEWEST, console.log), root });
	try {
		const credentials = { runComfyApi: await n8n.createCredential(SANDBOX_TOKEN, sandbox.url) };
		for (const [index, variant] of [ONE_BY_ONE, ONE_BY_ONE, TOGETHER].entries()) {
			const items = index === 0 ? 1 : 10;
			const durationsMs = durationsOf(items, 1);
			const run = `${variant}-${items}`;
			const prompts = promptsOf(run, durationsMs);
			const workflow = handBuilt(sandbox.url, credentials, prompts, variant === ONE_BY_ONE);
			const execution = await n8n.finished(await n8n.execute(await n8n.createWorkflow(workflow)), 600_000);
			if (execution.status !== 'success') throw new Error(`${run} ended with ${execution.status}`);
			const overLongest = wallMsOf(execution) / Math.max(...durationsMs);
			const timings = timingsOf(sandbox, run, durationsMs);
			figures.push({ n8nVersion: NEWEST, variant, items, overLongest, ...timings });
		}
	} finally {
		await n8n.close();
	}
	return figures;
}

/** From the first submit to the last result. */
function wallMsOf({ data }: StoredExecution): number {
	const { Submit = [], Result = [] } = data?.resultData.runData ?? {};
	const ends = Result.map(({ startTime, executionTime }) => startTime + executionTime);
	return Math.max(...ends) - Math.min(...Submit.map(({ startTime }) => startTime));
}

function handBuilt(url: string, credentials: INodeCredentials, prompts: string[], oneByOne: boolean) {
	const node = (type: string, typeVersion: number, parameters: INode['parameters'] = {}) => {
		const position: INode['position'] = [0, 0];
		return { type: `n8n-nodes-base.${type}`, typeVersion, position, parameters };
	};
	const authentication = { authentication: 'predefinedCredentialType', nodeCredentialType: 'runComfyApi' };
	const request = (pathname: string, more = {}) => {
		const parameters = { url: `=${url}/v1/${pathname}`, ...authentication, ...more };
		return { ...node('httpRequest', 4.2, parameters), credentials };
	};
	const isCompleted = { value1: '={{ $json.status }}', value2: 'completed' };
	const nodes = {
		Start: node('manualTrigger', 1),
		List: node('set', 3.4, { mode: 'raw', jsonOutput: JSON.stringify({ prompts }) }),
		Items: node('splitOut', 1, { fieldToSplitOut: 'prompts', options: {} }),
		Loop: node('splitInBatches', 3, { options: {} }),
		Submit: request(`models/${MODEL_ID}`, {
			...{ method: 'POST', sendBody: true, specifyBody: 'json' },
			jsonBody: `={{ JSON.stringify({ image: "${IMAGE_URL}", prompt: $json.prompts }) }}`,
		}),
		Wait: node('wait', 1.1, { amount: 2, unit: 'seconds' }),
		Status: request('requests/{{ $json.request_id }}/status'),
		'Done?': node('if', 1, { conditions: { string: [isCompleted] } }),
		Result: request('requests/{{ $json.request_id }}/result'),
		End: node('noOp', 1),
	};
	const to = (...names: Array<keyof typeof nodes>) => {
		return { main: names.map((name) => [{ node: name, type: 'main' as const, index: 0 }]) };
	};
	return {
		name: `Hand-built, ${prompts.length} items`,
		nodes: Object.entries(nodes).map(([name, rest]) => ({ id: name, name, ...rest })),
		connections: {
			Start: to('List'),
			List: to('Items'),
			Items: to(oneByOne ? 'Loop' : 'Submit'),
			Loop: to('End', 'Submit'),
			Submit: to('Wait'),
			Wait: to('Status'),
			Status: to('Done?'),
			'Done?': to('Result', 'Wait'),
			Result: to(oneByOne ? 'Loop' : 'End'),
		},
	};
}
