import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type IRun,
} from 'n8n-workflow';

import { loadCompiled } from '../test/engine/compiled';
import { Engine, RUNCOMFY_TYPE, type EngineWorkflow } from '../test/engine/engine';
import { passThrough, source } from '../test/engine/standIns';
import { SANDBOX_TOKEN } from '../test/sandbox/sandbox';
import type { Task } from './contestants/contestant';
import { promptOf } from './workload';

export interface EngineSetUp {
	node: INodeType;
	parameters: Record<string, unknown>;
	items: INodeExecutionData[];
}

/** One node on n8n's engine with the compiled credential, ready to run. */
export async function prepareEngine(
	baseUrl: string,
	{ node, parameters, items }: EngineSetUp,
): Promise<() => Promise<INodeExecutionData[]>> {
	const { RunComfyApi } = await loadCompiled();
	const engine = await Engine.create({
		nodes: { source: source(items), passThrough, [RUNCOMFY_TYPE]: node },
		credentialType: new RunComfyApi(),
		credential: { apiToken: SANDBOX_TOKEN, baseUrl },
		binaryMode: 'filesystem',
	});
	const place = { typeVersion: 1, position: [0, 0] as [number, number] };
	const workflow: EngineWorkflow = {
		nodes: [
			{ id: '1', name: 'Start', type: 'source', parameters: {}, ...place },
			{
				id: '2',
				name: 'RunComfy',
				type: RUNCOMFY_TYPE,
				parameters: parameters as EngineWorkflow['nodes'][number]['parameters'],
				credentials: { runComfyApi: { id: '1', name: 'RunComfy' } },
				...place,
			},
		],
		connections: { Start: { main: [[{ node: 'RunComfy', type: 'main', index: 0 }]] } },
	};
	return async () => rowsOf(await engine.run(workflow), items.length);
}

export function itemsOf({ workload }: Task): INodeExecutionData[] {
	return workload.durationsMs.map((_, item) => ({ json: { prompt: promptOf(workload, item) } }));
}

function rowsOf(run: IRun, expected: number): INodeExecutionData[] {
	if (run.data.resultData.error !== undefined) throw run.data.resultData.error;
	const rows = run.data.resultData.runData.RunComfy?.[0]?.data?.main?.[0] ?? [];
	if (rows.length !== expected) throw new Error(`${rows.length} rows for ${expected} items`);
	return rows;
}

/** A node that has nothing but its work, with the credential at hand. */
export function bareNode(execute: (context: IExecuteFunctions) => Promise<INodeExecutionData[]>): INodeType {
	return {
		description: {
			displayName: 'Bare',
			name: 'bare',
			group: ['transform'],
			version: 1,
			description: '',
			defaults: { name: 'Bare' },
			inputs: [NodeConnectionTypes.Main],
			outputs: [NodeConnectionTypes.Main],
			credentials: [{ name: 'runComfyApi', required: true }],
			properties: [],
		},
		async execute() {
			return [await execute(this)];
		},
	};
}

/** n8n's authenticated request, as plainly as a node can make it. */
export async function plainCall(
	context: IExecuteFunctions,
	url: string,
	body?: object,
): Promise<Record<string, string>> {
	return (await context.helpers.httpRequestWithAuthentication.call(context, 'runComfyApi', {
		method: body === undefined ? 'GET' : 'POST',
		url,
		json: true,
		...(body === undefined ? {} : { body }),
	})) as Record<string, string>;
}
