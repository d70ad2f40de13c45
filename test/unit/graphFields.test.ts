import { readGraph } from '../../nodes/RunComfy/deployments/graph';
import { readGraphFields } from '../../nodes/RunComfy/deployments/graphFields';
import { readObjectInfo } from '../../nodes/RunComfy/deployments/objectInfo';
import {
	readSavedFields,
	toDeploymentMapperField,
	withSavedRules,
} from '../../nodes/RunComfy/deployments/savedRules';
import { cpuMs } from './cpuMs';

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
			[{ name: '6.text', label: 'Positive Prompt', kind: 'text', default: 'a cat' }],
		],
		[
			'connections are none',
			{ 6: node('X', { clip: ['11', 0], model: ['57:8', 1], text: 'x' }) },
			[{ name: '6.text' }],
		],
		['a missing title: the class', { 6: node('Lora', { on_top: 2 }) }, [{ label: 'On Top · Lora' }]],
		['an empty title: the class', { 6: node('Lora', { on_top: 2 }, ' ') }, [{ label: 'On Top · Lora' }]],
		['a title that is no text', { 6: node('Lora', { on_top: 2 }, 7) }, [{ label: 'On Top · Lora' }]],
		[
			'neither title nor class',
			{ 6: { inputs: { on_top: 2 } } },
			[{ label: 'On Top · Node 6', kind: 'number' }],
		],
		[
			'ids of subgraphs',
			{ '57:8': node('RandomNoise', { noise_seed: 5 }) },
			[{ name: '57:8.noise_seed', kind: 'integer' }],
		],
		['dots in the name', { 6: node('X', { 'a.b.c': 1 }) }, [{ name: '6.a.b.c', label: 'A B C · X' }]],
		['a numeric string stays a text', { 6: node('X', { width: '512' }) }, [{ kind: 'text', default: '512' }]],
		['null accepts anything', { 6: node('X', { mask: null }) }, [{ kind: 'any' }]],
		['true', { 6: node('X', { on: true }) }, [{ kind: 'boolean', default: true }]],
		[
			'a nested list',
			{
				6: node('X', {
					points: [
						[1, 2],
						[3, 4],
					],
				}),
			},
			[{ kind: 'array' }],
		],
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
			'a loader of Video Helper Suite',
			{ 6: node('VHS_LoadVideo', { video: 'a.mp4' }) },
			[{ kind: 'file', fileKind: 'video' }],
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
			'a name of objects',
			{ 6: node('constructor', { __proto__x: 1, constructor: 'y' }) },
			[{ name: '6.__proto__x' }, { name: '6.constructor' }],
		],
	])('%s', (_name, graph, expected) => {
		const fields = fieldsOf(graph);
		expect(fields).toHaveLength(expected.length);
		for (const [index, part] of expected.entries()) expect(fields[index]).toMatchObject(part);
	});

	it.each([
		['as many settings as fit in fifteen', 4, 15],
		['all seeds, however many there are', 20, 22],
	])('shows %s, and hides the rest of 300 nodes', (_, samplers, count) => {
		const graph = Object.fromEntries([
			...Array.from({ length: 280 }, (_v, n) => [`${n + 1}`, node('Unknown', { a: n, b: 'x', on: true })]),
			...Array.from({ length: samplers }, (_v, n) => [
				`${n + 301}`,
				node('KSampler', { seed: n, steps: 20, cfg: 8, scheduler: 'x' }),
			]),
			['400', node('CLIPTextEncode', { text: 'a cat' })],
			['401', node('LoadImage', { image: 'a.png' })],
		]);
		const fields = readGraphFields(graph);
		expect(fields).toHaveLength(280 * 3 + samplers * 4 + 2);
		const shown = fields.filter(({ isHidden }) => isHidden !== true).map(({ name }) => name);
		expect(shown).toHaveLength(count);
		expect(shown.slice(0, 3)).toEqual(['401.image', '400.text', '301.seed']);
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
		['old choices', [[1, 2]], { kind: 'choice', choices: [1, 2] }],
		['choices without the literal', [['euler', 2]], { kind: 'choice', choices: [1, 'euler', 2] }],
		[
			'choices that are described further',
			[[1, ['mp4', ['crf']], { content: 'a.safetensors' }, { name: 'x' }]],
			{ kind: 'choice', choices: [1, 'mp4', 'a.safetensors'] },
		],
		[
			'choices that bring inputs of their own',
			['COMFY_DYNAMICCOMBO_V3', { options: [{ key: 1, inputs: {} }, { key: 'b' }] }],
			{ kind: 'choice', choices: [1, 'b'] },
		],
		[
			'new choices',
			['COMBO', { options: ['a', 1, true, null, {}] }],
			{ kind: 'choice', choices: ['a', 1, true] },
		],
		['no choices: the literal', [[]], { kind: 'number' }],
		['COMBO without options', ['COMBO'], { kind: 'number' }],
		['another type: the literal', ['*', {}], { kind: 'number' }],
		[
			'a flag for images, and the files on the machine',
			[['a.png'], { image_upload: true }],
			{ kind: 'file', fileKind: 'image', choices: ['a.png'] },
		],
		['a flag for moving images', [[], { animated_image_upload: true }], { kind: 'file', fileKind: 'image' }],
		['a flag for any file', [[], { file_upload: true }], { kind: 'file', fileKind: 'file' }],
		[
			'a flag for videos',
			['COMBO', { options: [], video_upload: true }],
			{ kind: 'file', fileKind: 'video' },
		],
		['a flag for audio', ['STRING', { audio_upload: true }], { kind: 'file', fileKind: 'audio' }],
		['rules that are none', ['INT', 'x'], { kind: 'integer' }],
		['a definition that is none', 'INT', { kind: 'number' }],
	])('%s', (_name, definition, expected) => expect(sampler(definition)).toMatchObject(expected));

	it.each<[string, unknown, unknown, Record<string, unknown>]>([
		['a text for a number', ['INT', {}], '%seed%', { kind: 'text', default: '%seed%' }],
		['a text for a switch', ['BOOLEAN', {}], 'enable', { kind: 'text', default: 'enable' }],
		['a number for a text', ['STRING', {}], 5, { kind: 'number', default: 5 }],
		['a switch for choices', [['a', 'b']], true, { kind: 'choice', choices: [true, 'a', 'b'] }],
		['a switch for a switch', ['BOOLEAN', {}], true, { kind: 'boolean', default: true }],
		['a text for a text', ['STRING', { multiline: true }], 'x', { kind: 'text', default: 'x' }],
		['null for a number', ['INT', {}], null, { kind: 'integer' }],
	])('shows a literal that does not fit as what it is: %s', (_name, definition, value, expected) =>
		expect(sampler(definition, value)).toMatchObject(expected),
	);

	it('reads the inputs that a choice brings, at any depth', () => {
		const inner = [
			'COMFY_DYNAMICCOMBO_V3',
			{ options: [{ key: 'x', inputs: { optional: { n: ['INT', { max: 9 }] } } }] },
		];
		const options = [
			null,
			{ key: 'off' },
			{ key: 'on', inputs: { required: { seed: ['INT', {}], by: inner } } },
		];
		const graph = { 3: node('S', { mode: 'on', 'mode.seed': 5, 'mode.by': 'x', 'mode.by.n': 1 }) };
		expect(fieldsOf(graph, info('S', { mode: ['COMFY_DYNAMICCOMBO_V3', { options }] }))).toMatchObject([
			{ name: '3.mode.seed', label: 'Seed', isSeed: true },
			{ name: '3.mode', kind: 'choice', choices: ['off', 'on'] },
			{ name: '3.mode.by', kind: 'choice', choices: ['x'] },
			{ name: '3.mode.by.n', kind: 'integer', maximum: 9 },
		]);
	});

	it('reads optional inputs, and takes the value that is deployed for the default', () => {
		const objectInfo = info('S', {}, { steps: ['INT', { default: 20 }] });
		expect(fieldsOf({ 3: node('S', { steps: 25 }) }, objectInfo)[0]).toMatchObject({
			kind: 'integer',
			default: 25,
		});
	});

	it('invents no bounds for a seed', () => {
		expect(sampler(['INT'], 5, 'seed')).toEqual({
			...{ name: '3.seed', label: 'Seed', required: false },
			...{ kind: 'integer', default: 5, isSeed: true },
		});
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
		const from = cpuMs();
		expect([...readObjectInfo(many, ['Class7', 'Class7', 'Unknown', 'constructor']).keys()]).toEqual([
			'Class7',
		]);
		expect(cpuMs() - from).toBeLessThan(50);
	});
});

describe('The fields in the mapper, and what a run reads back from them', () => {
	it('carries kind, bounds, file kind, default, and that an input is a seed', () => {
		const graph = {
			3: node('KSampler', { seed: 5, sampler_name: 'euler' }),
			10: node('X', { photo: 'a', chance: 1, list: [1, 2, 3], lora: { content: 'b' } }),
		};
		const objectInfo = {
			...info('KSampler', { seed: ['INT', { min: 0, max: 99 }], sampler_name: [['euler', 'heun']] }),
			...info('X', {
				photo: [['a', 'b'], { image_upload: true }],
				lora: [[{ content: 'b' }]],
				chance: ['INT', { control_after_generate: true }],
			}),
		};
		const saved = fieldsOf(graph, objectInfo).map(toDeploymentMapperField);
		expect(saved).toMatchObject([
			{ id: '10.photo', type: 'string', defaultValue: 'a', options: undefined },
			{ id: '3.seed', displayName: 'Seed · KSampler', type: 'number', defaultValue: undefined },
			{ id: '10.chance', displayName: 'Seed · X', defaultValue: undefined },
			{ id: '3.sampler_name', type: 'options', defaultValue: 'euler' },
			{ id: '10.list', type: 'array', defaultValue: JSON.stringify([1, 2, 3], null, 2), removed: true },
			{ id: '10.lora', type: 'options' },
		]);
		const rules = readSavedFields(JSON.parse(JSON.stringify(saved)));
		expect(rules.get('3.sampler_name')?.defaultValue).toBe('euler');
		const read = readGraphFields(graph).map((field) => withSavedRules(field, rules.get(field.name)));
		expect(Object.fromEntries(read.map(({ name, ...field }) => [name, field]))).toMatchObject({
			'3.seed': { kind: 'integer', minimum: 0, maximum: 99, isSeed: true },
			'10.chance': { kind: 'integer', isSeed: true },
			'3.sampler_name': { kind: 'text' },
			'10.photo': { kind: 'file', fileKind: 'image', choices: ['a', 'b'] },
			'10.lora': { kind: 'any' },
		});
	});

	it.each([[undefined], [null], ['x'], [[null, 7, {}, { id: 5, rules: {} }]]])(
		'reads nothing saved from %j',
		(schema) => expect(readSavedFields(schema).size).toBe(0),
	);

	it('reads only rules that are what they should be', () => {
		const rules = { kind: 'object', minimum: 'x', maximum: Infinity, fileKind: 7, isSeed: 1, choices: 'x' };
		for (const given of [rules, 'x', undefined])
			expect(readSavedFields([{ id: 'a', rules: given }]).get('a')).toEqual({});
	});
});

it('leaves out bounds that are none, and defaults that are not exact', () => {
	const objectInfo = info('S', { value: ['INT', { min: 'x', max: null }] });
	expect(fieldsOf({ 3: node('S', { value: 2 ** 63 }) }, objectInfo)).toEqual([
		{ name: '3.value', label: 'Value · S', required: false, kind: 'integer' },
	]);
});
