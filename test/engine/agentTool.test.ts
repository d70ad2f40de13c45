import {
	NodeConnectionTypes,
	type IConnections,
	type IDataObject,
	type INodeType,
	type IRun,
} from 'n8n-workflow';

import { RunComfyApi } from '../../credentials/RunComfyApi.credentials';
import { RunComfy } from '../../nodes/RunComfy/RunComfy.node';
import { omitUndefined } from '../../nodes/RunComfy/util/values';
import { Sandbox, SANDBOX_TOKEN } from '../sandbox/sandbox';
import { RUNCOMFY_TYPE, workflowNode } from '../workflow';
import { Engine } from './engine';
import { loop, passThrough, source } from './fakeNodes';

/** The node as an AI agent's tool, on n8n's own way of calling a tool: every try has a run index of its own. */

/** n8n's name for the node as a tool. */
const TOOL_TYPE = `${RUNCOMFY_TYPE}Tool`;

interface Tool {
	invoke(args: unknown): Promise<string>;
}

/** An agent that makes the given calls. */
function agent(act: (call: (prompt: string) => Promise<string>) => Promise<unknown>): INodeType {
	return {
		description: {
			displayName: 'Agent',
			name: 'agent',
			group: ['transform'],
			version: 1,
			description: '',
			defaults: { name: 'Agent' },
			inputs: [NodeConnectionTypes.Main, { type: NodeConnectionTypes.AiTool }],
			outputs: [NodeConnectionTypes.Main],
			properties: [],
		},
		async execute() {
			const tools = (await this.getInputConnectionData(NodeConnectionTypes.AiTool, 0)) as Tool[];
			const [tool] = tools;
			if (tool === undefined) throw new Error('The agent has no tool');
			const call = async (prompt: string) =>
				await tool.invoke({ prompt }).catch((error: unknown) => `failed: ${String(error)}`);
			return [[{ json: { answers: await act(call) } as IDataObject }]];
		},
	};
}

/** As n8n turns a node into a tool. */
function asTool(node: RunComfy): INodeType {
	const description = { ...node.description, inputs: [], outputs: [NodeConnectionTypes.AiTool] };
	return Object.assign(Object.create(node) as INodeType, { description });
}

describe('An agent’s calls of the tool', () => {
	let sandbox: Sandbox;

	afterEach(async () => await sandbox.close());

	const run = async (
		act: Parameters<typeof agent>[0],
		options: {
			runMs: number;
			timeout: number;
			spendingLimit?: number;
			turns?: number;
			maxTries?: number;
		},
	): Promise<IRun> => {
		sandbox = await Sandbox.start({ pictures: 'plain', queueMs: 0, runMs: options.runMs });
		const engine = await Engine.create({
			nodes: {
				source: source([{ json: {} }]),
				loop: loop(options.turns ?? 1),
				passThrough,
				agent: agent(act),
				[TOOL_TYPE]: asTool(new RunComfy()),
			},
			credentialType: new RunComfyApi(),
			credential: { apiToken: SANDBOX_TOKEN, baseUrl: sandbox.url, platformBaseUrl: sandbox.url },
		});
		const { timeout, spendingLimit } = options;
		const tool = workflowNode('RunComfy', TOOL_TYPE, {
			parameters: {
				toolDescription: 'Puts a product into a scene',
				resource: 'image',
				operation: 'replaceBackground',
				imageUrl: 'https://example.com/product.png',
				prompt: "={{ $fromAI('prompt', 'The scene') }}",
				options: {
					pollInterval: 0.2,
					timeout,
					seed: '={{ Math.floor(Math.random() * 1000000) }}',
					...omitUndefined({ spendingLimit }),
				},
			},
			credentials: { runComfyApi: { id: '1', name: 'RunComfy' } },
			retryOnFail: options.maxTries !== 1,
			maxTries: 3,
			waitBetweenTries: 50,
		});
		const connections: IConnections = {
			Start: { main: [[{ node: 'Loop', type: 'main', index: 0 }]] },
			Loop: {
				main: [[{ node: 'End', type: 'main', index: 0 }], [{ node: 'Agent', type: 'main', index: 0 }]],
			},
			Agent: { main: [[{ node: 'Loop', type: 'main', index: 0 }]] },
			RunComfy: { ai_tool: [[{ node: 'Agent', type: 'ai_tool', index: 0 }]] },
		};
		const workflow = {
			nodes: [
				workflowNode('Start', 'source'),
				workflowNode('Loop', 'loop'),
				workflowNode('End', 'passThrough'),
				workflowNode('Agent', 'agent'),
				tool,
			],
			connections,
		};
		return await engine.run(workflow);
	};

	const prompts = () => sandbox.jobs.map(({ input }) => String(input.prompt)).sort();

	it('side by side: each is submitted once, though both time out and are retried', async () => {
		const result = await run(async (call) => await Promise.all([call('A'), call('B')]), {
			runMs: 2_500,
			timeout: 1,
		});
		expect(result.status).toBe('success');
		expect(prompts()).toEqual(['A', 'B']);
		const answers = JSON.stringify(result.data.resultData.runData.Agent?.[0]?.data?.main?.[0]?.[0]?.json);
		for (const { requestId } of sandbox.jobs) expect(answers).toContain(requestId);
	});

	it('side by side with the same arguments: one request, whose result both get', async () => {
		const result = await run(async (call) => await Promise.all([call('A'), call('A'), call('A')]), {
			runMs: 300,
			timeout: 30,
		});
		expect(prompts()).toEqual(['A']);
		const answers = JSON.stringify(result.data.resultData.runData.Agent?.[0]?.data?.main?.[0]?.[0]?.json);
		expect(answers.split(String(sandbox.jobs[0]?.requestId)).length - 1).toBeGreaterThanOrEqual(3);
	});

	it('side by side with the same arguments, and their request fails: all get its failure, and nothing is submitted again', async () => {
		await run(
			async (call) => {
				sandbox.faults.add({ job: 'failed', times: 1 });
				return await Promise.all([call('A'), call('A')]);
			},
			{ runMs: 300, timeout: 30, maxTries: 1 },
		);
		expect(prompts()).toEqual(['A']);
	});

	it('one after the other, A, B, A: a call that timed out is resumed when the agent makes it again', async () => {
		await run(async (call) => [await call('A'), await call('B'), await call('A')], {
			runMs: 60_000,
			timeout: 1,
		});
		expect(prompts()).toEqual(['A', 'B']);
	});

	it('the same call again after its success: the earlier result, however often', async () => {
		const result = await run(
			async (call) => [await call('A'), await call('B'), await call('A'), await call('A')],
			{
				runMs: 100,
				timeout: 30,
			},
		);
		expect(prompts()).toEqual(['A', 'B']);
		expect(result.status).toBe('success');
		const answers = JSON.stringify(result.data.resultData.runData.Agent?.[0]?.data?.main?.[0]?.[0]?.json);
		expect(answers).not.toContain('failed');
	});

	it('in another turn of a loop: a new request, because its expressions may read another photo', async () => {
		await run(async (call) => await call('A'), { runMs: 60_000, timeout: 1, turns: 2 });
		expect(prompts()).toEqual(['A', 'A']);
	});

	it('together stay within the spending limit', async () => {
		await run(async (call) => await Promise.all(['A', 'B', 'C', 'D', 'E'].map(call)), {
			runMs: 300,
			timeout: 30,
			spendingLimit: 0.13,
		});
		expect(prompts()).toHaveLength(2);
	});
});
