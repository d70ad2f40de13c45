import { findDeploymentOutputProblem, readOutputs } from '../../nodes/RunComfy/deployments/outputs';

const file = (filename: string, type = 'output') => ({
	url: `https://files.test/${filename}`,
	filename,
	subfolder: '',
	type,
});
const kindsOf = (outputs: unknown) =>
	readOutputs(outputs).files.map(({ kind, fileName }) => [kind, fileName]);

describe('The outputs of a deployment', () => {
	it('lists every file of every node and channel, with node, title, and channel', () => {
		const outputs = {
			9: { images: [file('a.png'), file('b.png')] },
			'57:12': { gifs: [file('c.mp4')] },
		};
		const saved = { nodeId: '9', title: 'Save Image', channel: 'images', kind: 'image' };
		expect(readOutputs(outputs, new Map([['9', 'Save Image']])).files).toEqual([
			{ ...saved, fileName: 'a.png', url: 'https://files.test/a.png' },
			{ ...saved, fileName: 'b.png', url: 'https://files.test/b.png' },
			{ nodeId: '57:12', channel: 'gifs', fileName: 'c.mp4', url: 'https://files.test/c.mp4', kind: 'video' },
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
		['previews', { images: [file('a.png', 'temp'), file('b.png')] }, [['image', 'b.png']]],
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

	it('reads texts', () => {
		expect(
			readOutputs({ 1: { text: ['a', ['b']] }, 2: { string: 'c' }, 3: { animated: [true] } }).texts,
		).toEqual(['a', 'b', 'c']);
	});

	it.each([[undefined], [null], ['x'], [[]], [{ 9: null }], [{ 9: 'x' }], [{ 9: { images: null } }]])(
		'%j holds nothing',
		(outputs) => expect(readOutputs(outputs)).toEqual({ files: [], texts: [] }),
	);

	it.each<[unknown, boolean]>([
		[undefined, false],
		[{}, false],
		[{ 9: {} }, false],
		[{ 9: { images: [] } }, false],
		[{ 9: { images: [file('a.png', 'temp')] } }, true],
		[{ 9: { text: 'x' } }, true],
	])('%j: holds something to return: %s', (output, isFine) => {
		const problem = findDeploymentOutputProblem({ requestId: 'r', output });
		expect(problem === undefined).toBe(isFine);
		if (!isFine) expect(problem?.advice).toContain('“Randomize Seeds”');
	});
});
