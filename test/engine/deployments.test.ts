import sharp from 'sharp';

import { DEPLOYMENT_ID } from '../sandbox/deployments';
import type { SandboxOptions } from '../sandbox/sandbox';
import { until } from '../until';
import { byId, runOf } from './deploymentRuns';
import { FAST, failure, items, outputItems, TestEnvironment } from './testEnvironment';

const jsonOf = (deploymentId: string, overrides: unknown, more: Record<string, unknown> = {}) => ({
	...runOf(deploymentId, {}, more),
	inputMode: 'json',
	overridesJson: typeof overrides === 'string' ? overrides : JSON.stringify(overrides),
});

/** A graph like ComfyUI's default one. */
const SEED = '3.seed';
const TEXT = '6.text';

describe('ComfyUI Deployment → Run', () => {
	let env: TestEnvironment;
	const open = async (sandbox: SandboxOptions = {}, options = {}) => {
		env = await TestEnvironment.open({ sandbox, ...options });
	};
	const bodyOf = (index = 0) =>
		JSON.parse(env.sandbox.jobs[index]?.bodyText ?? '{}') as Record<string, unknown>;

	it('sends only what is filled in, and a random seed, and returns the files with node and title', async () => {
		await open();
		const run = await env.run(runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: 'a lighthouse', '3.steps': null }));
		const [item] = outputItems(run);
		const seed = (item?.json.seeds as Record<string, number>)[SEED];
		expect(Number.isInteger(seed)).toBe(true);
		expect(bodyOf()).toEqual({
			overrides: { 6: { inputs: { text: 'a lighthouse' } }, 3: { inputs: { seed } } },
		});
		const { requestId } = env.sandbox.jobs[0] ?? {};
		const url = expect.stringContaining('/outputs/') as string;
		expect(item?.json).toMatchObject({
			requestId,
			deploymentId: DEPLOYMENT_ID.textToImage,
			status: 'succeeded',
			url,
			image: url,
			images: [url],
			files: [{ nodeId: '9', title: 'Save Image', channel: 'images', url }],
			createdAt: expect.any(String),
			finishedAt: expect.any(String),
		});
		for (const key of ['error', 'cost', 'videos', 'texts', 'values'])
			expect(item?.json).not.toHaveProperty(key);
		// The preview is only in what RunComfy reported.
		expect(JSON.stringify(item?.json.outputs)).toContain('"temp"');
		expect(item?.pairedItem).toEqual({ item: 0 });
		expect(env.sandbox.stats).toMatchObject({ submits: 1, deploymentRequests: 1, objectInfoRequests: 0 });
	});

	it('submits all items at once, in order, each with seeds of its own, and reads the graph once', async () => {
		await open({ runMs: 60_000 }, { items: items(5) });
		const { done } = env.start(runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: '={{ "item " + $json.n }}' }));
		await until('all run at once', () => env.sandbox.stats.accepted === 5);
		env.endJobs();
		const run = await done;
		const found = outputItems(run);
		expect(found.map(({ pairedItem }) => pairedItem)).toEqual([0, 1, 2, 3, 4].map((item) => ({ item })));
		expect(new Set(found.map(({ json }) => (json.seeds as Record<string, number>)[SEED])).size).toBe(5);
		const prompts = new Map(env.sandbox.jobs.map(({ requestId, prompt }) => [requestId, prompt]));
		expect(found.map(({ json }) => prompts.get(String(json.requestId)))).toEqual(
			[0, 1, 2, 3, 4].map((n) => expect.stringContaining(`item ${n}`) as string),
		);
		expect(env.sandbox.stats).toMatchObject({ submits: 5, deploymentRequests: 1 });
	});

	it('sends only what differs from the defaults that the editor saved, and an emptied text as empty', async () => {
		await open();
		const schema = [
			{ id: TEXT, defaultValue: 'as deployed' },
			{ id: '7.text', defaultValue: 'blurry' },
			{ id: SEED, defaultValue: 5, rules: { kind: 'integer', maximum: 99 } },
			{ id: '3.steps', defaultValue: 20 },
			{ id: '3.cfg', defaultValue: 8 },
			{ id: '99.gone', defaultValue: 1 },
		];
		const value = {
			...{ [TEXT]: 'as deployed', '7.text': '', [SEED]: 5, '3.steps': 20, '3.cfg': '', '99.gone': 1 },
			...{ '5.width': null, '5.height': '={{ $json.nothing }}', '3.denoise': 0.5 },
		};
		await env.run({
			...runOf(DEPLOYMENT_ID.textToImage),
			inputs: { mappingMode: 'defineBelow', value, schema },
		});
		const seed = expect.any(Number) as number;
		expect(bodyOf()).toEqual({
			overrides: { 7: { inputs: { text: '' } }, 3: { inputs: { seed, denoise: 0.5 } } },
		});
	});

	it('explains a success without outputs, which an unchanged seed leads to', async () => {
		await open();
		const same = runOf(DEPLOYMENT_ID.textToImage, { [SEED]: 7 });
		await env.run(same);
		const { message, description } = failure(await env.run(same));
		expect(message).toBe(`RunComfy request ${env.sandbox.jobs[1]?.requestId} succeeded, but has no outputs`);
		expect(description).toContain('Randomize Seeds');
		expect(env.sandbox.stats.submits).toBe(2);
	});

	it('returns files of every kind, and downloads them with the types of their contents', async () => {
		await open({ pictures: 'scene' });
		const run = await env.run(runOf(DEPLOYMENT_ID.everyKindOfFile, {}, { downloadFiles: true }));
		const [item] = outputItems(run);
		const { images, videos, audios, files, texts, seeds } = item?.json ?? {};
		expect([images, videos, audios].map((urls) => (urls as string[] | undefined)?.length)).toEqual([
			undefined,
			1,
			1,
		]);
		expect((files as Array<{ channel: string }>).map(({ channel }) => channel)).toEqual([
			'gifs',
			'audio',
			'3d',
		]);
		const text = 'A sneaker for the autumn. Made with ComfyUI.';
		expect(texts).toEqual([
			{ nodeId: expect.any(String) as string, title: expect.any(String) as string, text },
		]);
		expect(Object.keys(seeds as object)).toEqual(['5.seed', '9.seed']);
		expect(
			Object.values(item?.binary ?? {}).map(({ mimeType, fileExtension }) => [mimeType, fileExtension]),
		).toEqual([
			['video/mp4', 'mp4'],
			[expect.stringMatching(/^audio\//), expect.any(String)],
			['model/gltf-binary', 'glb'],
		]);
	});

	it('returns the files that come where another fails', async () => {
		await open({ pictures: 'scene' });
		env.sandbox.faults.add({ on: 'output', kind: 'notFound', times: 1 });
		const run = await env.run(runOf(DEPLOYMENT_ID.everyKindOfFile, {}, { downloadFiles: true }));
		const [item] = outputItems(run);
		expect(Object.keys(item?.binary ?? {})).toEqual(['data', 'data_1']);
		expect(item?.json.files).toHaveLength(3);
		expect(item?.json.failedFiles).toMatchObject([{ reason: 'the file server answered with HTTP 404' }]);
	});

	it('downloads from this machine when the API of deployments is there, wherever the one of models is', async () => {
		await open({}, { credential: { baseUrl: 'https://model-api.test' } });
		const sent = await env.run(runOf(DEPLOYMENT_ID.textToImage, {}, { downloadFiles: true }));
		expect(outputItems(sent)[0]?.binary?.data).toMatchObject({ mimeType: 'image/png' });
		const fetched = await env.run({
			resource: 'request',
			operation: 'getResult',
			requestType: 'deployment',
			deploymentId: byId(DEPLOYMENT_ID.textToImage),
			requestId: env.sandbox.jobs[0]?.requestId,
			downloadFiles: true,
		});
		expect(outputItems(fetched)[0]?.binary?.data).toMatchObject({ mimeType: 'image/png' });
	});

	it('takes videos in the channel of images for videos, and ids of subgraphs for what they are', async () => {
		await open({ pictures: 'scene' });
		const run = await env.run(runOf(DEPLOYMENT_ID.largeIntegers, { '57:6.text': 'a dog' }));
		const [item] = outputItems(run);
		expect(item?.json).toMatchObject({ videos: [expect.stringContaining('.mp4')] });
		expect(item?.json).not.toHaveProperty('images');
		const { overrides } = bodyOf() as { overrides: Record<string, { inputs: Record<string, unknown> }> };
		expect(overrides['57:6']).toEqual({ inputs: { text: 'a dog' } });
		expect(Number.isSafeInteger(overrides['57:3']?.inputs.noise_seed)).toBe(true);
		// A value node holds the seed of another node.
		expect(Number.isSafeInteger(overrides['61']?.inputs.value)).toBe(true);
		expect(Object.keys(overrides).sort()).toEqual(['57:3', '57:6', '61']);
	});

	it('sends the file of an item as a data URI, and a URL as it is', async () => {
		const photo = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
			.png()
			.toBuffer();
		const binary = { photo: { data: photo.toString('base64'), mimeType: 'image/png' } };
		await open({}, { items: [{ json: {}, binary }] });
		await env.run(runOf(DEPLOYMENT_ID.imageToImage, { '10.image': 'photo' }));
		expect(bodyOf()).toMatchObject({
			overrides: { 10: { inputs: { image: `data:image/png;base64,${photo.toString('base64')}` } } },
		});
		await env.run(runOf(DEPLOYMENT_ID.imageToImage, { '10.image': 'https://example.com/a b.png' }));
		expect(bodyOf(1)).toMatchObject({
			overrides: { 10: { inputs: { image: 'https://example.com/a%20b.png' } } },
		});
	});

	it('sends JSON as written, with random seeds where it names none', async () => {
		await open();
		const overrides = { 6: { inputs: { text: 'x', clip: ['4', 1] } }, 3: { inputs: { steps: 4 } } };
		await env.run(jsonOf(DEPLOYMENT_ID.textToImage, overrides));
		const seed = env.sandbox.jobs[0]?.graph?.['3']?.inputs.seed;
		expect(bodyOf()).toEqual({ overrides: { ...overrides, 3: { inputs: { steps: 4, seed } } } });
		const withSeed = { 3: { inputs: { seed: 5 } } };
		const run = await env.run(jsonOf(DEPLOYMENT_ID.textToImage, withSeed));
		expect(bodyOf(1)).toEqual({ overrides: withSeed });
		expect(outputItems(run)[0]?.json.seeds).toEqual({ [SEED]: 5 });
	});

	it('sends JSON when the workflow cannot be read, as written and without titles', async () => {
		await open();
		env.sandbox.faults.add({
			on: 'deployment',
			kind: 'answer',
			answer: { status: 418, body: {} },
		});
		const run = await env.run(jsonOf(DEPLOYMENT_ID.textToImage, { 6: { inputs: { text: 'x' } } }));
		expect(bodyOf()).toEqual({ overrides: { 6: { inputs: { text: 'x' } } } });
		expect(outputItems(run)[0]?.json).toMatchObject({ files: [{ nodeId: '9' }] });
	});

	const finishedWith = async (body: object) => {
		await open();
		env.sandbox.faults.add({
			on: 'result',
			kind: 'answer',
			answer: { status: 200, body: { status: 'succeeded', ...body } },
		});
		return await env.run(runOf(DEPLOYMENT_ID.textToImage));
	};
	const url = 'https://files.example/a.png';

	it('returns previews, numbers, and results under another key', async () => {
		const preview = { 9: { images: [{ url, filename: 'a.png', type: 'temp' }] } };
		const [shown] = outputItems(await finishedWith({ outputs: preview }));
		expect(shown?.json).toMatchObject({
			url,
			image: url,
			files: [{ nodeId: '9', fileName: 'a.png', preview: true }],
		});
		const [counted] = outputItems(await finishedWith({ outputs: { 5: { value: [42] } } }));
		expect(counted?.json).toMatchObject({ values: [{ nodeId: '5', value: 42 }] });
		const [other] = outputItems(await finishedWith({ output: { 9: { images: [{ url }] } } }));
		expect(other?.json).toMatchObject({ url, files: [{ nodeId: '9', channel: 'images' }] });
	});

	it('shows what came where nothing of it can be returned', async () => {
		const { message, description } = failure(
			await finishedWith({ outputs: { 9: { result: ['3d/a.glb'] } } }),
		);
		expect(message).toContain('succeeded, but has no outputs that can be returned');
		expect(description).toContain('{"9":{"result":["3d/a.glb"]}}');
	});

	it('submits no JSON to a deployment that the token may not read', async () => {
		await open();
		env.sandbox.faults.add({ on: 'deployment', kind: 'answer', answer: { status: 401, body: {} } });
		const run = await env.run(jsonOf(DEPLOYMENT_ID.textToImage, { 6: { inputs: { text: 'x' } } }));
		expect(failure(run).message).toContain('RunComfy did not accept the API token');
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it.each([
		['an empty one', '={{ "" }}', '“Deployment” must not be empty'],
		['an unknown one', '3f1c6a52-0000-4000-8000-000000000000', 'RunComfy has no deployment “3f1c6a52-0000-'],
		['that of somebody else', DEPLOYMENT_ID.foreign, 'belongs to another RunComfy account'],
		['a disabled one', DEPLOYMENT_ID.disabled, '“Deployment” is disabled on RunComfy'],
	])('refuses %s before anything is submitted', async (_name, deploymentId, message) => {
		await open();
		expect(failure(await env.run(runOf(deploymentId, { [TEXT]: 'x' }))).message).toContain(message);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('keeps outputs of another shape than the documented one', async () => {
		await open();
		const outputs = [{ images: [{ url: 'https://files.example/a.png' }] }];
		const answer = { status: 200, body: { status: 'succeeded', outputs } };
		env.sandbox.faults.add({ on: 'result', kind: 'answer', answer });
		const [item] = outputItems(await env.run(runOf(DEPLOYMENT_ID.textToImage)));
		expect(item?.json).toMatchObject({ status: 'succeeded', outputs, url: 'https://files.example/a.png' });
	});

	it('reports ComfyUI’s own message and the node', async () => {
		await open({}, { items: items(2), settings: { onError: 'continueRegularOutput' } });
		env.sandbox.faults.add({ job: 'failed', promptIncludes: 'item 1' });
		const run = await env.run(runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: '={{ "item " + $json.n }}' }));
		const [good, bad] = outputItems(run);
		expect(good?.json).toMatchObject({ status: 'succeeded' });
		const { requestId } = env.sandbox.jobs.find(({ prompt }) => prompt.includes('item 1')) ?? {};
		expect(bad?.json).toMatchObject({ n: 1, error: { requestId } });
		const { message } = bad?.json.error as { message: string };
		expect(message).toContain(`RunComfy request ${requestId} failed`);
		expect(message).toMatch(/KSampler.*Allocation on device 0/);
	});

	describe('after another item has failed', () => {
		/** Item 1 fails as soon as item 0 is known to run. */
		const runBoth = async (settings: object, times = 1) => {
			await open({ runMs: (n) => (n < 2 ? 60_000 : 0) }, { items: items(2), settings });
			env.sandbox.faults.add({ job: 'failed', promptIncludes: 'item 1', times });
			const { done } = env.start(runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: '={{ "item " + $json.n }}' }));
			const isPolled = () =>
				env.sandbox.jobs.length === 2 && env.sandbox.jobs.every(({ polls }) => polls > 1);
			await until('both are known to run', isPolled);
			env.endJobs('item 1');
			return { running: env.sandbox.jobs.find(({ prompt }) => prompt.includes('item 0')), done };
		};

		it('a retry resumes what is running, with the seeds that were sent', async () => {
			const settings = { retryOnFail: true, maxTries: 2, waitBetweenTries: 0 };
			const { running, done } = await runBoth(settings);
			await until('the failed one is submitted again', () => env.sandbox.jobs.length === 3);
			env.endJobs('item 0');
			const found = outputItems(await done);
			expect(env.sandbox.jobs).toHaveLength(3);
			expect(env.sandbox.stats.cancels).toBe(0);
			const sent = new Map(
				env.sandbox.jobs.map(({ requestId, graph }) => [requestId, graph?.['3']?.inputs.seed]),
			);
			expect(found[0]?.json.requestId).toBe(running?.requestId);
			for (const { json } of found) expect(json.seeds).toEqual({ [SEED]: sent.get(String(json.requestId)) });
		});

		it('what is running is cancelled when there is no retry', async () => {
			const { running, done } = await runBoth({});
			expect(failure(await done).description).toContain(`Cancelled: ${running?.requestId} (was running)`);
			expect(env.sandbox.stats.cancels).toBe(1);
		});

		it('what is running is cancelled after the last retry, which advises no further one', async () => {
			const settings = { retryOnFail: true, maxTries: 2, waitBetweenTries: 0 };
			const { running, done } = await runBoth(settings, 2);
			const { description } = failure(await done);
			expect(description).toContain(`Cancelled: ${running?.requestId} (was running)`);
			expect(description).not.toContain('Retry On Fail');
			expect(env.tries).toHaveLength(2);
			expect(env.sandbox.stats.cancels).toBe(1);
		});
	});

	it('Stop cancels what is running', async () => {
		await open({ runMs: 60_000 }, { items: items(2) });
		const execution = env.start(runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: '={{ $json.n }}' }));
		const isPolled = () => env.sandbox.jobs.length === 2 && env.sandbox.jobs.every(({ polls }) => polls > 1);
		await until('both are known to run', isPolled);
		await env.stop(execution);
		expect(env.sandbox.stats.cancels).toBe(2);
		expect(env.stopReports).toEqual([expect.stringContaining(' (was running)')]);
	});

	it('logs that a deployment starts, once for each state', async () => {
		await open({ coldStartMs: 60_000, runMs: 60_000 });
		const { done } = env.start(runOf(DEPLOYMENT_ID.textToImage));
		await until('it is submitted', () => env.sandbox.jobs.length === 1);
		const [job] = env.sandbox.jobs;
		if (job === undefined) throw new Error('No job');
		for (const time of ['runsAt', 'endsAt'] as const) {
			const { polls } = job;
			await until('it has been polled twice', () => job.polls > polls + 1);
			job[time] = 0;
		}
		await done;
		const lines = env.log.filter(
			({ level, message }) => level === 'info' && message.startsWith(`RunComfy request ${job.requestId}: `),
		);
		expect(lines.map(({ message }) => message)).toEqual([
			expect.stringContaining('queued; the deployment may have to start first'),
			expect.stringContaining('running'),
		]);
	});

	it('another item’s failure ends Get Result while it reads the titles', async () => {
		await open({ runMs: 0 }, { items: items(2) });
		await env.run(runOf(DEPLOYMENT_ID.textToImage));
		const { requestId = '' } = env.sandbox.jobs[0] ?? {};
		env.sandbox.faults.add(
			{ on: 'deployment', kind: 'hangBefore' },
			{ on: 'result', kind: 'errorCode', errorCode: 403003, requestId: 'refused' },
		);
		const run = await env.run({
			...{ resource: 'request', operation: 'getResult', requestType: 'deployment' },
			deploymentId: byId(DEPLOYMENT_ID.textToImage),
			requestId: `={{ $json.n === 1 ? "refused" : "${requestId}" }}`,
			options: FAST,
		});
		// Without an end, the test would wait for the read to time out.
		expect(failure(run).message).toContain('refused');
	});

	it('returns the request at once without waiting, and Get Result fetches it', async () => {
		await open({ runMs: 300 });
		const sent = await env.run(runOf(DEPLOYMENT_ID.textToImage, {}, { waitForCompletion: false }));
		const [item] = outputItems(sent);
		const { requestId } = env.sandbox.jobs[0] ?? {};
		expect(item?.json).toEqual({ requestId, status: 'in_queue', seeds: { [SEED]: expect.any(Number) } });
		const request = {
			resource: 'request',
			requestType: 'deployment',
			deploymentId: byId(DEPLOYMENT_ID.textToImage),
			requestId,
		};
		const result = await env.run({ ...request, operation: 'getResult', downloadFiles: true, options: FAST });
		expect(outputItems(result)[0]).toMatchObject({
			json: {
				requestId,
				deploymentId: DEPLOYMENT_ID.textToImage,
				status: 'succeeded',
				files: [{ nodeId: '9', title: 'Save Image' }],
			},
			binary: { data: { mimeType: 'image/png' } },
		});
		expect(env.sandbox.stats.submits).toBe(1);
	});
});

describe('ComfyUI Deployment → Get and Get Many', () => {
	let env: TestEnvironment;

	it('Get returns the inputs as fields, and the graph with the raw data', async () => {
		env = await TestEnvironment.open();
		const deploymentId = byId(DEPLOYMENT_ID.textToImage);
		const get = { resource: 'deployment', operation: 'get', deploymentId };
		const [simple] = outputItems(await env.run(get));
		expect(Object.keys(simple?.json ?? {}).sort()).toEqual([
			'deploymentId',
			'hardware',
			'inputs',
			'isEnabled',
			'name',
			'status',
			'workflowVersion',
		]);
		const { json } = outputItems(await env.run({ ...get, simplify: false }))[0] ?? {};
		expect(json).toMatchObject({
			deploymentId: DEPLOYMENT_ID.textToImage,
			name: 'Text to image',
			hardware: ['AMPERE_48'],
			isEnabled: true,
			inputs: expect.arrayContaining([expect.objectContaining({ name: SEED, kind: 'integer' })]),
			graph: { 3: { class_type: 'KSampler' } },
		});
	});

	it('Get Many lists them with their inputs', async () => {
		env = await TestEnvironment.open();
		const many = { resource: 'deployment', operation: 'getMany' };
		const all = outputItems(await env.run({ ...many, returnAll: true }));
		expect(all.length).toBeGreaterThanOrEqual(5);
		const withInputs = all.filter(({ json }) => (json.inputs as unknown[] | undefined)?.length);
		// A LoRA has no workflow.
		expect(withInputs).toHaveLength(all.length - 1);
		expect(all[0]?.json).not.toHaveProperty('graph');
	});

	it('Get Many reads the list once for all items, and again in the next execution', async () => {
		env = await TestEnvironment.open({ items: items(12) });
		const many = { resource: 'deployment', operation: 'getMany', limit: '={{ $json.n % 2 + 1 }}' };
		expect(outputItems(await env.run(many))).toHaveLength(18);
		expect(env.sandbox.stats.deploymentListRequests).toBe(1);
		await env.run(many);
		expect(env.sandbox.stats.deploymentListRequests).toBe(2);
	});
});
