import { readFileSync } from 'node:fs';
import path from 'node:path';

import type { INode } from 'n8n-workflow';

import { installN8n } from '../n8n/installation';
import { N8nInstance, type WorkflowDefinition } from '../n8n/instance';
import { Sandbox, SANDBOX_TOKEN, type SandboxOptions } from '../sandbox/sandbox';
import { buildWorkflow, workflowNode } from '../workflow';
import type { ObjectStorage } from './fakeServices';

/** Whole n8n and a sandbox, with a credential that joins them. */
export const ROOT = path.resolve(__dirname, '..', '..');
/** A cold installation of n8n takes minutes. */
export const INSTALL_TIMEOUT_MS = 15 * 60_000;

export interface N8nEnvironment {
	n8n: N8nInstance;
	sandbox: Sandbox;
	credential: { id: string; name: string };
}

export async function openN8nEnvironment(
	version: string,
	sandboxOptions: SandboxOptions = {},
): Promise<N8nEnvironment> {
	const installation = await installN8n(version, (line) => console.log(line));
	const sandbox = await Sandbox.start({ pictures: 'plain', queueMs: 0, runMs: 300, ...sandboxOptions });
	const n8n = await N8nInstance.start({ installation, root: ROOT });
	const credential = await n8n.createCredential(SANDBOX_TOKEN, sandbox.url);
	return { n8n, sandbox, credential };
}

export async function closeN8nEnvironment(env: N8nEnvironment | undefined): Promise<void> {
	await env?.n8n.close();
	await env?.sandbox.close();
}

/** The given number of items, and the node with these parameters, and defaults for the rest. */
export function workflow(
	{ credential }: N8nEnvironment,
	items: number,
	parameters: Record<string, unknown>,
	settings: Partial<INode> = {},
): WorkflowDefinition {
	const list = JSON.stringify(Array.from({ length: items }, (_, n) => ({ n })));
	return {
		name: `Test ${Math.random().toString(36).slice(2)}`,
		...buildWorkflow({
			start: [
				workflowNode('Start', 'n8n-nodes-base.manualTrigger'),
				workflowNode('List', 'n8n-nodes-base.set', {
					typeVersion: 3.4,
					parameters: { mode: 'raw', jsonOutput: `{"list": ${list}}` },
				}),
				workflowNode('Items', 'n8n-nodes-base.splitOut', {
					parameters: { fieldToSplitOut: 'list', options: {} },
				}),
			],
			parameters: {
				imageUrl: 'https://example.com/product.png',
				prompt: '=scene {{ $json.n }}.',
				...parameters,
				options: { pollInterval: 0.2, ...(parameters.options as object | undefined) },
			},
			credential,
			settings,
			endType: 'n8n-nodes-base.noOp',
		}),
	};
}

/** The example with an AI agent, started by hand; its chat model answers at this address. */
export async function agentExample(env: N8nEnvironment, modelUrl: string): Promise<WorkflowDefinition> {
	const { data: openAi } = await env.n8n.rest('POST', '/credentials', {
		name: 'OpenAI',
		type: 'openAiApi',
		data: { apiKey: 'none', url: modelUrl },
	});
	const definition = example(env, 'ai-agent-tool.json');
	for (const node of definition.nodes) {
		if (node.name === 'Chat')
			Object.assign(node, { type: 'n8n-nodes-base.manualTrigger', typeVersion: 1, parameters: {} });
		if (node.name === 'AI Agent')
			Object.assign(node.parameters, { promptType: 'define', text: 'Put my shoe on a beach' });
		if (node.name === 'Chat model')
			node.credentials = { openAiApi: { id: String(openAi.id), name: 'OpenAI' } };
	}
	return definition;
}

/** An example with its credentials put in. */
export function example({ credential }: N8nEnvironment, file: string): WorkflowDefinition {
	const definition = JSON.parse(
		readFileSync(path.join(ROOT, 'examples', file), 'utf8'),
	) as WorkflowDefinition;
	for (const { credentials } of definition.nodes) {
		if (credentials?.runComfyApi !== undefined) credentials.runComfyApi = credential;
	}
	return definition;
}

/** An example whose S3 credential leads to a storage on this machine, which the caller stops. */
export async function exampleWithStorage(
	env: N8nEnvironment,
	file: string,
	storage: ObjectStorage,
): Promise<WorkflowDefinition> {
	const { data } = await env.n8n.rest('POST', '/credentials', {
		name: 'S3',
		type: 's3',
		data: {
			endpoint: await storage.start(),
			region: 'us-east-1',
			accessKeyId: 'a',
			secretAccessKey: 'b',
			forcePathStyle: true,
			ignoreSSLIssues: false,
		},
	});
	const definition = example(env, file);
	for (const { credentials } of definition.nodes) {
		if (credentials?.s3 !== undefined) credentials.s3 = { id: String(data.id), name: 'S3' };
	}
	return definition;
}
