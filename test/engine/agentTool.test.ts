import {
	NodeConnectionTypes,
	type IConnections,
	type IDataObject,
	type INode,
	type INodeType,
} from 'n8n-workflow';

import type { RunComfy } from '../../nodes/RunComfy/RunComfy.node.js';
import type { SandboxOptions } from '../sandbox/sandbox';
import { RUNCOMFY_TYPE, workflowNode } from '../workflow';
import { IMAGE_URL, outputItems, TestEnvironment } from './testEnvironment';

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
	let env: TestEnvironment;

	/** @returns the agent's answers, as JSON. */
	const run = async (
		act: Parameters<typeof agent>[0],
		options: { timeout: number; spendingLimit?: number },
		{
			sandbox = {},
			turns = 1,
			maxTries = 3,
			...settings
		}: { sandbox?: SandboxOptions; turns?: number; maxTries?: number; onError?: INode['onError'] },
	): Promise<string> => {
		env = await TestEnvironment.open({
			items: [{ json: {} }],
			sandbox,
			loops: turns,
			nodes: (node) => ({ agent: agent(act), [TOOL_TYPE]: asTool(node) }),
		});
		const tool = workflowNode('RunComfy', TOOL_TYPE, {
			parameters: {
				toolDescription: 'Puts a product into a scene',
				resource: 'image',
				operation: 'replaceBackground',
				imageUrl: IMAGE_URL,
				prompt: "={{ $fromAI('prompt', 'The scene') }}",
				options: { pollInterval: 0.2, seed: '={{ Math.floor(Math.random() * 1000000) }}', ...options },
			},
			credentials: { runComfyApi: { id: '1', name: 'RunComfy' } },
			retryOnFail: maxTries > 1,
			maxTries,
			waitBetweenTries: 10,
			...settings,
		});
		const to = (node: string, type: 'main' | 'ai_tool' = 'main') => [{ node, type, index: 0 }];
		const connections: IConnections = {
			Start: { main: [to('Loop')] },
			Loop: { main: [to('End'), to('Agent')] },
			Agent: { main: [to('Loop')] },
			RunComfy: { ai_tool: [to('Agent', 'ai_tool')] },
		};
		const others = { Start: 'source', Loop: 'loop', End: 'passThrough', Agent: 'agent' };
		const nodes = [...Object.entries(others).map(([name, type]) => workflowNode(name, type)), tool];
		const result = await env.engine.run({ nodes, connections });
		expect(result.status).toBe('success');
		return JSON.stringify(outputItems(result, 'Agent')[0]?.json);
	};

	const prompts = () => env.sandbox.jobs.map(({ input }) => String(input.prompt)).sort();

	it('side by side: each is submitted once, though both time out and are retried', async () => {
		const act: Parameters<typeof agent>[0] = async (call) => await Promise.all([call('A'), call('B')]);
		const answers = await run(act, { timeout: 1 }, { sandbox: { runMs: 2_500 } });
		expect(prompts()).toEqual(['A', 'B']);
		for (const { requestId } of env.sandbox.jobs) expect(answers).toContain(requestId);
	});

	it('submit nothing where the tool’s results would go to an error output', async () => {
		const act: Parameters<typeof agent>[0] = async (call) => await call('A');
		await run(act, { timeout: 30 }, { onError: 'continueErrorOutput', maxTries: 1 });
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('side by side with the same arguments: one request, whose result all get', async () => {
		const answers = await run(
			async (call) => await Promise.all([call('A'), call('A'), call('A')]),
			{ timeout: 30 },
			{ sandbox: { runMs: 300 } },
		);
		expect(prompts()).toEqual(['A']);
		expect(answers.split(String(env.sandbox.jobs[0]?.requestId)).length - 1).toBeGreaterThanOrEqual(3);
	});

	it('side by side with the same arguments, and their request fails: all get its failure, and nothing is submitted again', async () => {
		const answers = await run(
			async (call) => {
				env.sandbox.faults.add({ job: 'failed', times: 1 });
				return await Promise.all([call('A'), call('A')]);
			},
			{ timeout: 30 },
			{ maxTries: 1, sandbox: { runMs: 300 } },
		);
		expect(prompts()).toEqual(['A']);
		expect(answers.match(/"failed: /g)).toHaveLength(2);
	});

	it('one after the other, A, B, A: a call that timed out is resumed when the agent makes it again', async () => {
		await run(
			async (call) => [await call('A'), await call('B'), await call('A')],
			{ timeout: 1 },
			{ sandbox: { runMs: 60_000 } },
		);
		expect(prompts()).toEqual(['A', 'B']);
	});

	it('the same call again after its success: the earlier result, however often', async () => {
		const answers = await run(
			async (call) => [await call('A'), await call('B'), await call('A'), await call('A')],
			{ timeout: 30 },
			{},
		);
		expect(prompts()).toEqual(['A', 'B']);
		expect(answers).not.toContain('failed');
	});

	it('in another turn of a loop: a new request, because its expressions may read another photo', async () => {
		await run(async (call) => await call('A'), { timeout: 1 }, { turns: 2, sandbox: { runMs: 60_000 } });
		expect(prompts()).toEqual(['A', 'A']);
	});

	it('together stay within the spending limit', async () => {
		await run(
			async (call) => await Promise.all(['A', 'B', 'C', 'D', 'E'].map(call)),
			{ timeout: 30, spendingLimit: 0.13 },
			{ sandbox: { runMs: 300 } },
		);
		expect(prompts()).toHaveLength(2);
	});
});
