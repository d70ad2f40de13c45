import { findDeploymentOutputProblem, readOutputs } from '../../nodes/RunComfy/deployments/outputs';

const file = (filename: string, type = 'output') => ({
	url: `https://files.test/${filename}`,
	filename,
	subfolder: '',
	type,
});
const kindsOf = (outputs: unknown) => readOutputs(outputs).files.map(({ kind, name }) => [kind, name]);

describe('The outputs of a deployment', () => {
	it('lists every file of every node and channel, with node, title, and channel', () => {
		const outputs = {
			9: { images: [file('a.png'), file('b.png')] },
			'57:12': { gifs: [file('c.mp4')] },
		};
		const saved = { nodeId: '9', title: 'Save Image', channel: 'images', kind: 'image' };
		expect(readOutputs(outputs, new Map([['9', 'Save Image']])).files).toEqual([
			{ ...saved, name: 'a.png', url: 'https://files.test/a.png' },
			{ ...saved, name: 'b.png', url: 'https://files.test/b.png' },
			{ nodeId: '57:12', channel: 'gifs', name: 'c.mp4', url: 'https://files.test/c.mp4', kind: 'video' },
		]);
	});

	it.each<[string, unknown, unknown]>([
		[
			'gifs are videos, in every format',
			{ gifs: [file('a.mp4'), file('b.gif'), file('c.webm')] },
			[
				['video', 'a.mp4'],
				['video', 'b.gif'],
				['video', 'c.webm'],
			],
		],
		['a video in the channel of images', { images: [file('a.mp4')], animated: [true] }, [['video', 'a.mp4']]],
		['sound', { audio: [file('a.flac')] }, [['audio', 'a.flac']]],
		['a 3D model', { '3d': [file('a.glb')] }, [['file', 'a.glb']]],
		['a 3D model among images', { images: [file('a.glb')] }, [['file', 'a.glb']]],
		[
			'an unknown channel',
			{ result: [file('a.png'), file('b.dat')] },
			[
				['image', 'a.png'],
				['file', 'b.dat'],
			],
		],
		['no extension', { images: [file('a')] }, [['image', 'a']]],
		[
			'previews beside what was saved',
			{ images: [file('a.png', 'temp'), file('b.png')] },
			[['image', 'b.png']],
		],
		['repeated inputs', { images: [file('a.png', 'input'), file('b.png')] }, [['image', 'b.png']]],
		[
			'a file that is listed twice',
			{ images: [file('a.png')], result: [file('a.png')] },
			[['image', 'a.png']],
		],
		['an animated WebP', { images: [file('a.webp')], animated: [true] }, [['video', 'a.webp']]],
		['an animated PNG', { images: [file('a.png')], animated: [true] }, [['video', 'a.png']]],
		['one that is not animated', { images: [file('a.webp')], animated: [false] }, [['image', 'a.webp']]],
		['a PSD', { images: [file('a.psd')] }, [['file', 'a.psd']]],
		[
			'a file of any type',
			{ images: [file('a.exr')], '3d': [file('b.latent')] },
			[
				['image', 'a.exr'],
				['file', 'b.latent'],
			],
		],
		['a single file instead of a list', { images: file('a.png') }, [['image', 'a.png']]],
		['URLs instead of objects', { images: ['https://files.test/x%20y.png?sig=1'] }, [['image', 'x y.png']]],
		['no file name', { images: [{ url: 'https://files.test/z.png' }] }, [['image', 'z.png']]],
		['no URLs', { images: [{ filename: 'a.png' }, { url: 'file:///etc/passwd' }, null, 7, 'a.png'] }, []],
		[
			'nested',
			{ images: [[file('a.png')], { deep: [file('b.png')] }] },
			[
				['image', 'a.png'],
				['image', 'b.png'],
			],
		],
	])('%s', (_name, channels, expected) => expect(kindsOf({ 9: channels })).toEqual(expected));

	it('returns previews, marked as such, where nothing was saved', () => {
		const outputs = { 9: { images: [file('a.png', 'temp')] }, 5: { text: ['x'] } };
		const { files } = readOutputs(outputs);
		expect(files).toMatchObject([{ nodeId: '9', name: 'a.png', kind: 'image', preview: true }]);
		expect(readOutputs({ ...outputs, 12: { images: [file('b.png')] } }).files).toEqual([
			{ nodeId: '12', channel: 'images', name: 'b.png', url: 'https://files.test/b.png', kind: 'image' },
		]);
	});

	it('reads texts with their nodes', () => {
		const outputs = {
			1: { text: ['a', ['b']] },
			2: { string: 'c' },
			3: { animated: [true], other: { text: 'd' } },
		};
		expect(readOutputs(outputs, new Map([['2', 'Show Text']])).texts).toEqual([
			{ nodeId: '1', text: 'a' },
			{ nodeId: '1', text: 'b' },
			{ nodeId: '2', title: 'Show Text', text: 'c' },
		]);
	});

	it.each([
		'',
		' \n',
		'3d/ComfyUI_00001_.glb',
		'output\\mesh.obj',
		'scenes/a.xyz',
		'A'.repeat(400),
		`data:image/png;base64,${'iVBORw0KGgo'.repeat(9)}`,
		'{"position":{"x":1},"target":{"x":0},"zoom":1,"cameraType":"perspective"}',
	])('%j is no text', (text) => expect(readOutputs({ 1: { text: [text] } }).texts).toEqual([]));

	it.each([
		'A dog.',
		'81x480x832',
		'{"caption": "A dog"}',
		'{"object": "cat", "position": "left"}',
		'and/or',
		'https://example.com',
		'v1.5 or later',
		'A'.repeat(20),
	])('%j is a text', (text) =>
		expect(readOutputs({ 1: { text: [text] } }).texts).toEqual([{ nodeId: '1', text }]),
	);

	it('returns numbers and booleans where they are all there is', () => {
		const outputs = { 1: { value: [42] }, 2: { value: [true], animated: [false] } };
		expect(readOutputs(outputs)).toEqual({
			...{ files: [], texts: [] },
			values: [
				{ nodeId: '1', value: 42 },
				{ nodeId: '2', value: true },
			],
		});
		expect(readOutputs({ ...outputs, 3: { text: ['x'] } }).values).toEqual([]);
	});

	it.each([
		['a list', [{ images: [file('a.png')] }], { channel: 'images' }],
		['a URL', 'https://files.test/a.png', {}],
		['nodes without channels', { 9: [file('a.png')] }, { nodeId: '9' }],
		['an output as of a model', { images: ['https://files.test/a.png'] }, { channel: 'images' }],
	])('finds files in outputs that are %s', (_, outputs, origin) =>
		expect(readOutputs(outputs).files).toEqual([
			{ ...origin, url: 'https://files.test/a.png', name: 'a.png', kind: 'image' },
		]),
	);

	it.each([[undefined], [null], [[]], [{ 9: null }], [{ 9: { images: null } }]])(
		'%j holds nothing',
		(outputs) => expect(readOutputs(outputs)).toEqual({ files: [], texts: [], values: [] }),
	);

	it.each<[unknown, boolean]>([
		[undefined, false],
		[{}, false],
		[{ 9: {} }, false],
		[{ 9: { images: [] } }, false],
		[{ 9: { images: [file('a.png', 'temp')] } }, true],
		[{ 9: { text: 'x' } }, true],
		[{ 9: { value: [0] } }, true],
		[{ 9: { text: [`data:image/png;base64,${'iVBORw0KGgo'.repeat(9)}`] } }, true],
		[{ 9: { result: [{ image: 'A'.repeat(400) }] } }, true],
	])('%j: holds something to return: %s', (output, isFine) => {
		const problem = findDeploymentOutputProblem({ requestId: 'r', output });
		expect(problem === undefined).toBe(isFine);
		if (!isFine) expect(problem?.advice).toContain('“Randomize Seeds”');
	});

	it('shows what came where nothing of it can be returned, cut and cleaned', () => {
		const output = { 9: { result: ['3d/a.glb', { key: 'x'.repeat(60) }] } };
		const { message, advice } = findDeploymentOutputProblem({ requestId: 'r', output }) ?? {};
		expect(message).toBe('RunComfy request r succeeded, but has no outputs that can be returned');
		expect(advice).toContain('{"9":{"result":["3d/a.glb",{"key":"[…]"}]}}');
		const echo = { 9: { images: [file('a.png', 'input')] } };
		expect(findDeploymentOutputProblem({ requestId: 'r', output: echo })?.advice).toContain('a.png');
	});
});
