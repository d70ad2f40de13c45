import sharp from 'sharp';

import { DEPLOYMENT_ID } from '../sandbox/deployments';
import type { SandboxOptions } from '../sandbox/sandbox';
import { failure, items, outputItems, TestEnvironment } from './testEnvironment';
import { until } from '../until';

const FAST = { pollInterval: 0.2 };
const byId = (value: string) => ({ __rl: true, mode: 'id', value });

const runOf = (
	deploymentId: string,
	value: Record<string, unknown> = {},
	more: Record<string, unknown> = {},
) => ({
	resource: 'deployment',
	operation: 'run',
	deploymentId: byId(deploymentId),
	inputs: { mappingMode: 'defineBelow', value },
	...more,
	options: { ...FAST, ...(more.options as object | undefined) },
});

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

	afterEach(async () => await env.close());

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
			images: [url],
			videos: [],
			audios: [],
			files: [{ nodeId: '9', title: 'Save Image', channel: 'images', url }],
			texts: [],
			createdAt: expect.any(String),
			finishedAt: expect.any(String),
		});
		expect(item?.json).not.toHaveProperty('error');
		expect(item?.json).not.toHaveProperty('cost');
		// The preview is only in what RunComfy reported.
		expect(JSON.stringify(item?.json.outputs)).toContain('"temp"');
		expect(item?.pairedItem).toEqual({ item: 0 });
		expect(env.sandbox.stats).toMatchObject({ submits: 1, deploymentRequests: 1, objectInfoRequests: 0 });
	});

	it('submits all items at once, in order, each with seeds of its own, and reads the graph once', async () => {
		await open({ runMs: 400 }, { items: items(5) });
		const from = performance.now();
		const run = await env.run(runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: '={{ "item " + $json.n }}' }));
		expect(performance.now() - from).toBeLessThan(4 * 400 + 1_000);
		const found = outputItems(run);
		expect(found.map(({ pairedItem }) => pairedItem)).toEqual([0, 1, 2, 3, 4].map((item) => ({ item })));
		expect(new Set(found.map(({ json }) => (json.seeds as Record<string, number>)[SEED])).size).toBe(5);
		const prompts = new Map(env.sandbox.jobs.map(({ requestId, prompt }) => [requestId, prompt]));
		expect(found.map(({ json }) => prompts.get(String(json.requestId)))).toEqual(
			[0, 1, 2, 3, 4].map((n) => expect.stringContaining(`item ${n}`) as string),
		);
		expect(env.sandbox.stats).toMatchObject({ submits: 5, deploymentRequests: 1 });
	});

	it('keeps the seed of the user, and none is random when Randomize Seeds is off', async () => {
		await open({}, { items: items(1) });
		const own = await env.run(runOf(DEPLOYMENT_ID.textToImage, { [SEED]: 7 }));
		expect(outputItems(own)[0]?.json.seeds).toEqual({ [SEED]: 7 });
		expect(bodyOf()).toEqual({ overrides: { 3: { inputs: { seed: 7 } } } });
		const off = await env.run(
			runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: 'x' }, { options: { randomizeSeeds: false } }),
		);
		expect(bodyOf(1)).toEqual({ overrides: { 6: { inputs: { text: 'x' } } } });
		expect(outputItems(off)[0]?.json).not.toHaveProperty('seeds');
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

	it('takes random seeds from the bounds that the editor saved', async () => {
		await open({}, { items: items(8) });
		const schema = [{ id: SEED, rules: { kind: 'integer', minimum: 5, maximum: 7 } }];
		await env.run({
			...runOf(DEPLOYMENT_ID.textToImage),
			inputs: { mappingMode: 'defineBelow', value: { [TEXT]: '={{ $json.n }}' }, schema },
		});
		const seeds = env.sandbox.jobs.map(({ graph }) => Number(graph?.['3']?.inputs.seed));
		expect(seeds).toHaveLength(8);
		for (const seed of seeds) expect([5, 6, 7]).toContain(seed);
	});

	it('returns files of every kind, and downloads them with the types of their contents', async () => {
		await open({ pictures: 'scene' });
		const run = await env.run(runOf(DEPLOYMENT_ID.everyKindOfFile, {}, { downloadFiles: true }));
		const [item] = outputItems(run);
		const { images, videos, audios, files, texts, seeds } = item?.json ?? {};
		expect([images, videos, audios].map((urls) => (urls as string[]).length)).toEqual([0, 1, 1]);
		expect((files as Array<{ channel: string }>).map(({ channel }) => channel)).toEqual([
			'gifs',
			'audio',
			'3d',
		]);
		expect(texts).toEqual(['A sneaker for the autumn. Made with ComfyUI.']);
		expect(Object.keys(seeds as object)).toEqual(['5.seed', '9.seed']);
		expect(
			Object.values(item?.binary ?? {}).map(({ mimeType, fileExtension }) => [mimeType, fileExtension]),
		).toEqual([
			['video/mp4', 'mp4'],
			[expect.stringMatching(/^audio\//), expect.any(String)],
			['model/gltf-binary', 'glb'],
		]);
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
		expect(item?.json).toMatchObject({ images: [], videos: [expect.stringContaining('.mp4')] });
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

	describe('JSON', () => {
		it('sends overrides as written, with random seeds where they name none', async () => {
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

		it('runs when the workflow cannot be read, as written and without titles', async () => {
			await open();
			env.sandbox.faults.add({
				on: 'deployment',
				kind: 'answer',
				answer: { status: 403, body: { error_code: 403003 } },
			});
			const run = await env.run(jsonOf(DEPLOYMENT_ID.textToImage, { 6: { inputs: { text: 'x' } } }));
			expect(bodyOf()).toEqual({ overrides: { 6: { inputs: { text: 'x' } } } });
			expect(outputItems(run)[0]?.json).toMatchObject({ files: [{ nodeId: '9' }] });
		});
	});

	it.each([
		['no deployment', { deploymentId: byId('={{ "" }}') }, '“Deployment” must not be empty'],
		['a path', { deploymentId: byId('../requests') }, '“Deployment” is not the ID of a deployment'],
		[
			'an unknown one',
			{ deploymentId: byId('3f1c6a52-0000-4000-8000-000000000000') },
			'RunComfy has no deployment “3f1c6a52-0000-4000-8000-000000000000”',
		],
		[
			'that of somebody else',
			{ deploymentId: byId(DEPLOYMENT_ID.foreign) },
			'belongs to another RunComfy account',
		],
		[
			'a disabled one',
			{ deploymentId: byId(DEPLOYMENT_ID.disabled) },
			'“Deployment” is disabled on RunComfy',
		],
		[
			'a text as a number',
			{ inputs: { mappingMode: 'defineBelow', value: { '3.steps': 'many' } } },
			'“Inputs → Steps” must be a number',
		],
		[
			'an inexact number',
			{ inputs: { mappingMode: 'defineBelow', value: { [SEED]: '18446744073709551615' } } },
			'“Inputs → Seed” must not be beyond 9007199254740991',
		],
		[
			'an unknown input',
			{ inputs: { mappingMode: 'defineBelow', value: { '99.text': 'x' } } },
			'“Inputs → 99.text” is no input of the workflow',
		],
		[
			'overrides in overrides',
			{ inputMode: 'json', overridesJson: '{"overrides": {"6": {}}}' },
			'not the key “overrides”',
		],
		[
			'JSON that is none',
			{ inputMode: 'json', overridesJson: 'x' },
			'“Overrides (JSON)” must be a JSON object',
		],
		[
			'an empty option',
			{ options: { randomizeSeeds: '' } },
			'“Randomize Seeds” must be true or false, but is empty',
		],
	])('refuses %s before anything is submitted', async (_name, wrong, message) => {
		await open();
		const run = await env.run({ ...runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: 'x' }), ...wrong });
		expect(failure(run).message).toContain(message);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('names the input that RunComfy does not accept', async () => {
		await open();
		const run = await env.run(runOf(DEPLOYMENT_ID.textToImage, { '3.sampler_name': 'nonsense' }));
		const { message } = failure(run);
		expect(message).toContain('Nothing was submitted: RunComfy did not accept the inputs');
		expect(message).toContain('overrides.3.inputs.sampler_name');
	});

	it.each(['failed', 'failedList'] as const)(
		"reports ComfyUI's own message and the node (%s)",
		async (job) => {
			await open({}, { items: items(2), settings: { onError: 'continueRegularOutput' } });
			env.sandbox.faults.add({ job, promptIncludes: 'item 1' });
			const run = await env.run(runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: '={{ "item " + $json.n }}' }));
			const [good, bad] = outputItems(run);
			expect(good?.json).toMatchObject({ status: 'succeeded' });
			const { requestId } = env.sandbox.jobs.find(({ prompt }) => prompt.includes('item 1')) ?? {};
			const { message } = bad?.json.error as { message: string };
			expect(bad?.json).toMatchObject({ n: 1, error: { requestId } });
			expect(message).toContain(`RunComfy request ${requestId} failed`);
			expect(message).toContain('Allocation on device 0');
			expect(message).toContain('KSampler');
		},
	);

	it('never submits again while an outcome is unknown', async () => {
		await open({}, { settings: { retryOnFail: true, maxTries: 2, waitBetweenTries: 0 } });
		env.sandbox.faults.add({ on: 'submit', kind: 'lostAfter', times: 1 });
		const { message, description } = failure(await env.run(runOf(DEPLOYMENT_ID.textToImage)));
		expect(message).toContain('It is not known whether RunComfy accepted this request');
		expect(description).toContain('the requests of this deployment on RunComfy');
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it('waits and submits again after “too many requests”', async () => {
		await open();
		env.sandbox.faults.add({ on: 'submit', kind: 'tooMany', times: 1 });
		const run = await env.run(runOf(DEPLOYMENT_ID.textToImage));
		expect(outputItems(run)[0]?.json.status).toBe('succeeded');
		expect(env.sandbox.jobs).toHaveLength(1);
	});

	describe('after another item has failed', () => {
		const runBoth = async (runMs: SandboxOptions['runMs'], settings: object, times = 1) => {
			await open({ runMs }, { items: items(2), settings, speed: 1 });
			env.sandbox.faults.add({ job: 'failed', promptIncludes: 'item 1', times });
			env.sandbox.faults.add({ on: 'submit', kind: 'slow', delayMs: 800, promptIncludes: 'item 1' });
			return await env.run(runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: '={{ "item " + $json.n }}' }));
		};

		it('a retry resumes what is running, with the seeds that were sent', async () => {
			const found = outputItems(
				await runBoth(1_500, { retryOnFail: true, maxTries: 2, waitBetweenTries: 0 }),
			);
			expect(env.sandbox.jobs).toHaveLength(3);
			expect(env.sandbox.stats.cancels).toBe(0);
			const sent = new Map(
				env.sandbox.jobs.map(({ requestId, graph }) => [requestId, graph?.['3']?.inputs.seed]),
			);
			expect(found[0]?.json.requestId).toBe(env.sandbox.jobs[0]?.requestId);
			for (const { json } of found) expect(json.seeds).toEqual({ [SEED]: sent.get(String(json.requestId)) });
		});

		it('what is running is cancelled when there is no retry', async () => {
			const run = await runBoth((n) => (n === 0 ? 60_000 : 100), {});
			expect(failure(run).description).toContain(
				`Cancelled: ${env.sandbox.jobs[0]?.requestId} (was running)`,
			);
			expect(env.sandbox.stats.cancels).toBe(1);
		});

		it('what is running is cancelled after the last retry, which advises no further one', async () => {
			const settings = { retryOnFail: true, maxTries: 2, waitBetweenTries: 0 };
			const { description } = failure(await runBoth((n) => (n === 0 ? 60_000 : 100), settings, 2));
			expect(description).toContain(`Cancelled: ${env.sandbox.jobs[0]?.requestId} (was running)`);
			expect(description).not.toContain('Retry On Fail');
			expect(env.tries).toHaveLength(2);
			expect(env.sandbox.stats.cancels).toBe(1);
		});
	});

	it.each([
		['cannot be read', { error_code: 403003 }],
		['is disabled', { id: DEPLOYMENT_ID.textToImage, is_enabled: false }],
		['has another workflow', { id: DEPLOYMENT_ID.textToImage, payload: { workflow_api_json: {} } }],
	])('resumes in a retry when the deployment %s by then, and submits nothing', async (_, body) => {
		await open(
			{ runMs: 1_500 },
			{ items: items(2), settings: { retryOnFail: true, maxTries: 2, waitBetweenTries: 0 } },
		);
		// In the first try, item 0 times out, and item 1 is not submitted.
		const execution = env.start(
			runOf(
				DEPLOYMENT_ID.textToImage,
				{ [TEXT]: '={{ $json.n }}' },
				{ options: { timeout: 1, maxConcurrency: 1 } },
			),
		);
		await until('item 0 is submitted', () => env.sandbox.stats.accepted === 1);
		env.sandbox.faults.add({ on: 'deployment', kind: 'answer', answer: { status: 200, body } });
		const { itemIndex, description } = failure(await execution.done);
		expect(env.tries).toHaveLength(2);
		expect(itemIndex).toBe(1);
		expect(description).toContain(`Finished and paid for: ${env.sandbox.jobs[0]?.requestId}`);
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it.each([
		['queued', { queueMs: 60_000, runMs: 100 }, 'Cancelled: '],
		['running', { queueMs: 0, runMs: 60_000 }, ' (was running)'],
	])('Stop cancels what is %s', async (_phase, sandbox, report) => {
		await open(sandbox, { items: items(2) });
		const execution = env.start(runOf(DEPLOYMENT_ID.textToImage, { [TEXT]: '={{ $json.n }}' }));
		await until(
			'requests are polled',
			() => env.sandbox.jobs.length === 2 && env.sandbox.stats.resultPolls >= 4,
		);
		expect(await env.stop(execution)).toBeLessThan(3_000);
		expect(env.sandbox.stats.cancels).toBe(2);
		expect(env.stopReports).toEqual([expect.stringContaining(report)]);
	});

	it('Stop cancels nothing with Cancel on Stop off', async () => {
		await open({ runMs: 60_000 });
		const execution = env.start(runOf(DEPLOYMENT_ID.textToImage, {}, { options: { cancelOnStop: false } }));
		await until('requests are polled', () => env.sandbox.stats.resultPolls >= 2);
		await env.stop(execution);
		expect(env.sandbox.stats.cancels).toBe(0);
		expect(env.stopReports).toEqual([expect.stringContaining('Still running at RunComfy')]);
	});

	it('resumes a request where it was submitted, though an expression chooses another deployment in the retry', async () => {
		// The first item times out in the first try; the second one has finished then.
		const runMs = (n: number) => (n === 0 ? 1_500 : 0);
		const settings = {
			...{ retryOnFail: true, maxTries: 2, waitBetweenTries: 10 },
			onError: 'continueRegularOutput',
		};
		await open({ runMs }, { items: items(2), settings, speed: 1 });
		const at = Date.now() + 900;
		const { textToImage, everyKindOfFile } = DEPLOYMENT_ID;
		const value = `={{ $now.toMillis() < ${at} ? "${textToImage}" : "${everyKindOfFile}" }}`;
		const run = await env.run({
			...{ resource: 'deployment', operation: 'run', inputMode: 'json', overridesJson: '{}' },
			deploymentId: { __rl: true, mode: 'id', value },
			options: { pollInterval: 0.2, timeout: 1 },
		});
		expect(env.tries.length).toBeGreaterThan(1);
		const found = outputItems(run).map(({ json }) => [json.requestId, json.deploymentId]);
		expect(found.sort()).toEqual(env.sandbox.jobs.map(({ requestId }) => [requestId, textToImage]).sort());
	});

	it('logs that a deployment starts, once for each state', async () => {
		await open({ coldStartMs: 2_000, queueMs: 0, runMs: 2_000 });
		await env.run(runOf(DEPLOYMENT_ID.textToImage));
		const { requestId } = env.sandbox.jobs[0] ?? {};
		const lines = env.log.filter(
			({ level, message }) => level === 'info' && message.startsWith(`RunComfy request ${requestId}: `),
		);
		expect(lines.map(({ message }) => message)).toEqual([
			expect.stringContaining('in_queue; the deployment may have to start first'),
			expect.stringContaining('in_progress'),
		]);
	});

	it('another item’s failure ends Get Result while it reads the titles', async () => {
		env = await TestEnvironment.open({
			items: items(2),
			sandbox: { runMs: 0 },
			runtime: { callTimeouts: { submitMs: 5_000, pollMs: 3_000, cancelMs: 1_000 } },
		});
		await env.run(runOf(DEPLOYMENT_ID.textToImage));
		const { requestId = '' } = env.sandbox.jobs[0] ?? {};
		env.sandbox.faults.add(
			{ on: 'deployment', kind: 'hangBefore' },
			{ on: 'result', kind: 'errorCode', errorCode: 403003, requestId: 'refused' },
		);
		const from = performance.now();
		const { message } = failure(
			await env.run({
				...{ resource: 'request', operation: 'getResult', requestType: 'deployment' },
				deploymentId: byId(DEPLOYMENT_ID.textToImage),
				requestId: `={{ $json.n === 1 ? "refused" : "${requestId}" }}`,
				options: FAST,
			}),
		);
		expect(message).toContain('refused');
		expect(performance.now() - from).toBeLessThan(1_500);
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

describe('Requests of a deployment', () => {
	let env: TestEnvironment;
	afterEach(async () => await env.close());

	const submitted = async (sandbox: SandboxOptions) => {
		env = await TestEnvironment.open({ sandbox });
		await env.run(runOf(DEPLOYMENT_ID.textToImage, {}, { waitForCompletion: false }));
		return env.sandbox.jobs[0]?.requestId ?? '';
	};
	const request = async (operation: string, requestId: string, more: Record<string, unknown> = {}) =>
		await env.run({
			resource: 'request',
			operation,
			requestType: 'deployment',
			deploymentId: byId(DEPLOYMENT_ID.textToImage),
			requestId,
			...more,
		});

	it('Get Status polls once', async () => {
		const requestId = await submitted({ queueMs: 60_000 });
		expect(outputItems(await request('getStatus', requestId))[0]?.json).toEqual({
			requestId,
			status: 'in_queue',
			queuePosition: 0,
		});
		expect(env.sandbox.stats).toMatchObject({ statusPolls: 1, resultPolls: 0 });
	});

	it('Get Result without waiting returns the state', async () => {
		const requestId = await submitted({ runMs: 60_000 });
		const run = await request('getResult', requestId, { waitForCompletion: false });
		expect(outputItems(run)[0]?.json).toMatchObject({ requestId, status: 'in_progress' });
	});

	it('Get Result asks for the status where the result says nothing', async () => {
		const requestId = await submitted({ runMs: 60_000 });
		env.sandbox.faults.add({ on: 'result', kind: 'notReady', times: 1 });
		const run = await request('getResult', requestId, { waitForCompletion: false });
		expect(outputItems(run)[0]?.json).toMatchObject({ requestId, status: 'in_progress' });
		expect(env.sandbox.stats.statusPolls).toBe(1);
	});

	it('Cancel cancels a running request, but not one that has finished', async () => {
		const requestId = await submitted({ runMs: 60_000 });
		expect(outputItems(await request('cancel', requestId))[0]?.json).toEqual({
			requestId,
			cancelled: true,
			outcome: 'cancelled',
		});
		expect(outputItems(await request('cancel', requestId))[0]?.json).toEqual({
			requestId,
			cancelled: false,
			outcome: 'not_cancellable',
		});
	});

	it('tells an unknown request', async () => {
		await submitted({ queueMs: 60_000 });
		expect(failure(await request('getStatus', 'nobody')).message).toContain('no such deployment or request');
	});
});

describe('ComfyUI Deployment → Get and Get Many', () => {
	let env: TestEnvironment;
	afterEach(async () => await env.close());

	it('Get returns the inputs as fields, and the graph', async () => {
		env = await TestEnvironment.open();
		const deploymentId = byId(DEPLOYMENT_ID.textToImage);
		const run = await env.run({ resource: 'deployment', operation: 'get', deploymentId });
		const { json } = outputItems(run)[0] ?? {};
		expect(json).toMatchObject({
			deploymentId: DEPLOYMENT_ID.textToImage,
			name: 'Text to image',
			hardware: ['AMPERE_48'],
			isEnabled: true,
			inputs: expect.arrayContaining([expect.objectContaining({ name: SEED, kind: 'integer' })]),
			graph: { 3: { class_type: 'KSampler' } },
		});
	});

	it.each([false, true])('Get Many lists them with their inputs (wrapped: %s)', async (wrapDeployments) => {
		env = await TestEnvironment.open({ sandbox: { wrapDeployments } });
		const many = { resource: 'deployment', operation: 'getMany' };
		const all = outputItems(await env.run({ ...many, returnAll: true }));
		expect(all.length).toBeGreaterThanOrEqual(5);
		for (const { json } of all) expect(json.inputs).toEqual(expect.arrayContaining([expect.any(Object)]));
		expect(all[0]?.json).not.toHaveProperty('graph');
		expect(outputItems(await env.run({ ...many, limit: 2 }))).toHaveLength(2);
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
