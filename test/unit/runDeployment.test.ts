import type { IExecuteFunctions } from 'n8n-workflow';

import { Item } from '../../nodes/RunComfy/fields/item';
import { runDeployment } from '../../nodes/RunComfy/operations/deployment/run';
import type { OperationTools } from '../../nodes/RunComfy/operations/operation';

import { httpOf } from './fakeApi';
import { VirtualClock } from './virtualClock';

/** Reads an item of the operation, for a deployment with this graph and a node with these parameters. */
function readerOf(graph: object, parameters: Record<string, unknown>, allowLoopback = false) {
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
	const http = httpOf(async () => await Promise.reject(new Error('Nothing is sent')), new VirtualClock());
	const tools = { http, deployments, random: () => 0, deploymentFiles: { allowLoopback } };
	return async (itemIndex: number) =>
		await runDeployment.read(tools as unknown as OperationTools, new Item(context, itemIndex));
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
		const read = readerOf({ 3: node }, parameters);
		await read(0);
		const readsOfOne = reads;
		expect(readsOfOne).toBeGreaterThan(0);
		for (let itemIndex = 1; itemIndex < 1_000; itemIndex++) await read(itemIndex);
		expect(reads).toBe(readsOfOne);
	});

	it.each([
		['on this machine', true, undefined],
		[
			'elsewhere',
			false,
			'“Inputs → Image” points to this computer or a private network (127.0.0.1), which cannot be reached from the internet',
		],
	])(
		'judges the address of an input file by whether the API of deployments is %s',
		async (_, allowLoopback, problem) => {
			const graph = { 10: { class_type: 'LoadImage', inputs: { image: 'a.png' } } };
			const inputs = { value: { '10.image': 'https://127.0.0.1:9/a.png' } };
			const prepared = readerOf(graph, { inputMode: 'fields', inputs }, allowLoopback)(0);
			expect(
				await prepared.then(
					() => undefined,
					(error: Error) => error.message,
				),
			).toBe(problem);
		},
	);
});
