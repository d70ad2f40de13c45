import type { IExecuteFunctions } from 'n8n-workflow';

import { Item } from '../../nodes/RunComfy/fields/item';
import { runDeployment } from '../../nodes/RunComfy/operations/deployment/run';
import type { OperationTools } from '../../nodes/RunComfy/operations/operation';
import { itemSource } from '../../nodes/RunComfy/operations/submission';

import { httpOf, parameterAt } from './fakeApi';
import { VirtualClock } from './virtualClock';

/** What the operation has shown above the output. */
const hints: string[] = [];

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
		getNodeParameter: (name: string) => parameterAt(all, name),
		getInputData: () => [{ json: all.json ?? {} }],
	} as unknown as IExecuteFunctions;
	const http = httpOf(async () => await Promise.reject(new Error('Nothing is sent')), new VirtualClock());
	const tools = {
		...{
			http,
			query: async () => ({ deploymentId: 'd1', graph }),
			random: () => 0,
			deploymentFiles: { allowLoopback },
		},
		hint: (message: string) => void hints.push(message),
		comfyOrgApiKey: all.key,
	};
	const items = Array.from({ length: 1_000 }, (_, itemIndex) => new Item(context, itemIndex));
	return itemSource(runDeployment, tools as unknown as OperationTools, items, undefined).read;
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

	it('places the values of fields by node, whatever their names are', async () => {
		const graph = { '57:8': { inputs: JSON.parse('{"a.b": 1, "__proto__": 2}') as object } };
		const value = { '57:8.a.b': 3, '57:8.__proto__': 4 };
		const { buildInput } = await readerOf(graph, { inputMode: 'fields', inputs: { value } })(0);
		const inputs: unknown = JSON.parse('{"a.b": 3, "__proto__": 4}');
		expect(await buildInput()).toEqual({ overrides: { '57:8': { inputs } } });
	});

	/** The prompts as the sampler has them, and another input of the same name. */
	const PROMPTS = {
		...{ 6: { class_type: 'CLIPTextEncode', inputs: { text: 'a' } } },
		...{ 7: { class_type: 'CLIPTextEncode', inputs: { text: 'b' } } },
		'57:9': { class_type: 'SaveImage', inputs: { filename_prefix: 'ComfyUI' } },
		3: { class_type: 'KSampler', inputs: { positive: ['6', 0], negative: ['7', 0], steps: 20, cfg: 8 } },
	};
	const NOISE = { class_type: 'RandomNoise', inputs: { noise_seed: 1 } };
	const readItem = (json: object) =>
		readerOf('seed' in json ? { 1: NOISE, 2: NOISE } : PROMPTS, { inputMode: 'auto', json })(0);

	it.each<[string, object, Record<string, object>]>([
		['the ID of an input', { '6.text': 'x', customer: 7 }, { 6: { text: 'x' } }],
		[
			'the ID of a node',
			{ 6: { text: 'x' }, 3: { steps: '4', cfg: null } },
			{ 6: { text: 'x' }, 3: { steps: 4 } },
		],
		[
			'a node of the API format',
			{ '57:9': { inputs: { filename_prefix: 'x' } } },
			{ '57:9': { filename_prefix: 'x' } },
		],
		['a label', { 'Negative Prompt': '', positive_prompt: 'x' }, { 6: { text: 'x' }, 7: { text: '' } }],
		['a name', { STEPS: 5, filenamePrefix: 'x' }, { 3: { steps: 5 }, '57:9': { filename_prefix: 'x' } }],
		['one seed for all', { seed: 5 }, { 1: { noise_seed: 5 }, 2: { noise_seed: 5 } }],
		['prompt, which is the positive one', { prompt: 'x' }, { 6: { text: 'x' } }],
	])('takes from the item by %s', async (_, json, expected) => {
		const { buildInput } = await readItem(json);
		const overrides = Object.fromEntries(Object.entries(expected).map(([id, inputs]) => [id, { inputs }]));
		expect(await buildInput()).toEqual({ overrides });
	});

	it.each<[string, object, string]>([
		['nothing', {}, 'no field of the item names an input and has a value'],
		['no input', { customer: 7, text2: 'x' }, 'no field of the item names an input and has a value'],
		['an empty input', { prompt: null }, 'no field of the item names an input and has a value'],
		[
			'inputs of an empty row',
			{ prompt: '', steps: ' ' },
			'no field of the item names an input and has a value',
		],
		['an input that is not there', { '6.txt': 'x', prompt: 'y' }, '“6.txt” is no input'],
		['a node that is not there', { 99: { text: 'x' }, prompt: 'y' }, '“99.text” is no input'],
		['several inputs', { text: 'x' }, '“text” names several inputs: 6.text, 7.text'],
		['one input twice', { '6.text': 'x', prompt: 'y' }, 'two of its fields name the input 6.text'],
	])('refuses an item that names %s', async (_, json, problem) => {
		const error: unknown = await readItem(json).catch((reason: unknown) => reason);
		expect(error).toMatchObject({
			message: `“Specify Inputs” is “From Input Item”, but ${problem}`,
			advice: expect.stringContaining('The inputs are: Positive Prompt (6.text), Negative') as string,
		});
	});

	it('says that a workflow without seeds may return nothing, unless its files get a name', async () => {
		const hintsOf = async (graph: object, inputs: object) => {
			hints.length = 0;
			await readerOf(graph, { inputMode: 'fields', inputs: { value: inputs } })(0);
			return hints.join();
		};
		expect(await hintsOf(PROMPTS, {})).toContain('“Filename Prefix · SaveImage” (57:9.filename_prefix)');
		expect(await hintsOf(PROMPTS, { '57:9.filename_prefix': 'x' })).toBe('');
		expect(await hintsOf(SAMPLER, {})).toBe('');
	});

	it('sends the name of a file that is on the machine, which a file of the item with this name comes before', async () => {
		const graph = { 10: { class_type: 'LoadImage', inputs: { image: 'a.png' } } };
		const rules = { fileKind: 'image', choices: ['a.png', 'b.png'] };
		const reading = (image: string) => {
			const inputs = { value: { '10.image': image }, schema: [{ id: '10.image', rules }] };
			return readerOf(graph, { inputMode: 'fields', inputs })(0);
		};
		const { buildInput } = await reading('b.png');
		expect(await buildInput()).toEqual({ overrides: { 10: { inputs: { image: 'b.png' } } } });
		await expect(reading('c.png')).rejects.toMatchObject({ advice: 'On the machine are: a.png, b.png.' });
	});

	const KEY = { api_key_comfy_org: 'comfy-key' };

	it.each<[string, object, object]>([
		['a raw body as it is', { bodyJson: '{"prompt": "x", "n": 1}' }, { prompt: 'x', n: 1 }],
		[
			'the key to a raw one for a workflow',
			{ bodyJson: '{"overrides": {}}' },
			{ overrides: {}, extra_data: KEY },
		],
		[
			'the user’s own extra data',
			{ bodyJson: '{"workflow_api_json": {}, "extra_data": {"a": 1}}' },
			{ workflow_api_json: {}, extra_data: { ...KEY, a: 1 } },
		],
		[
			'the key to JSON',
			{ inputMode: 'json', overridesJson: '{}', options: { randomizeSeeds: false } },
			{ overrides: {}, extra_data: KEY },
		],
	])('sends %s', async (_, parameters, body) => {
		const { buildInput } = await readerOf(SAMPLER, { inputMode: 'body', key: 'comfy-key', ...parameters })(0);
		expect(await buildInput()).toEqual(body);
	});

	it.each([
		['http://n8n.example/x', undefined, '“Webhook URL” must begin with https://'],
		['https://10.0.0.1/x', undefined, '“Webhook URL” points to this computer or a private network'],
		['', undefined, '“Webhook URL” is not a complete web address'],
		['http://n8n.example/x', true, undefined],
		['', true, undefined],
	])(
		'checks the webhook URL “%s” unless it waits',
		async (webhookUrl, waitForCompletion = false, problem) => {
			const parameters = { inputMode: 'body', bodyJson: '{}', waitForCompletion, options: { webhookUrl } };
			const refusal = await refusalOf(readerOf(SAMPLER, parameters)(0));
			if (problem === undefined) expect(refusal).toBeUndefined();
			else expect(refusal).toContain(problem);
		},
	);
});
