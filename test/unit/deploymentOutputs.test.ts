import { describeComfyError } from '../../nodes/RunComfy/deployments/comfyError';
import { findOutputProblem, readOutputs } from '../../nodes/RunComfy/deployments/outputs';

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
		expect(readOutputs(outputs, new Map([['9', 'Save Image']])).files).toEqual([
			{
				nodeId: '9',
				title: 'Save Image',
				channel: 'images',
				fileName: 'a.png',
				url: 'https://files.test/a.png',
				kind: 'image',
			},
			{
				nodeId: '9',
				title: 'Save Image',
				channel: 'images',
				fileName: 'b.png',
				url: 'https://files.test/b.png',
				kind: 'image',
			},
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
		['a film in the channel of images', { images: [file('a.mp4')], animated: [true] }, [['video', 'a.mp4']]],
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
		const problem = findOutputProblem({ requestId: 'r', output });
		expect(problem === undefined).toBe(isFine);
		if (!isFine) expect(problem?.advice).toContain('“Randomize Seeds”');
	});
});

describe("ComfyUI's errors", () => {
	it.each<[string, unknown, { reason?: string; node?: string }]>([
		['an object', { type: 'execution_error', message: 'Out of memory' }, { reason: 'Out of memory' }],
		[
			'a list',
			[{ errorCode: 'E1', error: 'Out of memory', debugInfo: 'KSampler (3)' }],
			{ reason: 'Out of memory – KSampler (3)' },
		],
		[
			'a traceback',
			[{ error: 'Out of memory', debugInfo: `Traceback ${'x '.repeat(200)}` }],
			{ reason: 'Out of memory' },
		],
		['a text', 'Out of memory', { reason: 'Out of memory' }],
		['JSON in a text', '{"message": "Out of memory"}', { reason: 'Out of memory' }],
		['broken JSON', '{"message"', { reason: '{"message"' }],
		[
			'an execution error',
			{
				node_id: '3',
				node_type: 'KSampler',
				exception_message: 'Out of memory',
				exception_type: 'X',
				traceback: ['…'],
			},
			{ reason: 'Out of memory', node: 'node 3 (KSampler)' },
		],
		[
			'a validation error',
			{
				error: { type: 'prompt_outputs_failed_validation', message: 'Prompt outputs failed validation' },
				node_errors: {
					10: {
						class_type: 'LoadImage',
						errors: [{ type: 'x', message: 'Invalid image file', details: 'image - a.png' }],
					},
				},
			},
			{ reason: 'Invalid image file – image - a.png', node: 'node 10 (LoadImage)' },
		],
		['only a type', { type: 'timeout' }, { reason: 'timeout' }],
		['a page', '<html><body>502</body></html>', {}],
		['nothing', undefined, {}],
		['odd things', [null, 7, []], {}],
	])('%s', (_name, error, expected) => expect(describeComfyError(error)).toEqual(expected));
});
