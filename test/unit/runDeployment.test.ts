import type { IExecuteFunctions } from 'n8n-workflow';

import type { Access } from '../../nodes/RunComfy/n8n/credential';
import { runDeployment } from '../../nodes/RunComfy/operations/deployment/run';
import type { OperationTools } from '../../nodes/RunComfy/operations/shared/operation';

/** What an operation gets, for a deployment with this graph and a node with these parameters. */
function toolsWith(
	graph: object,
	parameters: Record<string, unknown>,
	access: Partial<Access> = {},
): OperationTools {
	const all: Record<string, unknown> = {
		deploymentId: 'd1',
		waitForCompletion: true,
		downloadFiles: false,
		options: {},
		...parameters,
	};
	const context = {
		getNode: () => ({ parameters: all }),
		getNodeParameter: (name: string) => all[name],
		getInputData: () => [],
	} as unknown as IExecuteFunctions;
	const deployments = { get: async () => ({ deploymentId: 'd1', graph }) };
	return { context, access, deployments, random: () => 0 } as unknown as OperationTools;
}

describe('ComfyUI Deployment → Run, before anything is submitted', () => {
	it.each([
		['fields', { inputMode: 'fields', inputs: { value: { '3.steps': 4 } } }],
		['json', { inputMode: 'json', overridesJson: '{"3": {"inputs": {"steps": 4}}}' }],
	])('reads the graph once, however many items there are (%s)', async (_, parameters) => {
		let reads = 0;
		const node = {
			class_type: 'KSampler',
			get inputs() {
				reads++;
				return { seed: 1, steps: 20 };
			},
		};
		const tools = toolsWith({ 3: node }, parameters);
		await runDeployment.prepare(tools, 0);
		const readsOfOne = reads;
		expect(readsOfOne).toBeGreaterThan(0);
		for (let itemIndex = 1; itemIndex < 1_000; itemIndex++) await runDeployment.prepare(tools, itemIndex);
		expect(reads).toBe(readsOfOne);
	});

	it.each([
		['on this machine', { isLoopback: false, isPlatformLoopback: true }, undefined],
		[
			'elsewhere',
			{ isLoopback: true, isPlatformLoopback: false },
			'“Inputs → LoadImage → Image” points to this computer or a private network (127.0.0.1), which cannot be reached from the internet',
		],
	])(
		'judges the address of an input file by whether the API of deployments is %s',
		async (_, access, problem) => {
			const graph = { 10: { class_type: 'LoadImage', inputs: { image: 'a.png' } } };
			const inputs = { value: { '10.image': 'https://127.0.0.1:9/a.png' } };
			const prepared = runDeployment.prepare(toolsWith(graph, { inputMode: 'fields', inputs }, access), 0);
			expect(
				await prepared.then(
					() => undefined,
					(error: Error) => error.message,
				),
			).toBe(problem);
		},
	);
});
