import { readGraph, toOverrides } from '../../nodes/RunComfy/deployments/graph';
import { readGraphFields } from '../../nodes/RunComfy/deployments/graphFields';
import { readObjectInfo } from '../../nodes/RunComfy/deployments/objectInfo';
import {
	readSavedRules,
	toDeploymentMapperField,
	withSavedRules,
} from '../../nodes/RunComfy/deployments/savedRules';
import { readInputValues } from '../../nodes/RunComfy/models/inputValues';

const node = (class_type: unknown, inputs: unknown, title?: unknown) => ({
	class_type,
	inputs,
	...(title === undefined ? {} : { _meta: { title } }),
});
const fieldsOf = (graph: Record<string, unknown>, objectInfo: unknown = undefined) =>
	readGraphFields(
		graph,
		readObjectInfo(
			objectInfo,
			readGraph(graph).flatMap(({ className }) => className ?? []),
		),
	);
const info = (
	className: string,
	required: Record<string, unknown>,
	optional: Record<string, unknown> = {},
) => ({
	[className]: { input: { required, optional } },
});
const MAX = Number.MAX_SAFE_INTEGER;

describe('A graph as fields, without object_info', () => {
	it.each<[string, Record<string, unknown>, Array<Record<string, unknown>>]>([
		[
			'a literal',
			{ 6: node('CLIPTextEncode', { text: 'a cat' }, 'Positive') },
			[{ name: '6.text', label: 'Positive → Text', kind: 'text', default: 'a cat' }],
		],
		[
			'connections are none',
			{ 6: node('X', { clip: ['11', 0], model: ['57:8', 1], text: 'x' }) },
			[{ name: '6.text' }],
		],
		['a missing title: the class', { 6: node('KSampler', { steps: 20 }) }, [{ label: 'KSampler → Steps' }]],
		[
			'neither title nor class',
			{ 6: { inputs: { steps: 20 } } },
			[{ label: 'Node 6 → Steps', kind: 'number' }],
		],
		[
			'ids of subgraphs',
			{ '57:8': node('RandomNoise', { noise_seed: 5 }) },
			[{ name: '57:8.noise_seed', kind: 'integer' }],
		],
		['dots in the name', { 6: node('X', { 'a.b.c': 1 }) }, [{ name: '6.a.b.c', label: 'X → A.b.c' }]],
		['a numeric string stays a text', { 6: node('X', { width: '512' }) }, [{ kind: 'text', default: '512' }]],
		['null accepts anything', { 6: node('X', { mask: null }) }, [{ kind: 'any' }]],
		['true', { 6: node('X', { on: true }) }, [{ kind: 'boolean', default: true }]],
		['a list of two numbers', { 6: node('X', { range: [1, 2] }) }, [{ kind: 'array' }]],
		['an object', { 6: node('X', { options: { a: [1] } }) }, [{ kind: 'object' }]],
		['a whole number may be a FLOAT', { 6: node('X', { cfg: 8 }) }, [{ kind: 'number', default: 8 }]],
		[
			'a loader of a file',
			{ 6: node('LoadImage', { image: 'example.png', upload: 'image' }) },
			[
				{ name: '6.image', kind: 'file', fileKind: 'image' },
				{ name: '6.upload', kind: 'text' },
			],
		],
		[
			'a loader of a model takes no file',
			{
				6: node('LoraLoader', { lora_name: 'a.safetensors' }),
				7: node('CheckpointLoaderSimple', { ckpt_name: 'b.safetensors' }),
			},
			[{ kind: 'text' }, { kind: 'text' }],
		],
		['no node', { 6: null, 7: 'x', 8: [], 9: { inputs: 'x' }, 10: {} }, []],
		[
			'names of objects',
			JSON.parse('{"__proto__": {"class_type": "constructor", "inputs": {"__proto__": "v", "toString": 1}}}'),
			[{ name: '__proto__.__proto__' }, { name: '__proto__.toString' }],
		],
	])('%s', (_name, graph, expected) => {
		const fields = fieldsOf(graph);
		expect(fields).toHaveLength(expected.length);
		for (const [index, part] of expected.entries()) expect(fields[index]).toMatchObject(part);
	});

	it('shows what people change, at most fifteen, and hides the rest of 300 nodes', () => {
		const graph = Object.fromEntries([
			...Array.from({ length: 280 }, (_, n) => [`${n + 1}`, node('Unknown', { a: n, b: 'x', on: true })]),
			...Array.from({ length: 20 }, (_, n) => [
				`${n + 301}`,
				node('KSampler', { seed: n, steps: 20, scheduler: 'x' }),
			]),
			['400', node('CLIPTextEncode', { text: 'a cat' })],
			['401', node('LoadImage', { image: 'a.png' })],
		]);
		const fields = readGraphFields(graph);
		expect(fields).toHaveLength(280 * 3 + 20 * 3 + 2);
		const shown = fields.filter(({ isHidden }) => isHidden !== true).map(({ name }) => name);
		expect(shown).toHaveLength(15);
		// In the graph's order, not by importance.
		expect(shown.slice(-2)).toEqual(['400.text', '401.image']);
		expect(shown[0]).toBe('301.seed');
	});

	it('shows something where it knows nothing, but no switch, which would be sent as off', () => {
		const fields = readGraphFields({ 1: node('Odd', { one: 'x', two: 5, on: true }) });
		expect(fields.map(({ name, isHidden }) => [name, isHidden === true])).toEqual([
			['1.one', false],
			['1.two', false],
			['1.on', true],
		]);
		expect(fields.map(toDeploymentMapperField)[2]).toMatchObject({ removed: true, defaultValue: true });
	});
});

describe('A graph as fields, with object_info', () => {
	const sampler = (definition: unknown, value: unknown = 1, name = 'x') =>
		fieldsOf({ 3: node('S', { [name]: value }) }, info('S', { [name]: definition }))[0];

	it.each<[string, unknown, Record<string, unknown>]>([
		['INT', ['INT', { min: 1, max: 100 }], { kind: 'integer', minimum: 1, maximum: 100 }],
		['INT beyond 2^53', ['INT', { min: 0, max: 2 ** 64 }], { kind: 'integer', minimum: 0, maximum: MAX }],
		['INT below -2^53', ['INT', { min: -(2 ** 64) }], { minimum: -MAX }],
		['FLOAT', ['FLOAT', { min: 0, max: 1, step: 0.01 }], { kind: 'number', minimum: 0, maximum: 1 }],
		['BOOLEAN', ['BOOLEAN', {}], { kind: 'boolean' }],
		['STRING', ['STRING', { multiline: true }], { kind: 'text' }],
		['old choices', [['euler', 'heun']], { kind: 'choice', choices: ['euler', 'heun'] }],
		[
			'new choices',
			['COMBO', { options: ['a', 1, true, null, {}] }],
			{ kind: 'choice', choices: ['a', 1, true] },
		],
		['no choices: the literal', [[]], { kind: 'number' }],
		['COMBO without options', ['COMBO'], { kind: 'number' }],
		['another type: the literal', ['*', {}], { kind: 'number' }],
		['a flag for images', [['a.png'], { image_upload: true }], { kind: 'file', fileKind: 'image' }],
		[
			'a flag for videos',
			['COMBO', { options: [], video_upload: true }],
			{ kind: 'file', fileKind: 'video' },
		],
		['a flag for audio', ['STRING', { audio_upload: true }], { kind: 'file', fileKind: 'audio' }],
		['rules that are none', ['INT', 'x'], { kind: 'integer' }],
		['a definition that is none', 'INT', { kind: 'number' }],
	])('%s', (_name, definition, expected) => expect(sampler(definition)).toMatchObject(expected));

	it('reads optional inputs, and takes the value that is deployed for the default', () => {
		const objectInfo = info('S', {}, { steps: ['INT', { default: 20 }] });
		expect(fieldsOf({ 3: node('S', { steps: 25 }) }, objectInfo)[0]).toMatchObject({
			kind: 'integer',
			default: 25,
		});
	});

	it('bounds a seed without bounds to what is exact', () => {
		expect(sampler(['INT'], 5, 'seed')).toMatchObject({ kind: 'integer', maximum: MAX });
	});

	it.each<[string, unknown]>([
		['a text', '<html>'],
		['null', null],
		['a list', []],
		['classes that are none', { S: null }],
		['inputs that are none', { S: { input: { required: 'x', optional: 7 } } }],
		['another class', { T: { input: {} } }],
	])('falls back to the literal for %s', (_name, objectInfo) => {
		expect(fieldsOf({ 3: node('S', { steps: 25 }) }, objectInfo)).toMatchObject([
			{ kind: 'number', default: 25 },
		]);
	});

	it('cuts 5 MB of it to the classes of the graph, in little time', () => {
		const many = Object.fromEntries(
			Array.from({ length: 3_000 }, (_, n) => [
				`Class${n}`,
				{ input: { required: { model: [Array.from({ length: 100 }, (_v, i) => `model-${n}-${i}.pt`)] } } },
			]),
		);
		expect(JSON.stringify(many).length).toBeGreaterThan(5_000_000);
		const from = performance.now();
		expect([...readObjectInfo(many, ['Class7', 'Class7', 'Unknown', 'constructor']).keys()]).toEqual([
			'Class7',
		]);
		expect(performance.now() - from).toBeLessThan(500);
	});
});

describe('The fields in the mapper, and what a run reads back from them', () => {
	it('carries kind, bounds, and file kind', () => {
		const graph = { 3: node('KSampler', { seed: 5, sampler_name: 'euler' }), 10: node('X', { photo: 'a' }) };
		const objectInfo = {
			...info('KSampler', { seed: ['INT', { min: 0, max: 99 }], sampler_name: [['euler', 'heun']] }),
			...info('X', { photo: ['STRING', { image_upload: true }] }),
		};
		const saved = fieldsOf(graph, objectInfo).map(toDeploymentMapperField);
		expect(saved).toMatchObject([
			{
				id: '3.seed',
				displayName: 'KSampler → Seed (default random, from 0 to 99)',
				type: 'number',
				required: false,
			},
			{ id: '3.sampler_name', type: 'options', options: [{ value: 'euler' }, { value: 'heun' }] },
			{ id: '10.photo', type: 'string' },
		]);
		const rules = readSavedRules(JSON.parse(JSON.stringify(saved)));
		const read = readGraphFields(graph).map((field) => withSavedRules(field, rules.get(field.name)));
		expect(read).toMatchObject([
			{ kind: 'integer', minimum: 0, maximum: 99 },
			{ kind: 'text' },
			{ kind: 'file', fileKind: 'image' },
		]);
	});

	it.each([[undefined], [null], ['x'], [[null, 7, {}, { id: 5, rules: {} }, { id: 'a', rules: 'x' }]]])(
		'reads no rules from %j',
		(schema) => expect(readSavedRules(schema).size).toBe(0),
	);

	it('carries choices of several types, which are sent as they were chosen, whatever the type of the literal', () => {
		const graph = { 1: node('Resize', { size: 512, edge: 'auto', mode: 'a' }) };
		const edge = ['COMBO', { options: ['auto', 512] }];
		const objectInfo = info('Resize', { size: [[512, 1024, 'auto']], edge, mode: [['a', 'b']] });
		const saved = fieldsOf(graph, objectInfo).map(toDeploymentMapperField);
		const rules = readSavedRules(JSON.parse(JSON.stringify(saved)));
		const fields = readGraphFields(graph).map((field) => withSavedRules(field, rules.get(field.name)));
		const chosen = { '1.size': 'auto', '1.edge': 512, '1.mode': 'b' };
		expect(readInputValues(fields, chosen).input).toEqual(chosen);
		expect(rules.get('1.mode')).toEqual({});
	});

	it('reads only rules that are what they should be', () => {
		const rules = { kind: 'object', minimum: 'x', maximum: Infinity, fileKind: 7 };
		expect(readSavedRules([{ id: 'a', rules }]).get('a')).toEqual({});
	});
});

it('leaves out bounds that are none, and defaults that are not exact', () => {
	const objectInfo = info('S', { value: ['INT', { min: 'x', max: null }] });
	expect(fieldsOf({ 3: node('S', { value: 2 ** 63 }) }, objectInfo)).toEqual([
		{ name: '3.value', label: 'S → Value', required: false, kind: 'integer' },
	]);
});

describe('toOverrides', () => {
	it('takes thousands of inputs of one node', () => {
		const values = Array.from({ length: 50_000 }, (_, n) => ({ nodeId: '1', name: `n${n}`, value: n }));
		expect(JSON.stringify(toOverrides(values))).toContain('"n49999":49999');
	}, 3_000);

	it('groups values by node, whatever their names are', () => {
		expect(
			toOverrides([
				{ nodeId: '57:8', name: 'a.b', value: 1 },
				{ nodeId: '6', name: 'text', value: '' },
				{ nodeId: '57:8', name: '__proto__', value: 2 },
			]),
		).toEqual(JSON.parse('{"57:8": {"inputs": {"a.b": 1, "__proto__": 2}}, "6": {"inputs": {"text": ""}}}'));
	});
});
