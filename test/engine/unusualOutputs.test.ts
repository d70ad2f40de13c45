import { gzipSync } from 'node:zlib';

import { MODEL_ID, TEXT_TO_IMAGE } from '../sandbox/catalog';
import { RawJson } from '../sandbox/rawJson';
import { failure, outputItems, sharedEnvironment, TestEnvironment } from './testEnvironment';

/** Results of a shape that no page documents: nothing that RunComfy reports is lost. */
describe('An output of unusual shape', () => {
	const env = sharedEnvironment();

	const runWith = async (output: unknown, parameters: Record<string, unknown>) => {
		const answer = { status: 200, body: { status: 'succeeded', output } };
		env().sandbox.faults.add({ on: 'result', kind: 'answer', answer });
		return await env().run(parameters);
	};
	const anyModel = {
		resource: 'model',
		operation: 'run',
		modelId: { mode: 'id', value: TEXT_TO_IMAGE },
		inputMode: 'json',
		inputsJson: '{"prompt": "x"}',
	};
	const URL = 'https://cdn.example.com/a.png';

	it.each([
		['a list of URLs', [URL]],
		['a text', URL],
		['objects with a url', { images: [{ url: URL, width: 8 }] }],
		['an object as image', { image: { url: URL } }],
		['files under other keys', { result: { picture: URL } }],
	])('%s: its files are found, and it is kept where it says more', async (what, output) => {
		const [item] = outputItems(await runWith(output, anyModel));
		expect(item?.json).toMatchObject({ url: URL, image: URL, images: [URL] });
		const saysMore = ['objects with a url', 'files under other keys'].includes(what);
		expect(item?.json.output).toEqual(saysMore ? output : undefined);
		const [image] = outputItems(await runWith(output, {}));
		expect(image?.json).toMatchObject({ image: URL });
	});

	it.each<[unknown]>([
		[{ images: [URL], seed: 7, revised_prompt: 'A lighthouse' }],
		[{ video: 'https://cdn.example.com/a.mp4', text: 'hello', duration: 5.04 }],
		[{ vocals: { url: 'https://cdn.example.com/v.wav' }, mesh: 'https://cdn.example.com/a.glb' }],
		['A picture with lights in it.'],
		[{ text: '' }],
		[{ detections: [] }],
		[[]],
	])('%j: Get Result returns the same item as Run', async (output) => {
		const [run] = outputItems(await runWith(output, anyModel));
		const { requestId, seed } = run?.json ?? {};
		const getResult = { resource: 'request', operation: 'getResult', requestId };
		const [fetched] = outputItems(await runWith(output, getResult));
		expect({ ...fetched?.json, seed }).toEqual(run?.json);
	});

	it('numbers that are not exact keep their digits, as texts', async () => {
		const json =
			'{"a": 18446744073709551615, "b": [1e400, 9007199254740991, -0.5], "c": "\\"12345678901234567890"}';
		const [item] = outputItems(await runWith(new RawJson(json), anyModel));
		expect(item?.json.output).toEqual({
			a: '18446744073709551615',
			b: ['1e400', Number.MAX_SAFE_INTEGER, -0.5],
			c: '"12345678901234567890',
		});
	});

	it('a request ID that is a long number keeps its digits, and its result is fetched', async () => {
		const body = new RawJson('{"request_id": 12345678901234567890}');
		env().sandbox.faults.add({ on: 'submit', kind: 'answer', answer: { status: 200, body } });
		const [item] = outputItems(await runWith(URL, anyModel));
		expect(item?.json).toMatchObject({ requestId: '12345678901234567890', image: URL });
	});

	it('an answer of any size, also one that is packed, is not read beyond 20 MB', async () => {
		// A result that is valid but for its size.
		const body = { status: 'succeeded', output: { image: URL } };
		const huge = gzipSync(JSON.stringify(body).padEnd(20_000_001));
		const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
		const answer = { status: 200, body: huge, headers };
		env().sandbox.faults.add({ on: 'result', kind: 'answer', answer, times: 2 });
		const [item] = outputItems(await env().run({}));
		expect(item?.json.image).toContain(env().sandbox.url);
	});

	it('files that are no images: named in the error where an image is expected', async () => {
		const output = { result: { mesh: 'https://cdn.example.com/a.glb' } };
		const [item] = outputItems(await runWith(output, anyModel));
		expect(item?.json).toMatchObject({ url: output.result.mesh, files: [output.result.mesh], output });
		expect(failure(await runWith(output, {})).description).toContain('https://cdn.example.com/a.glb');
	});

	it('keeps a text that is no URL', async () => {
		const text = 'A picture with lights in it.';
		const [item] = outputItems(await runWith(text, anyModel));
		expect(item?.json).toMatchObject({ text, output: text });
	});

	it.each([['9007199254740993'], ['1e400'], ['-9007199254740993']])(
		'refuses the input %s, which would lose digits, in every mode',
		async (number) => {
			const before = env().sandbox.stats.submits;
			const json = { ...anyModel, inputsJson: `{"prompt": "x", "seed": ${number}}` };
			expect(failure(await env().run(json)).message).toContain(
				'“Inputs (JSON) → seed” must not be beyond 9007199254740991',
			);
			const value = { prompt: 'x', seed: number, unknown: number };
			const fields = {
				...anyModel,
				inputMode: 'fields',
				inputs: { mappingMode: 'defineBelow', value, schema: [] },
			};
			expect(failure(await env().run(fields)).message).toContain('“Inputs → ');
			expect(env().sandbox.stats.submits).toBe(before);
		},
	);
});

describe('Empty inputs and file names', () => {
	it('sends an input without keys as {}', async () => {
		const env = await TestEnvironment.open();
		const empty = {
			on: 'submit',
			kind: 'answer',
			answer: { status: 422, body: { error_code: 422001 } },
		} as const;
		env.sandbox.faults.add(empty);
		await env.run({
			resource: 'model',
			operation: 'run',
			modelId: { mode: 'id', value: MODEL_ID },
			inputMode: 'json',
			inputsJson: '{}',
		});
		expect(env.sandbox.lastBody).toEqual({});
	});

	it('takes a number as a file name', async () => {
		const env = await TestEnvironment.open({ items: [{ json: { id: 4711 } }] });
		const run = await env.run({ downloadFiles: true, options: { fileName: '={{ $json.id }}' } });
		expect(outputItems(run)[0]?.binary?.data?.fileName).toBe('4711.png');
	});

	it('refuses a file name of another type', async () => {
		const env = await TestEnvironment.open();
		const run = await env.run({ downloadFiles: true, options: { fileName: '={{ [1] }}' } });
		expect(failure(run).message).toBe('“File Name” must be text');
	});
});
