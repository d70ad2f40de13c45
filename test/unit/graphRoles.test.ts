import { readGraphFields } from '../../nodes/RunComfy/deployments/graphFields';
import { cpuMs } from './cpuMs';

/** A node; an input such as `@6` is connected to node 6. */
const node = (class_type: string, given: Record<string, unknown>, title = class_type) => {
	const inputs = Object.entries(given).map(([name, value]) => {
		const isLink = typeof value === 'string' && value.startsWith('@');
		return [name, isLink ? [value.slice(1), 0] : value];
	});
	return { class_type, inputs: Object.fromEntries(inputs) as object, _meta: { title } };
};
type Graph = Record<string, ReturnType<typeof node>>;

/** The labels of the fields that are shown, by the ID of the input, in their order. */
const shownOf = (graph: Graph) =>
	readGraphFields(graph)
		.filter(({ isHidden }) => isHidden !== true)
		.map(({ name, label }) => `${name}: ${label}`);

const ENCODE = 'CLIP Text Encode (Prompt)';
const encode = (text: string) => node('CLIPTextEncode', { text, clip: '@4' }, ENCODE);
const sampler = (more: object = {}) =>
	node('KSampler', { positive: '@6', negative: '@7', model: '@4', ...more });

describe('What a text is for', () => {
	it.each<[string, Graph, string[]]>([
		[
			'by the sampler’s inputs, the positive first',
			{ 7: encode('blurry'), 6: encode('a cat'), 3: sampler() },
			['6.text: Positive Prompt', '7.text: Negative Prompt'],
		],
		[
			'through what changes a conditioning',
			{
				7: encode('blurry'),
				8: encode('a cat'),
				6: node('FluxGuidance', { guidance: 3.5, conditioning: '@9' }),
				9: node('ConditioningCombine', { conditioning_1: '@8', conditioning_2: '@8' }),
				3: sampler(),
			},
			['8.text: Positive Prompt', '7.text: Negative Prompt', '6.guidance: Guidance'],
		],
		[
			'through what changes both conditionings',
			{
				1: encode('a cat'),
				2: encode('blurry'),
				6: node('ControlNetApplyAdvanced', { positive: '@1', negative: '@2', image: '@5' }),
				3: node('KSampler', { positive: '@6', negative: '@6' }),
			},
			['1.text: Positive Prompt', '2.text: Negative Prompt'],
		],
		[
			'of a negative that is made of the positive',
			{ 6: encode('a cat'), 7: node('ConditioningZeroOut', { conditioning: '@6' }), 3: sampler() },
			['6.text: Positive Prompt'],
		],
		[
			'of a guider without a negative',
			{ 6: encode('a cat'), 22: node('BasicGuider', { model: '@4', conditioning: '@6' }) },
			['6.text: Prompt'],
		],
		[
			'of value nodes, through a switch and a node that joins texts',
			{
				1: node('PrimitiveStringMultiline', { value: 'a cat' }, 'Subject'),
				2: node('String Literal', { string: 'in the rain' }, 'Weather'),
				5: node('StringConcatenate', { string_a: '@1', string_b: '@2', delimiter: ', ' }),
				8: node('Any Switch', { any_01: '@5' }),
				6: node('CLIPTextEncode', { text: '@8', clip: '@4' }),
				7: encode('blurry'),
				3: sampler(),
			},
			[
				'1.value: Positive Prompt · Subject',
				'2.string: Positive Prompt · Weather',
				'7.text: Negative Prompt',
			],
		],
		[
			'of several texts in one encoder',
			{ 6: node('CLIPTextEncodeSDXL', { text_g: 'a cat', text_l: 'a cat' }), 7: encode(''), 3: sampler() },
			['6.text_g: Positive Prompt (Text G)', '6.text_l: Positive Prompt (Text L)', '7.text: Negative Prompt'],
		],
		[
			'by its own name',
			{ 1: node('WanVideoTextEncode', { negative_prompt: 'blurry', positive_prompt: 'a cat', t5: '@4' }) },
			['1.positive_prompt: Positive Prompt', '1.negative_prompt: Negative Prompt'],
		],
		[
			'by the title where nothing else says it',
			{ 6: node('CLIPTextEncode', { text: 'blurry', clip: '@4' }, 'CLIP Text Encode (Negative Prompt)') },
			['6.text: Negative Prompt'],
		],
		[
			'of words that a node holds for something unknown',
			{
				1: node('Text', { text: 'a cat' }),
				2: node('Odd', { topic: '@1' }),
				3: node('Text', { text: '0, 1' }),
			},
			['1.text: Text'],
		],
		[
			'of what is spoken',
			{ 1: node('TextToSpeech', { text: 'Hello', voice: '@2' }), 3: node('SaveAudio', { audio: '@1' }) },
			['1.text: Prompt'],
		],
	])('%s', (_, graph, shown) => expect(shownOf(graph)).toEqual(shown));

	it.each<[string, Graph]>([
		['an expression', { 1: node('MathExpression', { expression: 'a / 2', a: '@9' }) }],
		['sigmas', { 1: node('ManualSigmas', { sigmas: '0.9, 0.5, 0.0' }) }],
		['code', { 1: node('Python', { code: 'return 1', any: '@9' }) }],
		[
			'a regular expression',
			{ 1: node('RegexReplace', { string: '@9', regex_pattern: '^,', replace: 'a b' }) },
		],
		['a color', { 1: node('Resize', { pad_color: '0, 0, 0', image: '@9' }) }],
		['what a node has shown', { 1: node('ShowText|x', { text: '@9', text_0: 'an old text' }) }],
		['what a node shows of anything', { 1: node('showAnything', { text: 'an old text', anything: '@9' }) }],
		[
			'the name of a file',
			{ 1: node('String', { value: 'cats' }), 2: node('SaveImage', { filename_prefix: '@1', images: '@9' }) },
		],
		[
			'the name of a sampler',
			{ 1: node('String', { value: 'euler' }), 2: node('Pick', { sampler_name: '@1' }) },
		],
	])('%s is no prompt', (_, graph) => {
		const shown = shownOf({ ...graph, 6: encode('a cat'), 3: node('KSampler', { positive: '@6' }) });
		expect(shown).toEqual(['6.text: Positive Prompt']);
	});
});

describe('What a number is for', () => {
	it.each<[string, Graph, string[]]>([
		[
			'a size in a value node, which has the name of what it feeds',
			{
				1: node('easy int', { value: 832 }, 'Int'),
				2: node('INTConstant', { value: 480 }, 'INT Constant'),
				5: node('EmptyLatentImage', { width: '@1', height: '@2', batch_size: 1 }),
			},
			['1.value: Width', '2.value: Height', '5.batch_size: Batch Size'],
		],
		[
			'a number from which a size is computed, which has its title',
			{
				1: node('PrimitiveInt', { value: 5 }, 'Duration'),
				2: node('MathExpression', { expression: 'a * 24', 'values.a': '@1' }),
				5: node('EmptyVideo', { length: '@2' }),
			},
			['1.value: Duration'],
		],
		[
			'a seed in a value node',
			{
				1: node('JWInteger', { value: 7 }),
				3: node('KSampler', { seed: '@1' }),
				4: node('RandomNoise', { noise_seed: '@1' }),
			},
			['1.value: Seed'],
		],
		[
			'a number that feeds not only seeds is none',
			{ 1: node('Int', { value: 7 }), 3: node('KSampler', { seed: '@1', steps: '@1' }) },
			['1.value: Steps'],
		],
		[
			'a number that feeds a seed and what is not known',
			{ 1: node('Int', { value: 7 }), 3: node('KSampler', { seed: '@1', odd: '@1', cfg: 2 }) },
			['3.cfg: CFG'],
		],
		[
			'a setting in a value node',
			{ 1: node('FloatConstant', { value: 3.5 }), 3: node('KSampler', { cfg: '@1' }) },
			['1.value: CFG'],
		],
		[
			'the seed of a mode',
			{ 1: node('TextGenerate', { 'sampling_mode.seed': 0 }) },
			['1.sampling_mode.seed: Seed'],
		],
		[
			'a text that was a seed is none',
			{ 1: node('easy globalSeed', { value: 'x', last_seed: '5' }), 2: node('X', { last_seed: 5, cfg: 1 }) },
			['2.cfg: CFG'],
		],
		[
			'the same in two nodes: with the title, or the ID where the titles are the same',
			{
				1: node('KSampler', { steps: 20, cfg: 8 }, 'First pass'),
				2: node('KSampler', { steps: 4, cfg: 1 }, 'Second pass'),
				5: node('LoadImage', { image: 'a.png' }, 'Load Image'),
				6: node('LoadImage', { image: 'b.png' }, 'Load Image'),
			},
			[
				'5.image: Image #5 · Load Image',
				'6.image: Image #6 · Load Image',
				'1.steps: Steps · First pass',
				'1.cfg: CFG · First pass',
				'2.steps: Steps · Second pass',
				'2.cfg: CFG · Second pass',
			],
		],
	])('%s', (_, graph, shown) => expect(shownOf(graph)).toEqual(shown));
});

it('has a different label of at most 40 characters for each of 500 nodes, whatever their titles', () => {
	const titles = ['', 'A very long title\nthat nobody can read at once 🎉🎉🎉', '=1+1', '12345678901234567'];
	const graph = Object.fromEntries(
		Array.from({ length: 500 }, (_, n) => [
			`${n % 3 === 0 ? '57:1234567890123456789012345678901234567890:' : ''}${n}`,
			node('X', { value: n, 'v a': n, v_a: 1, [`${'long '.repeat(20)}${n % 7}`]: 'x' }, titles[n % 4]),
		]),
	);
	const labels = readGraphFields(graph).map(({ label }) => label);
	expect(new Set(labels).size).toBe(2_000);
	for (const label of labels) expect(label).toMatch(/^.{1,40}$/);
});

it('reads a graph of thousands of inputs in little time', () => {
	const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`value_${n}`, n]));
	const chain = Array.from({ length: 1_000 }, (_, n) => [
		`${n}`,
		node('Any', { value: n, any: `@${n - 1}` }),
	]);
	const texts = ['a', ' ', '_', '1', 'a1', 'a '].map((text, n) => [
		`t${n}`,
		node('Text', { text: text.repeat(100_000) }),
	]);
	const names = ['a', ' ', '_', 'image1', '+', 'seed_'].map((name) => name.repeat(5_000));
	const odd = Object.fromEntries(names.map((name) => [name, node(name, { [name]: 'a b', [`${name}x`]: 1 })]));
	const from = cpuMs();
	const nodes = {
		...Object.fromEntries([...chain, ...texts]),
		x: node('Many', { ...many, text: '@x' }),
	} as Graph;
	readGraphFields({ ...nodes, ...odd });
	expect(cpuMs() - from).toBeLessThan(2_000);
});
