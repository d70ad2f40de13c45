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

const SAMPLER = { 3: { class_type: 'KSampler', inputs: { seed: 1, steps: 20 } } };

/** The message with which an item is refused. */
async function refusalOf(reading: Promise<unknown>): Promise<string | undefined> {
	return await reading.then(
		() => undefined,
		(error: Error) => error.message,
	);
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
			const read = readerOf(graph, { inputMode: 'fields', inputs }, allowLoopback);
			expect(await refusalOf(read(0))).toBe(problem);
		},
	);

	it.each<[string, unknown, string]>([
		['a text as a number', { '3.steps': 'many' }, '“Inputs → Steps” must be a number'],
		[
			'an inexact number',
			{ '3.seed': '18446744073709551615' },
			'“Inputs → Seed” must not be beyond 9007199254740991',
		],
		['an unknown input', { '99.text': 'x' }, '“Inputs → 99.text” is no input of the workflow'],
		['a text', 'text', '“Inputs” must be filled in'],
		['a list', ['a list'], '“Inputs” must be filled in'],
		['a number', 5, '“Inputs” must be filled in'],
	])('refuses %s in fields', async (_, value, message) => {
		const inputs = { mappingMode: 'defineBelow', value };
		expect(await refusalOf(readerOf(SAMPLER, { inputMode: 'fields', inputs })(0))).toContain(message);
	});

	const DEEP = `{"3": {"inputs": {"x": ${'['.repeat(9_000)}${']'.repeat(9_000)}}}}`;

	it.each([
		['overrides in overrides', '{"overrides": {"6": {}}}', '” must hold node IDs, not the key “overrides”'],
		['what is no JSON', 'x', '” must be a JSON object'],
		[
			'a number that loses digits',
			'{"3": {"inputs": {"seed": 18446744073709551615}}}',
			' → 3 → inputs → seed”',
		],
		['a text that is nested too deeply', DEEP, '”'],
		['a node that is null', '{"3": null}', ' → 3” must be an object such as {"inputs": {"text":'],
		['a node that is a list', '{"3": []}', ' → 3” must be an object such as {"inputs": {"text":'],
		['inputs that are null', '{"3": {"inputs": null}}', ' → 3 → inputs” must be an object such as {"text":'],
		['inputs that are a list', '{"6": {}, "3": {"inputs": [7]}}', ' → 3 → inputs” must be an object'],
	])('refuses %s in JSON, which RunComfy would put into the workflow', async (_, overridesJson, message) => {
		const read = readerOf(SAMPLER, { inputMode: 'json', overridesJson });
		expect(await refusalOf(read(0))).toContain(`“Overrides (JSON)${message}`);
	});

	it.each<[string, object, Record<string, { inputs: object }>]>([
		['fields', {}, {}],
		[
			'JSON',
			{ inputMode: 'json', overridesJson: '{"3": {"inputs": {"steps": 4}}}' },
			{ 3: { inputs: { steps: 4 } } },
		],
	])('adds a random seed to %s, and none when Randomize Seeds is off', async (_, parameters, written) => {
		const sentWith = async (options: object) => {
			const all = { inputMode: 'fields', inputs: { value: {} }, ...parameters, options };
			const { seeds, buildInput } = await readerOf(SAMPLER, all)(0);
			return [seeds, await buildInput()];
		};
		const withSeed = { 3: { inputs: { ...written[3]?.inputs, seed: 0 } } };
		expect(await sentWith({})).toEqual([{ '3.seed': 0 }, { overrides: withSeed }]);
		expect(await sentWith({ randomizeSeeds: false })).toEqual([{}, { overrides: written }]);
	});

	it.each([
		['keeps the user’s own', { value: { '3.seed': 7 } }, 7],
		['takes the least of the bounds that the editor saved', { minimum: 5, maximum: 7 }, 5],
		['takes whole ones, whatever bounds are saved', { minimum: 2.5, maximum: 4.5 }, 3],
	])('of the seeds, it %s', async (_, given, seed) => {
		const schema = [{ id: '3.seed', rules: { kind: 'integer', ...given } }];
		const inputs = { value: {}, schema, ...('value' in given ? given : {}) };
		const { seeds } = await readerOf(SAMPLER, { inputMode: 'fields', inputs })(0);
		expect(seeds).toEqual({ '3.seed': seed });
	});
});
