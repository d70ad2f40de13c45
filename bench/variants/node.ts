import type { INodeParameters, INodeType } from 'n8n-workflow';

import { loadCompiled, loadCompiledExecution } from '../../test/engine/compiled';
import { Engine } from '../../test/engine/engine';
import { source } from '../../test/engine/fakeNodes';
import { SANDBOX_TOKEN } from '../../test/sandbox/sandbox';
import { RUNCOMFY_TYPE } from '../../test/workflow';
import { IMAGE_URL } from '../workload';
import type { Task, Variant } from './variant';

/** One node on n8n's engine with the compiled credential, ready to run; its items are `{ item }`. */
export async function prepareEngine(
	task: Task,
	node: INodeType,
	parameters?: INodeParameters,
	root?: string,
) {
	const { RunComfyApi } = await loadCompiled(root);
	const input = task.items.map((item) => ({ json: { item } }));
	const engine = await Engine.create({
		nodes: { source: source(input), [RUNCOMFY_TYPE]: node },
		credentialType: new RunComfyApi(),
		credential: { apiToken: SANDBOX_TOKEN, useCustomUrls: true, baseUrl: task.baseUrl },
		binaryMode: 'filesystem',
	});
	const common = { typeVersion: 1, position: [0, 0] as [number, number], parameters: parameters ?? {} };
	const credentials = { runComfyApi: { id: '1', name: 'RunComfy' } };
	const nodes = [
		{ id: '1', name: 'Start', type: 'source', ...common },
		{ id: '2', name: 'Node', type: RUNCOMFY_TYPE, credentials, ...common },
	];
	const connections = { Start: { main: [[{ node: 'Node', type: 'main' as const, index: 0 }]] } };
	return async (): Promise<number> => {
		const { resultData } = (await engine.run({ nodes, connections })).data;
		if (resultData.error !== undefined) throw resultData.error;
		const output = resultData.runData.Node?.[0]?.data?.main?.[0] ?? [];
		if (output.length !== input.length) throw new Error(`${output.length} of ${input.length} items came out`);
		return output.reduce((bytes, { binary }) => bytes + (binary?.data?.bytes ?? 0), 0);
	};
}

type Runtime = Awaited<ReturnType<typeof loadCompiledExecution>>['systemRuntime'];

/** This node, compiled, on n8n's engine; or the build of another checkout. */
export function nodeOf(root?: string): Variant {
	return async (task) => {
		const { timeScale = 1, pollSeconds = 1, concurrency } = task;
		const { RunComfy } = await loadCompiled(root);
		const node = new RunComfy();
		if (timeScale !== 1) {
			const { executeRunComfy, systemRuntime } = await loadCompiledExecution(root);
			const runtime = faster(systemRuntime, timeScale);
			node.execute = async function () {
				return await executeRunComfy(this, runtime);
			};
		}
		const options = { maxConcurrency: concurrency, pollInterval: pollSeconds };
		return await prepareEngine(
			task,
			node,
			{ imageUrl: IMAGE_URL, prompt: '={{ $json.item }}', options },
			root,
		);
	};
}

/** All of the node's times shrink alike; the network is no faster than it is, so its timeouts stay what they are. */
function faster({ clock, callTimeouts, ...runtime }: Runtime, times: number): Runtime {
	const timeouts = Object.entries(callTimeouts).map(([name, ms]) => [name, ms * times]);
	return {
		...runtime,
		callTimeouts: Object.fromEntries(timeouts) as Runtime['callTimeouts'],
		clock: {
			...clock,
			now: () => clock.now() * times,
			sleep: async (ms, signal) => await clock.sleep(ms / times, signal),
		},
	};
}

/** Request → Get Result downloads what finished requests have made. */
export const nodeDownloads: Variant = async (task) => {
	const { RunComfy } = await loadCompiled();
	const operation = { resource: 'request', operation: 'getResult', downloadFiles: true };
	return await prepareEngine(task, new RunComfy(), { ...operation, requestId: '={{ $json.item }}' });
};
