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
	type SandboxModel,
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
			seed,
			cost: 0.02,
		});
		for (const key of ['videos', 'audios', 'files', 'output']) expect(item?.json).not.toHaveProperty(key);
		expect(Object.keys(item?.json ?? {})[0]).toBe('url');
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
		const url = item?.json.url;
		expect(item?.json).toMatchObject({ video: url, videos: [url], cost: 0.6 });
		const file = { fileName: 'boat.mp4', mimeType: 'video/mp4', fileExtension: 'mp4' };
		expect(item?.binary?.data).toMatchObject(file);
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
		expect(item?.json).toMatchObject({
			text: 'A picture with lights in it.',
			output: { text: 'A picture with lights in it.' },
		});
		expect(item?.json).not.toHaveProperty('url');
		expect(item?.binary).toBeUndefined();
	});

	it('accepts several input files and several URLs at once', async () => {
		const picture = (await makeImage('x', 1, 32, 32)).toString('base64');
		const file = { mimeType: 'image/png', data: picture };
		await open({ items: [{ json: {}, binary: { a: file, b: file } }] });
		await env.run(runOf(IMAGE_EDIT, { prompt: 'Join them', image: 'a, https://example.com/c.png\nb' }));
		const { image } = env.sandbox.jobs[0]?.input ?? {};
		expect(image).toEqual([
			`data:image/png;base64,${picture}`,
			'https://example.com/c.png',
			`data:image/png;base64,${picture}`,
		]);
	});

	it('sends a file of the item where an input is exactly its name', async () => {
		const data = (await makeImage('x', 1, 32, 32)).toString('base64');
		await open({ items: [{ json: {}, binary: { a: { mimeType: 'image/png', data } } }] });
		await env.run(runOf(QUIRKS, { prompt: 'a boat', mystery: 'a' }));
		const { input } = env.sandbox.jobs[0] ?? {};
		expect(input).toEqual({ prompt: 'a boat', mystery: `data:image/png;base64,${data}` });
	});

	it('takes the item’s own fields for inputs, leaves out the rest, and refuses an item without an input', async () => {
		const named = { prompt: 'From the item', 'Image Size': 'square_hd', customer: 7 };
		await open({
			items: [{ json: named }, { json: { customer: 8 } }, { json: { imageSize: 'square_hd' } }],
			settings: { onError: 'continueRegularOutput' },
		});
		const run = await env.run({ ...runOf(TEXT_TO_IMAGE, {}), inputMode: 'auto' });
		const seed = expect.any(Number) as number;
		expect(env.sandbox.jobs.map(({ input }) => input)).toEqual([
			{ prompt: 'From the item', image_size: 'square_hd', seed },
		]);
		expect(outputItems(run)[1]?.json.error).toMatchObject({
			message:
				'“Specify Inputs” is “From Input Item”, but no field of the item names an input and has a value',
			description: expect.stringContaining('The inputs are: Prompt (prompt), ') as string,
		});
		expect(outputItems(run)[2]?.json.error).toMatchObject({
			message: '“Specify Inputs” is “From Input Item”, but no field of the item gives “Prompt” (prompt)',
			description: expect.stringContaining('Rename the fields of the item') as string,
		});
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

	it('asks once for the schema of a model, however many items there are, and runs them together', async () => {
		await open({ items: items(12), sandbox: { runMs: 60_000 } });
		env.sandbox.faults.add({ on: 'model', kind: 'serverError', times: 1 });
		const { done } = env.start(runOf(TEXT_TO_IMAGE, { prompt: 'x' }, { options: { maxConcurrency: 12 } }));
		await until('all run at once', () => env.sandbox.stats.accepted === 12);
		env.endJobs();
		expect(outputItems(await done)).toHaveLength(12);
		expect(env.sandbox.stats.modelRequests).toBe(2);
	});

	it.each<[string, Record<string, unknown>, string]>([
		['an empty input', { inputs: mapped({ prompt: ' ' }) }, '“Inputs → Prompt” must not be empty'],
		['an unknown model', { modelId: byId('nobody/has/this') }, 'RunComfy has no model “nobody/has/this”'],
		[
			'a number that would lose digits',
			{ inputMode: 'json', inputsJson: '{"seeds": [18446744073709551615]}' },
			'“Inputs (JSON) → seeds → 0” must not be beyond 9007199254740991',
		],
		['inputs that are a text', { inputs: { value: 'text' } }, '“Inputs” must be filled in'],
		['broken JSON', { inputMode: 'json', inputsJson: '{"prompt"' }, '“Inputs (JSON)” must be a JSON object'],
	])('refuses %s before anything is submitted', async (_, more, message) => {
		await open({ items: items(3) });
		const run = await env.run(runOf(TEXT_TO_IMAGE, { prompt: 'x' }, more));
		expect(failure(run).message).toContain(message);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it.each<[string, string, string]>([
		['a private address', 'https://10.0.0.1/a.png', '“Inputs → Image” points to this computer or a private'],
		['half an address', 'example.com/a.png', '“Inputs → Image” is neither a URL that begins with https'],
		['a name of objects', '__proto__', '“Inputs → Image” names no file of this item (“__proto__”)'],
		['another kind of file', 'text', '“Inputs → Image” points to a file that is not an image'],
	])('refuses %s as a file', async (_, image, message) => {
		const text = { mimeType: 'text/plain', data: Buffer.from('hello').toString('base64') };
		await open({ items: [{ json: {}, binary: { text } }] });
		expect(failure(await env.run(runOf(IMAGE_TO_VIDEO, { prompt: 'x', image }))).message).toContain(message);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('refuses a file that is larger than the model takes', async () => {
		await open({ binaryMode: 'filesystem', sandbox: { pictureBytes: 31_000_000 } });
		const [stored] = outputItems(await env.run({ downloadFiles: true }));
		await open({ binaryMode: 'filesystem', items: [{ json: {}, ...stored }] });
		const parameters = runOf(IMAGE_EDIT, { prompt: 'x', image: 'data' });
		const run = await env.run({ ...parameters, options: { sendFilesAs: 'temporaryUrl' } });
		expect(failure(run).message).toContain(
			'points to a file that the model does not accept (“data”): File size must be less than 30 MB.',
		);
	});

	it('stops while it reads the model, before anything is submitted', async () => {
		await open();
		env.sandbox.faults.add({ on: 'model', kind: 'hangBefore' });
		const execution = env.start(runOf(TEXT_TO_IMAGE, { prompt: 'x' }));
		await until('it asks', () => env.sandbox.stats.modelRequests > 0);
		await env.stop(execution);
		await expect(env.tries[0]).rejects.toThrow('Stopped');
		expect(env.sandbox.stats.submits).toBe(0);
	});
});

describe('The free operations', () => {
	let env: TestEnvironment;

	beforeEach(async () => (env = await TestEnvironment.open({ items: items(1) })));

	it('Get returns a model’s inputs and price, and the raw data where it is not to simplify', async () => {
		const get = { resource: 'model', operation: 'get', modelId: byId(TEXT_TO_IMAGE) };
		const [item] = outputItems(await env.run(get));
		expect(item?.json).toMatchObject({
			modelId: TEXT_TO_IMAGE,
			displayName: 'FLUX 2 Flash | Text to Image',
			categories: ['text-to-image'],
			price: '$0.02 per output',
			priceUsd: 0.02,
			priceUnit: 'output',
		});
		expect(item?.json.inputs).toContainEqual(
			expect.objectContaining({ name: 'guidance_scale', kind: 'number', minimum: 0, maximum: 20 }),
		);
		expect(Object.keys(item?.json ?? {}).length).toBeLessThanOrEqual(10);
		const [raw] = outputItems(await env.run({ ...get, simplify: false }));
		expect(raw?.json).toMatchObject({ kind: 'model', inputSchema: { properties: { prompt: {} } } });
	});

	it.each<[string, Record<string, unknown>, number]>([
		['all', { returnAll: true }, CATALOG.length],
		['as many as asked for', { returnAll: false, limit: 3 }, 3],
		['what is searched', { returnAll: true, filters: { search: 'seedance', category: '' } }, 2],
		['one category', { returnAll: true, filters: { search: ' ', category: 'text-to-image' } }, 2],
		['what a number finds', { returnAll: true, filters: { search: '={{ 2.5 }}' } }, 2],
		['what a broken character finds', { returnAll: true, filters: { search: 'labs\ud83c' } }, 1],
	])('Get Many lists %s', async (_, parameters, count) => {
		const run = await env.run({ resource: 'model', operation: 'getMany', ...parameters });
		expect(outputItems(run)).toHaveLength(count);
		for (const { pairedItem } of outputItems(run)) expect(pairedItem).toEqual({ item: 0 });
		expect(outputItems(run)[0]?.json).not.toHaveProperty('inputSchema');
	});

	it.each([
		[{ search: '={{ $json.nothing }}' }, '“Filters → Search” must be text'],
		[{ category: '={{ {} }}' }, '“Filters → Category” must be text'],
	])('Get Many refuses the filter %j', async (filters, message) => {
		const run = await env.run({ resource: 'model', operation: 'getMany', returnAll: true, filters });
		expect(failure(run).message).toBe(message);
	});

	it('Get Many reads up to an empty page when pages are smaller than asked and no total is given', async () => {
		env = await TestEnvironment.open({ sandbox: { moreModels: 60, modelsPerPage: 25 } });
		const run = await env.run({ resource: 'model', operation: 'getMany', returnAll: true });
		expect(outputItems(run)).toHaveLength(60 + CATALOG.length);
		expect(run.data.resultData.runData.RunComfy?.[0]?.hints).toEqual([]);
		const some = await env.run({ resource: 'model', operation: 'getMany', returnAll: false, limit: 40 });
		expect(outputItems(some)).toHaveLength(40);
	});

	it('Get Many reads each page once for all items with the same filters and limit', async () => {
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

	it('Get Many and the page of a model read a long list to its end, after an error too', async () => {
		env = await TestEnvironment.open({ sandbox: { moreModels: 1_200 } });
		env.sandbox.faults.add({ on: 'models', kind: 'badGateway', times: 1 });
		const run = await env.run({ resource: 'model', operation: 'getMany', returnAll: false, limit: 1_205 });
		expect(new Set(outputItems(run).map(({ json }) => json.modelId)).size).toBe(1_205);
		const value = 'https://www.runcomfy.com/models/blackforestlabs/flux-2-flash';
		const modelId = { __rl: true, mode: 'url', value };
		const [item] = outputItems(await env.run({ resource: 'model', operation: 'get', modelId }));
		expect(item?.json.modelId).toBe(TEXT_TO_IMAGE);
	});

	it('Get Balance asks the account’s own host', async () => {
		const [item] = outputItems(await env.run({ resource: 'account', operation: 'getBalance' }));
		expect(item?.json).toEqual({ balance: 100, currency: 'USD' });
	});
});

describe('The token', () => {
	it('goes to the account’s address and to no other host', async () => {
		const env = await TestEnvironment.open({ credential: { platformBaseUrl: 'http://127.0.0.1:9' } });
		const run = await env.run({ resource: 'account', operation: 'getBalance' });
		expect(failure(run).message).toBe(
			'The balance could not be read: RunComfy could not be reached at the credential’s “Platform Base URL”',
		);
		expect(env.sandbox.stats.modelRequests).toBe(0);
	});
});

describe('The editor’s lists, in n8n’s own context for them', () => {
	let env: TestEnvironment;
	const context = (parameters: Record<string, unknown> = {}): ILoadOptionsFunctions =>
		env.editorContext({ resource: 'model', operation: 'run', ...parameters });

	it('lists models with their prices, and searches them', async () => {
		env = await TestEnvironment.open();
		const all = await searchModels.call(context());
		expect(all.results).toHaveLength(CATALOG.length);
		const found = await searchModels.call(context(), 'flux 2');
		expect(found.results).toEqual([
			{
				name: 'FLUX 2 Flash · Text to Image · $0.02 per output',
				value: TEXT_TO_IMAGE,
				url: 'https://www.runcomfy.com/models/blackforestlabs/flux-2-flash',
			},
		]);
	});

	it.each<[string, Partial<SandboxModel>, string]>([
		['its task', { display_name: 'Wan 3' }, 'Wan 3 · Text to Image · $0.02 per output'],
		['no task that it names', { display_name: 'Wan Text To Image' }, 'Wan Text To Image · $0.02 per output'],
		['no price where none is known', { base_price_usd: 0 }, 'FLUX 2 Flash · Text to Image'],
		['a price without a unit', { price_unit: null }, 'FLUX 2 Flash · Text to Image · $0.02'],
	])('names a model with %s', async (_, changes, name) => {
		const model = CATALOG.find(({ model_id: id }) => id === TEXT_TO_IMAGE) as SandboxModel;
		const changed = { ...model, price_unit: 'output', ...changes, model_id: 'a/b' };
		env = await TestEnvironment.open({ sandbox: { models: [changed] } });
		expect((await searchModels.call(context())).results.at(-1)?.name).toBe(name);
	});

	it('lists a long catalog page by page', async () => {
		env = await TestEnvironment.open({ sandbox: { moreModels: 60 } });
		const first = await searchModels.call(context());
		expect(first.results).toHaveLength(50);
		const second = await searchModels.call(context(), undefined, first.paginationToken);
		expect(second.results).toHaveLength(10 + CATALOG.length);
		expect(second.results[0]?.name).toMatch(/^Filler 50 /);
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
		expect(results.at(-1)).toMatchObject({ name: expect.stringMatching(/^'={{ 1 }} /), value: 'a/odd' });
		expect(fields).toMatchObject([
			{ id: 'text', displayName: "'={{ $env }}" },
			{ id: 'mode', options: [{ name: "'=a", value: '={{ "\\u003da" }}' }, { name: 'b' }] },
		]);
	});

	it('lists categories', async () => {
		env = await TestEnvironment.open();
		expect(await getCategories.call(context())).toContainEqual({
			name: 'Text to Image',
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

	it.each<[string, (this: ILoadOptionsFunctions) => Promise<unknown>]>([
		['The list of models', searchModels],
		['The list of categories', getCategories],
		[`The model “${TEXT_TO_IMAGE}”`, getModelInputs],
	])('%s is not shown for a wrong token', async (what, list) => {
		env = await TestEnvironment.open({ credential: { apiToken: 'another-account' } });
		await expect(list.call(context({ modelId: byId(TEXT_TO_IMAGE) }))).rejects.toMatchObject({
			message: expect.stringContaining(
				`${what} could not be read: RunComfy did not accept the API token`,
			) as string,
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
	});
});
