import * as fc from 'fast-check';

import { findFiles, urlsByKind } from '../../nodes/RunComfy/files/resultFiles';
import { findModelOutputProblem, toModelOutput } from '../../nodes/RunComfy/operations/modelOutput';

const A = 'https://a.example/1.png';
const B = 'https://a.example/2.mp4?sig=1';
const C = 'https://a.example/3.wav';
const GLB = 'https://a.example/m.glb';
const BARE = 'https://a.example/x';

describe('The files of a result', () => {
	it.each<[string, unknown, Array<[string, string]>]>([
		['one image', { image: BARE }, [['image', BARE]]],
		[
			'the same twice',
			{ image: A, images: [A, BARE] },
			[
				['image', A],
				['image', BARE],
			],
		],
		['a list that is not one', { images: A }, [['image', A]]],
		[
			'video and audio',
			{ video: BARE, audios: [C] },
			[
				['video', BARE],
				['audio', C],
			],
		],
		['objects with a url', { images: [{ url: A, width: 8 }, { url: 7 }] }, [['image', A]]],
		[
			'a list by endings',
			[A, { url: B }, C],
			[
				['image', A],
				['video', B],
				['audio', C],
			],
		],
		['a bare URL', BARE, [['file', BARE]]],
		['a bare URL of another type', GLB, [['file', GLB]]],
		[
			'another type under image',
			{ images: [A, GLB] },
			[
				['image', A],
				['file', GLB],
			],
		],
		[
			'an image that is a vector',
			{ images: ['https://a.example/b.svg'] },
			[['image', 'https://a.example/b.svg']],
		],
		['a video under images', { images: [B] }, [['video', B]]],
		['an image under video', { video: 'https://a.example/a.gif' }, [['video', 'https://a.example/a.gif']]],
		[
			'stems',
			{ vocals: { url: C }, drums: { url: BARE } },
			[
				['audio', C],
				['file', BARE],
			],
		],
		[
			'keys that end in _url',
			{ audio_url: BARE, video_url: B },
			[
				['audio', BARE],
				['video', B],
			],
		],
		['lists in lists', { images: [[A]] }, [['image', A]]],
		['objects in lists', [{ image: A }], [['image', A]]],
		['another key', { output: GLB }, [['file', GLB]]],
		['one file under several keys', { file: BARE, image: BARE, x: { video: BARE } }, [['image', BARE]]],
		['its own file name', { image: { url: BARE, file_name: 'a.gif' } }, [['image', BARE]]],
		['a text that is a URL', { text: BARE, caption: A }, [['image', A]]],
		['sentences', { text: `${A} is one`, note: `See ${A}` }, []],
		[
			'a URL with a space',
			{ image: { url: 'https://a.example/a b.png' }, audios: ['https://a.example/ü …/c'] },
			[
				['image', 'https://a.example/a b.png'],
				['audio', 'https://a.example/ü …/c'],
			],
		],
		[
			'repeated inputs',
			{ input: { image: A }, inputs: [A], request: A, prompt: A, input_image: A, image: B },
			[['video', B]],
		],
		['addresses of the API', { status_url: BARE, cancel_url: BARE, webhook: BARE }, []],
		['no URLs', { image: '', images: [null, 7, 'file:///etc/passwd', 'https://', { href: 'x' }] }, []],
		['nothing', null, []],
	])('%s', (_, output, expected) =>
		expect(findFiles(output).map(({ kind, url }) => [kind, url])).toEqual(expected),
	);

	it('have the names that RunComfy reports, or those in their URLs', () => {
		const names = findFiles([{ url: BARE, filename: 'a b.png' }, 'https://a.example/x%20y.png?z=1']);
		expect(names.map(({ name }) => name)).toEqual(['a b.png', 'x y.png']);
	});

	it('property: every file is found once, wherever it is, and nothing else', () => {
		const url = fc.integer({ min: 0, max: 40 }).map((n) => `https://a.example/${n}.png`);
		const key = fc.oneof(fc.constantFrom('image', 'images', 'url', 'vocals', '__proto__', '9'), fc.string());
		const echo = fc.constantFrom('input', 'inputs', 'request', 'prompt', 'input_image');
		const isEcho = (name: string) =>
			/^(_?inputs?(_.*)?|requests?|prompts?|payload|param|arguments|webhook|.*_url)/i.test(name);
		const other = fc.oneof(
			fc.string(),
			fc.double(),
			fc.boolean(),
			fc.constant(null),
			fc.constant('See https://a.example/1.png'),
		);
		const { value } = fc.letrec<{ value: unknown }>((tie) => ({
			value: fc.oneof(
				{ maxDepth: 5 },
				url.map((text) => ({ found: text })),
				other.map((plain) => ({ plain })),
				fc.array(tie('value'), { maxLength: 4 }).map((list) => ({ list })),
				fc
					.array(
						fc.tuple(
							key.filter((name) => !isEcho(name)),
							tie('value'),
						),
						{ maxLength: 4 },
					)
					.map((object) => ({ object })),
				fc.tuple(echo, tie('value')).map((object) => ({ echo: object })),
			),
		}));
		const expected = new Set<string>();
		const build = (node: unknown, isHidden = false): unknown => {
			const { found, plain, list, object, echo: hidden } = node as Record<string, never>;
			if (found !== undefined && !isHidden) expected.add(found);
			if (found !== undefined || plain !== undefined) return found ?? plain;
			if (list !== undefined) return (list as unknown[]).map((part) => build(part, isHidden));
			if (hidden !== undefined) return { [hidden[0]]: build(hidden[1], true) };
			// A later key replaces an earlier one of the same name, with its files.
			const parts = new Map<string, unknown>(object ?? []);
			return Object.fromEntries([...parts].map(([name, part]) => [name, build(part, isHidden)]));
		};
		fc.assert(
			fc.property(value, (node) => {
				expected.clear();
				const output = build(node);
				const urls = findFiles(output).map((file) => file.url);
				expect(urls).toHaveLength(new Set(urls).size);
				expect(new Set(urls)).toEqual(expected);
			}),
			{ numRuns: 500 },
		);
	});

	it('are found in results of any depth and size', () => {
		let deep: unknown = A;
		for (let n = 0; n < 5_000; n++) deep = n % 2 === 0 ? [deep] : { deep };
		expect(findFiles({ deep, image: A })).toHaveLength(1);
		const many = Array.from({ length: 30_000 }, (_, n) => ({ url: `https://a.example/${n}.png` }));
		expect(findFiles({ images: many })).toHaveLength(30_000);
	});

	it('are listed by kind, without empty lists', () => {
		expect(urlsByKind(findFiles([GLB, C, A]))).toEqual({
			...{ url: A, image: A, images: [A], audio: C, audios: [C], files: [GLB] },
		});
		expect(urlsByKind([])).toEqual({});
	});
});

describe('The item of a model’s result', () => {
	const itemOf = async (output: unknown, needed?: 'image') => {
		const tools = { downloader: undefined as never, hint: () => {} };
		const run = { signal: new AbortController().signal, throwIfEnded: () => {} };
		const { json } = await toModelOutput(tools, { requestId: 'r', output }, undefined, run, needed);
		const { requestId, status, ...rest } = json;
		expect([requestId, status]).toEqual(['r', 'succeeded']);
		return rest;
	};
	const image = { url: A, image: A, images: [A] };

	it.each<[unknown, unknown]>([
		[{ image: A }, image],
		[{ images: [{ url: A }], video: null }, image],
		[A, image],
		[GLB, { url: GLB, files: [GLB] }],
		[
			{ images: [A], seed: 7 },
			{ ...image, output: { images: [A], seed: 7 } },
		],
		[{ images: [{ url: A, width: 8 }] }, { ...image, output: { images: [{ url: A, width: 8 }] } }],
		[
			{ video: B, text: 'hello' },
			{ url: B, video: B, videos: [B], text: 'hello', output: { video: B, text: 'hello' } },
		],
		[{ vocals: { url: A } }, { ...image, output: { vocals: { url: A } } }],
		['A text', { text: 'A text', output: 'A text' }],
		[{ text: '' }, { output: { text: '' } }],
		[{ detections: [] }, { output: { detections: [] } }],
		[[], { output: [] }],
		['', { output: '' }],
		[0, { output: 0 }],
	])('%j', async (output, expected) => {
		expect(findModelOutputProblem({ requestId: 'r', output })).toBeUndefined();
		expect(await itemOf(output)).toEqual(expected);
	});

	it('begins with the URL', async () =>
		expect(Object.keys(await itemOf({ video: B, images: [A] }))[0]).toBe('url'));

	it('has an image where the model always makes one, or is an error that names what is there', async () => {
		expect(await itemOf(BARE, 'image')).toMatchObject({ image: BARE });
		for (const output of [undefined, [], { image: '' }, GLB]) {
			const problem = findModelOutputProblem({ requestId: 'r', output }, 'image');
			expect(problem?.message).toBe('RunComfy request r finished, but its result holds no URL of an image');
			if (output === GLB) expect(problem?.advice).toContain(GLB);
		}
	});

	it('is an error where RunComfy reports no output at all', () =>
		expect(findModelOutputProblem({ requestId: 'r', output: undefined })?.message).toContain(
			'holds nothing',
		));
});
