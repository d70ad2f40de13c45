import type { ILoadOptionsFunctions } from 'n8n-workflow';

import { getCategories, getModelInputs, searchModels } from '../../nodes/RunComfy/editorLists';
import {
	CATALOG,
	IMAGE_EDIT,
	IMAGE_TO_TEXT,
	IMAGE_TO_VIDEO,
	QUIRKS,
	TEXT_TO_AUDIO,
	TEXT_TO_IMAGE,
} from '../sandbox/catalog';
import { makeImage } from '../sandbox/media';
import { until } from '../until';
import { failure, items, outputItems, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

const byId = (value: string) => ({ __rl: true, mode: 'id', value });
const mapped = (value: Record<string, unknown>, mappingMode = 'defineBelow') => ({
	mappingMode,
	value,
	matchingColumns: [],
	schema: [],
	attemptToConvertTypes: false,
	convertFieldsToString: false,
});
const runOf = (modelId: string, inputs: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
	resource: 'model',
	operation: 'run',
	modelId: byId(modelId),
	inputs: mapped(inputs),
	...more,
});

describe('Any model on n8n’s engine', () => {
	let env: TestEnvironment;
	const open = async (options: TestEnvironmentOptions = {}) => (env = await TestEnvironment.open(options));

	afterEach(async () => await env.close());

	it('makes an image from a prompt: inputs checked and converted, with its own seed', async () => {
		await open();
		const run = await env.run(
			runOf(TEXT_TO_IMAGE, {
				prompt: 'A lighthouse',
				guidance_scale: '3.5',
				image_size: 'square',
				output_format: '',
			}),
		);
		const [item] = outputItems(run);
		const [job] = env.sandbox.jobs;
		const seed = job?.input.seed;
		expect(job).toMatchObject({ modelId: TEXT_TO_IMAGE });
		expect(job?.input).toEqual({ prompt: 'A lighthouse', guidance_scale: 3.5, image_size: 'square', seed });
		expect(typeof seed).toBe('number');
		const url = `${env.sandbox.url}/outputs/${job?.requestId}/image.png`;
		expect(item?.json).toMatchObject({
			requestId: job?.requestId,
			status: 'succeeded',
			url,
			image: url,
			images: [url],
			videos: [],
			audios: [],
			seed,
			cost: 0.02,
			output: { image: url },
		});
		expect(item?.pairedItem).toEqual({ item: 0 });
	});

	it('makes a video from an input file, and downloads it with its own type', async () => {
		const picture = await makeImage('A boat', 1, 64, 64);
		await open({
			sandbox: { pictures: 'scene' },
			items: [{ json: {}, binary: { photo: { mimeType: 'image/png', data: picture.toString('base64') } } }],
		});
		const run = await env.run(
			runOf(
				IMAGE_TO_VIDEO,
				{ prompt: 'It sails', image: 'photo', generate_audio: false },
				{ downloadFiles: true, options: { fileName: 'boat' } },
			),
		);
		const [item] = outputItems(run);
		expect(env.sandbox.jobs[0]?.input).toEqual({
			prompt: 'It sails',
			generate_audio: false,
			image: `data:image/png;base64,${picture.toString('base64')}`,
		});
		expect(item?.json).toMatchObject({
			video: item?.json.url,
			images: [],
			videos: [item?.json.url],
			cost: 0.6,
		});
		expect(item?.binary?.data).toMatchObject({
			fileName: 'boat.mp4',
			mimeType: 'video/mp4',
			fileExtension: 'mp4',
		});
		if (item === undefined) throw new Error('No item');
		const video = await env.engine.readBinary(item, 'data');
		expect(video.toString('latin1', 4, 8)).toBe('ftyp');
	});

	it('makes audio with a model that has no listed price', async () => {
		await open();
		const [item] = outputItems(
			await env.run(runOf(TEXT_TO_AUDIO, { tags: 'calm piano', duration: 1 }, { downloadFiles: true })),
		);
		expect(item?.json).toMatchObject({ audio: item?.json.url, audios: [item?.json.url] });
		expect(item?.binary?.data).toMatchObject({ fileName: 'song.wav', mimeType: 'audio/wav' });
	});

	it('returns the text of a model that makes no file', async () => {
		await open();
		const [item] = outputItems(
			await env.run(runOf(IMAGE_TO_TEXT, { image: 'https://example.com/a.png' }, { downloadFiles: true })),
		);
		expect(item?.json).toMatchObject({ images: [], output: { text: 'A picture with lights in it.' } });
		expect(item?.json).not.toHaveProperty('url');
		expect(item?.binary).toBeUndefined();
	});

	it('accepts several input files and several URLs at once', async () => {
		const picture = (await makeImage('x', 1, 32, 32)).toString('base64');
		await open({
			items: [
				{
					json: {},
					binary: {
						a: { mimeType: 'image/png', data: picture },
						b: { mimeType: 'image/png', data: picture },
					},
				},
			],
		});
		await env.run(runOf(IMAGE_EDIT, { prompt: 'Join them', image: 'a, https://example.com/c.png\nb' }));
		const { image } = env.sandbox.jobs[0]?.input ?? {};
		expect(image).toEqual([
			`data:image/png;base64,${picture}`,
			'https://example.com/c.png',
			`data:image/png;base64,${picture}`,
		]);
	});

	it.each<[string, unknown, string[]]>([
		['an address and a name behind it', 'https://example.com/c.png,a', ['https://example.com/c.png', 'file']],
		[
			'an array from an expression',
			'={{ ["https://example.com/c.png", "a"] }}',
			['https://example.com/c.png', 'file'],
		],
		[
			'two data URIs',
			'data:image/png;base64,AAAA,data:image/png;base64,BBBB',
			['data:image/png;base64,AAAA', 'data:image/png;base64,BBBB'],
		],
		['a comma in an address', 'https://example.com/w_1,h_2/c.png', ['https://example.com/w_1,h_2/c.png']],
	])('takes files given as %s', async (_, image, sent) => {
		const data = (await makeImage('x', 1, 32, 32)).toString('base64');
		await open({ items: [{ json: {}, binary: { a: { mimeType: 'image/png', data } } }] });
		await env.run(runOf(IMAGE_EDIT, { prompt: 'Join them', image }));
		const file = `data:image/png;base64,${data}`;
		expect(env.sandbox.jobs[0]?.input.image).toEqual(sent.map((one) => (one === 'file' ? file : one)));
	});

	it.each(['constructor', 'toString', '__proto__'])('does not take “%s” for an input file', async (name) => {
		await open({ items: [{ json: {}, binary: { a: { mimeType: 'image/png', data: 'AAAA' } } }] });
		const run = await env.run(runOf(IMAGE_TO_VIDEO, { prompt: 'x', image: name }));
		expect(failure(run).message).toBe(`“Inputs → Image” names no file of this item (“${name}”)`);
	});

	// n8n itself takes “constructor” and “__proto__” out of a node's parameters.
	it('sends inputs named like methods of an object, and numbers of a referenced type', async () => {
		const [sample] = CATALOG;
		if (sample === undefined) throw new Error('No model');
		const schema = {
			$defs: { Steps: { type: 'integer', minimum: 1 } },
			type: 'object' as const,
			properties: {
				valueOf: { type: 'string' },
				toString: { type: 'float' },
				steps: { $ref: '#/$defs/Steps' },
			},
		};
		await open({ sandbox: { models: [{ ...sample, model_id: 'a/odd', input_schema: schema }] } });
		const run = await env.run(runOf('a/odd', { valueOf: 'x', toString: '2.5', steps: '7' }));
		expect(run.status).toBe('success');
		expect(env.sandbox.jobs[0]?.input).toEqual({ valueOf: 'x', toString: 2.5, steps: 7 });
		const wrong = await env.run(runOf('a/odd', { valueOf: 'x', toString: 1, steps: '0' }));
		expect(failure(wrong).message).toBe('“Inputs → Steps” must be a whole number of at least 1');
	});

	it('maps the item’s own fields in automatic mapping, and leaves out the rest', async () => {
		await open({ items: [{ json: { prompt: 'From the item', image_size: 'square_hd', customer: 7 } }] });
		await env.run({ ...runOf(TEXT_TO_IMAGE, {}), inputs: mapped({}, 'autoMapInputData') });
		expect(env.sandbox.jobs[0]?.input).toMatchObject({ prompt: 'From the item', image_size: 'square_hd' });
		expect(env.sandbox.jobs[0]?.input).not.toHaveProperty('customer');
	});

	it('sends inputs whose schema it does not understand', async () => {
		await open();
		const inputs = {
			prompt: 'x',
			style: { palette: ['a'] },
			mystery: 'm',
			safety_tolerance: 3,
			strength: 0.5,
			publish_at: '2026-01-01T00:00:00Z',
		};
		await env.run(runOf(QUIRKS, inputs));
		expect(env.sandbox.jobs[0]?.input).toEqual({ ...inputs });
	});

	it('sends JSON exactly as it is written, and asks for no schema', async () => {
		await open();
		env.sandbox.faults.add({ on: 'model', kind: 'serverError' });
		await env.run({
			...runOf(TEXT_TO_IMAGE, {}),
			inputMode: 'json',
			inputsJson: '{"prompt": "A raw one", "brand_new": {"deep": [1]}}',
		});
		expect(env.sandbox.jobs[0]?.input).toEqual({ prompt: 'A raw one', brand_new: { deep: [1] } });
	});

	it.each([
		['the address of its page', 'https://www.runcomfy.com/models/blackforestlabs/flux-2-flash/api'],
		['an address that is its id', `https://www.runcomfy.com/models/${TEXT_TO_IMAGE}`],
	])('finds a model by %s', async (_, value) => {
		await open();
		await env.run({ ...runOf('', { prompt: 'x' }), modelId: { __rl: true, mode: 'url', value } });
		expect(env.sandbox.jobs[0]?.modelId).toBe(TEXT_TO_IMAGE);
	});

	it('asks once for the schema of a model, however many items there are, and runs them together', async () => {
		await open({ items: items(12), sandbox: { runMs: 300 } });
		env.sandbox.faults.add({ on: 'model', kind: 'serverError', times: 1 });
		const run = await env.run(runOf(TEXT_TO_IMAGE, { prompt: 'x' }, { options: { maxConcurrency: 12 } }));
		expect(outputItems(run)).toHaveLength(12);
		expect(env.sandbox.stats.mostJobsAtOnce).toBe(12);
		expect(env.sandbox.stats.modelRequests).toBe(2);
	});

	it.each<[string, Record<string, unknown>, string]>([
		['an empty input', { inputs: mapped({ prompt: ' ' }) }, '“Inputs → Prompt” must not be empty'],
		[
			'a number out of bounds',
			{ inputs: mapped({ prompt: 'x', guidance_scale: 21 }) },
			'“Inputs → Guidance Scale” must be a number from 0 to 20',
		],
		[
			'no such choice',
			{ inputs: mapped({ prompt: 'x', image_size: 'huge' }) },
			'“Inputs → Image Size” must be one of',
		],
		['no model', { modelId: byId('={{ "" }}') }, '“Model” must not be empty'],
		[
			'an invalid model',
			{ modelId: byId('../../requests') },
			'“Model” is neither the ID of a model nor the URL of its page',
		],
		['an unknown model', { modelId: byId('nobody/has/this') }, 'RunComfy has no model “nobody/has/this”'],
		[
			'a number that would lose digits',
			{ inputMode: 'json', inputsJson: '{"seeds": [18446744073709551615]}' },
			'“Inputs (JSON) → seeds → 0” must not be beyond 9007199254740991',
		],
		[
			'inputs that are a text',
			{ inputs: { mappingMode: 'defineBelow', value: 'text' } },
			'“Inputs” must be filled in',
		],
		['broken JSON', { inputMode: 'json', inputsJson: '{"prompt"' }, '“Inputs (JSON)” must be a JSON object'],
	])('refuses %s before anything is submitted', async (_, more, message) => {
		await open({ items: items(3) });
		const run = await env.run(runOf(TEXT_TO_IMAGE, { prompt: 'x' }, more));
		expect(failure(run).message).toContain(message);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it.each<[string, string, string]>([
		[
			'an address in a private network',
			'https://10.0.0.1/a.png',
			'“Inputs → Image” points to this computer or a private network',
		],
		['an address without https', 'ftp://example.com/a.png', '“Inputs → Image” must begin with https://'],
		['a file that is not there', 'photo', '“Inputs → Image” names no file of this item (“photo”)'],
		[
			'half an address',
			'example.com/a.png',
			'“Inputs → Image” is neither a URL that begins with https:// nor the name of an input file',
		],
		[
			'a file of another kind',
			'text',
			'“Inputs → Image” points to a file that is not a JPEG, PNG, or WebP image (“text”)',
		],
	])('refuses %s as a file', async (_, image, message) => {
		await open({
			items: [
				{
					json: {},
					binary: { text: { mimeType: 'text/plain', data: Buffer.from('hello').toString('base64') } },
				},
			],
		});
		expect(failure(await env.run(runOf(IMAGE_TO_VIDEO, { prompt: 'x', image }))).message).toContain(message);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('refuses a file that is larger than the model takes', async () => {
		const large = Buffer.concat([await makeImage('x', 1, 32, 32), Buffer.alloc(31_000_000)]);
		await open({
			items: [{ json: {}, binary: { data: { mimeType: 'image/png', data: large.toString('base64') } } }],
		});
		const run = await env.run(runOf(IMAGE_EDIT, { prompt: 'x', image: 'data' }));
		expect(failure(run).message).toContain(
			'points to a file that the model does not accept (“data”): File size must be less than 30 MB.',
		);
	});

	it('submits nothing twice: Retry On Fail resumes what was submitted', async () => {
		await open({ items: items(4), settings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 0 } });
		env.sandbox.faults.add({ on: 'output', kind: 'webPage', times: 1 });
		const run = await env.run(
			runOf(TEXT_TO_IMAGE, { prompt: '={{ "number " + $json.n }}' }, { downloadFiles: true }),
		);
		expect(outputItems(run)).toHaveLength(4);
		expect(env.sandbox.stats).toMatchObject({ submits: 4, accepted: 4 });
	});

	it('Stop cancels what is queued, and nothing more is requested', async () => {
		await open({ items: items(5), sandbox: { queueMs: 60_000 } });
		const execution = env.start(runOf(TEXT_TO_IMAGE, { prompt: 'x' }));
		await until('all are submitted', () => env.sandbox.stats.accepted === 5);
		await env.stop(execution);
		expect(env.sandbox.stats.cancelled).toBe(5);
	});

	it('stops while it reads the model, before anything is submitted', async () => {
		await open();
		env.sandbox.faults.add({ on: 'model', kind: 'hangBefore' });
		const execution = env.start(runOf(TEXT_TO_IMAGE, { prompt: 'x' }));
		await until('it asks', () => env.sandbox.stats.modelRequests > 0);
		expect(await env.stop(execution)).toBeLessThan(1_000);
		await expect(env.tries[0]).rejects.toThrow('Stopped');
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('resumes with Get Result, files of every kind included', async () => {
		await open();
		await env.run(runOf(TEXT_TO_AUDIO, { tags: 'rain' }, { waitForCompletion: false }));
		const requestId = env.sandbox.jobs[0]?.requestId;
		const [item] = outputItems(
			await env.run({ resource: 'request', operation: 'getResult', requestId, downloadFiles: true }),
		);
		expect(item?.json).toMatchObject({ requestId, audio: expect.stringContaining('song.wav') as string });
		expect(item?.binary?.data?.mimeType).toBe('audio/wav');
	});
});

describe('The spending limit on n8n’s engine', () => {
	let env: TestEnvironment;
	const open = async (options: TestEnvironmentOptions = {}) =>
		(env = await TestEnvironment.open({ items: items(5), ...options }));
	const limited = (modelId: string, spendingLimit: number, more = {}) =>
		runOf(modelId, modelId === TEXT_TO_AUDIO ? { tags: 'x' } : { prompt: 'x' }, {
			options: { spendingLimit, ...more },
		});

	afterEach(async () => await env.close());

	it('submits nothing when it does not cover all items', async () => {
		await open();
		const run = await env.run(limited(TEXT_TO_IMAGE, 0.09));
		expect(failure(run)).toMatchObject({
			message: 'Nothing was submitted: 5 items cost about $0.10, more than the Spending Limit of $0.09',
			description: expect.stringContaining('The limit pays for 4 of them.') as string,
		});
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('runs as many as it covers when items may fail one by one', async () => {
		await open({ settings: { onError: 'continueErrorOutput' } });
		const run = await env.run(limited(TEXT_TO_IMAGE, 0.09));
		expect(outputItems(run)).toHaveLength(4);
		const [refused] = outputItems(run, 'RunComfy', 1);
		expect(refused?.json.error).toMatchObject({
			message: expect.stringContaining('the Spending Limit of $0.09 does not pay for it') as string,
		});
		expect(env.sandbox.stats.accepted).toBe(4);
	});

	it('allows all when it covers them, and reports what was spent', async () => {
		await open();
		const run = await env.run(limited(TEXT_TO_IMAGE, 0.1, { includeCost: false }));
		expect(outputItems(run)).toHaveLength(5);
		const report = 'Spent $0.10 on 5 requests, of a Spending Limit of $0.10.';
		expect(env.log.map(({ message }) => message)).toContain(`RunComfy: ${report}`);
		const [turn] = run.data.resultData.runData.RunComfy ?? [];
		expect(turn?.hints).toEqual([{ message: report, type: 'info', location: 'outputPane' }]);
	});

	it('counts the price of requests it does not wait for', async () => {
		await open({ items: items(2) });
		const run = await env.run({ ...limited(TEXT_TO_IMAGE, 0.5), waitForCompletion: false });
		expect(outputItems(run)).toHaveLength(2);
		expect(env.log.map(({ message }) => message)).toContain(
			'RunComfy: Spent $0.04 on 2 requests, of a Spending Limit of $0.50. 2 of them are still running.',
		);
	});

	it('runs items one after another where no price is known, and says so', async () => {
		await open({ settings: { onError: 'continueErrorOutput' } });
		const run = await env.run(limited(TEXT_TO_AUDIO, 0.2));
		expect(outputItems(run)).toHaveLength(3);
		expect(env.sandbox.stats.mostJobsAtOnce).toBe(1);
		const [turn] = run.data.resultData.runData.RunComfy ?? [];
		expect(turn?.hints?.[0]?.message).toContain('one after another');
	});

	it('runs them side by side at the cost that the user expects', async () => {
		await open({ settings: { onError: 'continueErrorOutput' }, sandbox: { runMs: 4_000 } });
		const run = await env.run(limited(TEXT_TO_AUDIO, 0.25, { expectedCost: 0.08 }));
		expect(outputItems(run)).toHaveLength(3);
		expect(env.sandbox.stats.mostJobsAtOnce).toBe(3);
	});

	it('applies to Replace Background too, whose price is per image', async () => {
		await open();
		const run = await env.run({ options: { spendingLimit: 0.2 } });
		expect(failure(run).message).toBe(
			'Nothing was submitted: 5 items cost about $0.30, more than the Spending Limit of $0.20',
		);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it.each([[0], ['much']])('refuses %j as a limit', async (spendingLimit) => {
		await open();
		const run = await env.run({ options: { spendingLimit } });
		expect(failure(run).message).toBe('“Spending Limit (USD)” must be a number from 0.01 to 100000');
	});
});

describe('The free operations', () => {
	let env: TestEnvironment;

	beforeEach(async () => (env = await TestEnvironment.open({ items: items(1) })));
	afterEach(async () => await env.close());

	it('Get returns a model’s inputs and price', async () => {
		const [item] = outputItems(
			await env.run({ resource: 'model', operation: 'get', modelId: byId(TEXT_TO_IMAGE) }),
		);
		expect(item?.json).toMatchObject({
			modelId: TEXT_TO_IMAGE,
			displayName: 'FLUX 2 Flash | Text to Image',
			kind: 'image',
			categories: ['text-to-image'],
			priceUsd: 0.02,
			priceUnit: 'request',
		});
		expect(item?.json.inputs).toContainEqual(
			expect.objectContaining({ name: 'guidance_scale', kind: 'number', minimum: 0, maximum: 20 }),
		);
		expect(item?.json.inputSchema).toHaveProperty('properties.prompt');
	});

	it.each<[string, Record<string, unknown>, number]>([
		['all', { returnAll: true }, CATALOG.length],
		['as many as asked for', { returnAll: false, limit: 3 }, 3],
		['what is searched', { returnAll: true, filters: { search: 'seedance' } }, 2],
		['one category', { returnAll: true, filters: { category: 'text-to-image' } }, 3],
		['what a number finds', { returnAll: true, filters: { search: '={{ 2.5 }}' } }, 3],
		['all with an empty filter', { returnAll: true, filters: { search: ' ', category: '' } }, CATALOG.length],
		[
			'what a text finds that is cut off in a character',
			{ returnAll: true, filters: { search: 'labs\ud83c' } },
			2,
		],
	])('Get Many lists %s', async (_, parameters, count) => {
		const run = await env.run({ resource: 'model', operation: 'getMany', ...parameters });
		expect(outputItems(run)).toHaveLength(count);
		expect(outputItems(run).every(({ pairedItem }) => JSON.stringify(pairedItem) === '{"item":0}')).toBe(
			true,
		);
		expect(outputItems(run)[0]?.json).not.toHaveProperty('inputSchema');
	});

	it.each([
		[{ search: '={{ [1] }}' }, '“Filters → Search” must be text'],
		[{ search: '={{ $json.nothing }}' }, '“Filters → Search” must be text'],
		[{ category: '={{ {} }}' }, '“Filters → Category” must be text'],
	])('Get Many refuses the filter %j', async (filters, message) => {
		const run = await env.run({ resource: 'model', operation: 'getMany', returnAll: true, filters });
		expect(failure(run).message).toBe(message);
	});

	it('Get Many reads up to an empty page when pages are smaller than asked and no total is given', async () => {
		await env.close();
		env = await TestEnvironment.open({ sandbox: { moreModels: 60, modelsPerPage: 25 } });
		const run = await env.run({ resource: 'model', operation: 'getMany', returnAll: true });
		expect(outputItems(run)).toHaveLength(60 + CATALOG.length);
		expect(run.data.resultData.runData.RunComfy?.[0]?.hints).toEqual([]);
		const some = await env.run({ resource: 'model', operation: 'getMany', returnAll: false, limit: 40 });
		expect(outputItems(some)).toHaveLength(40);
	});

	it('Get Many reads each page once for all items with the same filters and limit', async () => {
		await env.close();
		env = await TestEnvironment.open({ items: items(12), sandbox: { moreModels: 700 } });
		const many = { resource: 'model', operation: 'getMany' };
		const all = outputItems(await env.run({ ...many, returnAll: true }));
		expect(all).toHaveLength(12 * (700 + CATALOG.length));
		// Two pages, and an empty one.
		expect(env.sandbox.stats.modelListRequests).toBe(3);
		const some = { ...many, returnAll: false, limit: '={{ $json.n % 2 + 1 }}' };
		expect(outputItems(await env.run(some))).toHaveLength(18);
		expect(env.sandbox.stats.modelListRequests).toBe(5);
	});

	it('Get Many reports once when the list is longer than it reads', async () => {
		await env.close();
		env = await TestEnvironment.open({ items: items(2), sandbox: { moreModels: 60, modelsPerPage: 1 } });
		const run = await env.run({ resource: 'model', operation: 'getMany', returnAll: true });
		expect(outputItems(run)).toHaveLength(2 * 40);
		expect(run.data.resultData.runData.RunComfy?.[0]?.hints).toEqual([
			{
				message: 'RunComfy lists more models than these 40. Use a filter to narrow down the list.',
				type: 'warning',
				location: 'outputPane',
			},
		]);
	});

	it('finds a model by its page despite another entry with a malformed URL', async () => {
		await env.close();
		const [sample] = CATALOG;
		if (sample === undefined) throw new Error('No model');
		const broken = { ...sample, model_id: 'a/broken', model_url: 'https://www.runcomfy.com/models/a/100%' };
		env = await TestEnvironment.open({
			sandbox: {
				models: [
					broken,
					{ ...sample, model_id: 'a/good', model_url: 'https://www.runcomfy.com/models/a/better' },
				],
			},
		});
		const get = async (value: string) =>
			await env.run({ resource: 'model', operation: 'get', modelId: { __rl: true, mode: 'url', value } });
		expect(outputItems(await get('https://www.runcomfy.com/models/a/better'))[0]?.json.modelId).toBe(
			'a/good',
		);
		expect(failure(await get('https://www.runcomfy.com/models/a/100%')).message).toBe(
			'“Model” is neither the ID of a model nor the URL of its page on RunComfy',
		);
	});

	it.each([
		['all pages of a long list', { returnAll: true }, 1_200 + CATALOG.length],
		['as many of a long list as asked for', { returnAll: false, limit: 730 }, 730],
	])('Get Many reads %s', async (_, parameters, count) => {
		await env.close();
		env = await TestEnvironment.open({ sandbox: { moreModels: 1_200 } });
		env.sandbox.faults.add({ on: 'models', kind: 'badGateway', times: 1 });
		const found = outputItems(await env.run({ resource: 'model', operation: 'getMany', ...parameters }));
		expect(found).toHaveLength(count);
		expect(new Set(found.map(({ json }) => json.modelId)).size).toBe(count);
	});

	it('finds a model by its page on the last page of a long list', async () => {
		await env.close();
		env = await TestEnvironment.open({ sandbox: { moreModels: 1_200 } });
		const value = 'https://www.runcomfy.com/models/blackforestlabs/flux-2-flash';
		const modelId = { __rl: true, mode: 'url', value };
		const [item] = outputItems(await env.run({ resource: 'model', operation: 'get', modelId }));
		expect(item?.json.modelId).toBe(TEXT_TO_IMAGE);
	});

	it('Get Balance asks the account’s own host', async () => {
		const [item] = outputItems(await env.run({ resource: 'account', operation: 'getBalance' }));
		expect(item?.json).toEqual({ balance: 100, currency: 'USD' });
	});

	it('Get Balance explains its error', async () => {
		env.sandbox.faults.add({ on: 'balance', kind: 'errorCode', errorCode: 400004 });
		const run = await env.run({ resource: 'account', operation: 'getBalance' });
		expect(failure(run).message).toBe(
			'The balance could not be read: RunComfy did not accept the API token: “Refused, but politely.”',
		);
	});
});

describe('The token', () => {
	it('goes to the account’s address and to no other host', async () => {
		const env = await TestEnvironment.open({ credential: { platformBaseUrl: 'http://127.0.0.1:9' } });
		const run = await env.run({ resource: 'account', operation: 'getBalance' });
		expect(failure(run).message).toBe('The balance could not be read: RunComfy could not be reached');
		expect(env.sandbox.stats.modelRequests).toBe(0);
		await env.close();
	});

	it('refuses an account address that is not encrypted', async () => {
		const env = await TestEnvironment.open({ credential: { platformBaseUrl: 'http://api.example.com' } });
		const run = await env.run({ resource: 'account', operation: 'getBalance' });
		expect(failure(run).message).toContain('“Platform Base URL” must begin with https://');
		await env.close();
	});
});

describe('The editor’s lists, in n8n’s own context for them', () => {
	let env: TestEnvironment;
	const context = (parameters: Record<string, unknown> = {}): ILoadOptionsFunctions =>
		env.editorContext({ resource: 'model', operation: 'run', ...parameters });

	afterEach(async () => await env.close());

	it('lists models with their prices, and searches them', async () => {
		env = await TestEnvironment.open();
		const all = await searchModels.call(context());
		expect(all.results).toHaveLength(CATALOG.length);
		const found = await searchModels.call(context(), 'flux 2');
		expect(found.results).toEqual([
			{
				name: 'FLUX 2 Flash | Text to Image',
				value: TEXT_TO_IMAGE,
				url: 'https://www.runcomfy.com/models/blackforestlabs/flux-2-flash',
				description: '$0.02 per request · FLUX 2 Flash | Text to Image as the sandbox has it',
			},
		]);
	});

	it('lists a long catalog page by page', async () => {
		env = await TestEnvironment.open({ sandbox: { moreModels: 60 } });
		const first = await searchModels.call(context());
		expect(first.results).toHaveLength(50);
		const second = await searchModels.call(context(), undefined, first.paginationToken);
		expect(second.results).toHaveLength(10 + CATALOG.length);
		expect(second.results[0]?.name).toBe('Filler 50');
		const third = await searchModels.call(context(), undefined, second.paginationToken);
		expect(third).toEqual({ results: [] });
	});

	it('gives n8n no expression that RunComfy’s catalog holds', async () => {
		const [sample] = CATALOG;
		if (sample === undefined) throw new Error('No model');
		const properties = {
			'=id': { type: 'string' },
			text: { type: 'string', title: '={{ $env }}', default: '={{ 1 }}' },
			mode: { enum: ['=a', 'b'] },
		};
		const model = {
			...{ ...sample, model_id: 'a/odd', display_name: '={{ 1 }}' },
			input_schema: { type: 'object' as const, properties },
		};
		env = await TestEnvironment.open({ sandbox: { models: [model] } });
		const { results } = await searchModels.call(context());
		const { fields } = await getModelInputs.call(context({ modelId: byId('a/odd') }));
		expect(results.at(-1)).toMatchObject({ name: "'={{ 1 }}", value: 'a/odd' });
		expect(fields).toMatchObject([
			{ id: 'text', displayName: "'={{ $env }}" },
			{ id: 'mode', options: [{ name: 'b', value: 'b' }] },
		]);
		expect(JSON.stringify([results, fields])).not.toContain('"=');
	});

	it('lists categories', async () => {
		env = await TestEnvironment.open();
		expect(await getCategories.call(context())).toContainEqual({
			name: 'text-to-image',
			value: 'text-to-image',
		});
	});

	it('shows the inputs of the chosen model', async () => {
		env = await TestEnvironment.open();
		const { fields } = await getModelInputs.call(context({ modelId: byId(IMAGE_TO_VIDEO) }));
		expect(fields).toMatchObject([
			{ id: 'image', type: 'string', required: true },
			{ id: 'prompt', type: 'string', required: true },
			{ id: 'duration', type: 'number', displayName: 'Duration', defaultValue: 5 },
			{ id: 'generate_audio', type: 'boolean', defaultValue: true },
		]);
	});

	it.each([
		['searchModels', async () => await searchModels.call(context()), 'The list of models could not be read'],
		[
			'getCategories',
			async () => await getCategories.call(context()),
			'The list of categories could not be read',
		],
		[
			'getModelInputs',
			async () => await getModelInputs.call(context({ modelId: byId(TEXT_TO_IMAGE) })),
			`The model “${TEXT_TO_IMAGE}” could not be read`,
		],
	])('%s reports a wrong token', async (_, list, what) => {
		env = await TestEnvironment.open({ credential: { apiToken: 'another-account' } });
		await expect(list()).rejects.toMatchObject({
			message: expect.stringContaining(`${what}: RunComfy did not accept the API token`) as string,
			description: expect.stringContaining('paste a fresh token') as string,
		});
	});

	it('caches nothing of one account for another', async () => {
		env = await TestEnvironment.open();
		await searchModels.call(context());
		await getModelInputs.call(context({ modelId: byId(TEXT_TO_IMAGE) }));
		const other = await TestEnvironment.open({
			credential: { apiToken: 'another-account', baseUrl: env.sandbox.url },
		});
		const itsContext = other.editorContext({
			resource: 'model',
			operation: 'run',
			modelId: byId(TEXT_TO_IMAGE),
		});
		await expect(searchModels.call(itsContext)).rejects.toThrow('did not accept the API token');
		await expect(getModelInputs.call(itsContext)).rejects.toThrow('did not accept the API token');
		await other.close();
	});
});
