import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import sharp from 'sharp';
import { request } from 'undici';

import { DEPLOYMENT_ID, DEPLOYMENTS, type SandboxDeployment } from '../sandbox/deployments';
import { OBJECT_INFO } from '../sandbox/objectInfo';
import { digest, MODEL_ID, Sandbox, type SandboxOptions } from '../sandbox/sandbox';
import { until } from '../until';
import { callSandbox } from './callSandbox';

type Overrides = Record<string, { inputs: Record<string, unknown> }>;
interface OutputFile {
	url: string;
	filename: string;
	subfolder: string;
	type: string;
}
type Outputs = Record<string, Record<string, OutputFile[]>>;

const PATH = '/prod/v2/deployments';
const SMALL = { 5: { inputs: { width: 64, height: 48 } } };

/** The node's tests rely on these deployments, so they are tested themselves. */
describe('The sandbox’s deployments', () => {
	let sandbox: Sandbox;

	beforeAll(async () => {
		sandbox = await Sandbox.start({ queueMs: 0, runMs: 0 });
	});
	beforeEach(() => sandbox.reset());
	afterAll(async () => await sandbox.close());

	const get = async (path: string, of = sandbox) => await callSandbox(of, 'GET', `${PATH}${path}`);
	const submit = async (id: string, overrides: unknown = {}, of = sandbox) =>
		await callSandbox(of, 'POST', `${PATH}/${id}/inference`, { overrides });
	/** Submits and returns the path of the request. */
	const accepted = async (id: string, overrides: unknown = {}, of = sandbox) => {
		const { status, body } = await submit(id, overrides, of);
		expect(status).toBe(200);
		return `/${id}/requests/${String(body.request_id)}`;
	};
	const resultOf = async (path: string, of = sandbox) => {
		let body: Record<string, unknown> = {};
		await until('the request has ended', async () => {
			({ body } = await get(`${path}/result`, of));
			return !['in_queue', 'in_progress'].includes(String(body.status));
		});
		return body;
	};
	const run = async (id: string, overrides: Overrides = {}, of = sandbox) =>
		await resultOf(await accepted(id, overrides, of), of);
	const download = async ({ url }: OutputFile) => Buffer.from(await (await request(url)).body.arrayBuffer());
	const fileOf = (result: Record<string, unknown>, nodeId: string, channel: string) => {
		const file = (result.outputs as Outputs)[nodeId]?.[channel]?.[0];
		if (file === undefined) throw new Error(`No file in ${JSON.stringify(result)}`);
		return file;
	};
	const pictureOf = async (overrides: Overrides, id: string = DEPLOYMENT_ID.textToImage) =>
		await download(fileOf(await run(id, overrides), '9', 'images'));
	const withSandbox = async (options: SandboxOptions, test: (other: Sandbox) => Promise<void>) => {
		const other = await Sandbox.start({ queueMs: 0, runMs: 0, ...options });
		try {
			await test(other);
		} finally {
			await other.close();
		}
	};

	describe('listed', () => {
		it('come as an array, without their graphs', async () => {
			const { status, body } = await get('');
			expect(status).toBe(200);
			expect(body).toEqual(
				DEPLOYMENTS.map(({ workflow: _workflow, ...entry }) => expect.objectContaining(entry)),
			);
			expect(JSON.stringify(body)).not.toMatch(/payload|class_type/);
		});

		it('come wrapped if the sandbox is told so', async () => {
			await withSandbox({ wrapDeployments: true }, async (other) => {
				expect((await get('', other)).body).toEqual({ deployments: (await get('')).body });
			});
		});

		it('are filtered by their ids', async () => {
			const { textToImage, disabled, foreign } = DEPLOYMENT_ID;
			const { body } = await get(`?ids=${textToImage}&ids=${disabled}&ids=${foreign}`);
			expect((body as unknown as SandboxDeployment[]).map(({ id }) => id)).toEqual([textToImage, disabled]);
		});

		it('come with their graphs on demand, with integers as they were written', async () => {
			const answer = await request(`${sandbox.url}${PATH}/${DEPLOYMENT_ID.largeIntegers}?includes=payload`, {
				headers: { authorization: 'Bearer sandbox-token' },
			});
			const text = await answer.body.text();
			expect(text).toContain('"noise_seed": 18364758544493064720');
			expect(text).toContain('"value": 9223372036854775807');
			expect(JSON.parse(text)).toMatchObject({
				payload: {
					workflow_api_json: { '57:6': { class_type: 'CLIPTextEncode' } },
					object_info_url: expect.stringContaining(sandbox.url),
				},
			});
		});

		it.each([
			['without node definitions', undefined],
			['with node definitions that are not JSON', '<html>'],
			['with odd node definitions', '{"Unheard": {"input": {"required": {"a": null}, "optional": 7}}}'],
		])('may be a test’s own, with an odd graph, %s', async (_name, objectInfo) => {
			const workflow = '{"1": {"class_type": "Unheard", "inputs": {"a": null, "b": [["1"]]}}, "2": null}';
			const deployment = { ...DEPLOYMENTS[0], id: 'odd', workflow, objectInfo } as SandboxDeployment;
			await withSandbox({ deployments: [deployment] }, async (other) => {
				expect((await get('/odd?includes=payload', other)).body).toMatchObject({
					payload: { workflow_api_json: { 2: null } },
				});
				const { status, outputs } = await run('odd', { 1: { inputs: { a: 'x' } } }, other);
				expect({ status, outputs }).toEqual({ status: 'succeeded', outputs: {} });
				const info = await request(`${other.url}/object-info/odd/object_info.json`);
				expect(await info.body.text()).toBe(objectInfo ?? OBJECT_INFO);
			});
		});
	});

	describe('object_info', () => {
		const objectInfo = async (of: Sandbox, headers = {}) => {
			const { body } = await get(`/${DEPLOYMENT_ID.textToImage}?includes=payload`, of);
			const { object_info_url: url } = body.payload as { object_info_url: string };
			return await (await request(url, { headers })).body.text();
		};

		it('describes every class of the graphs, without login, with integers as they were written', async () => {
			const text = await objectInfo(sandbox);
			expect(text).toContain('18446744073709551615');
			const classes = DEPLOYMENTS.flatMap(({ workflow }) =>
				Object.values(JSON.parse(workflow) as Record<string, { class_type: string }>),
			).map(({ class_type: name }) => name);
			expect(Object.keys(JSON.parse(text) as object).sort()).toEqual([...new Set(classes)].sort());
			expect(sandbox.stats).toMatchObject({ objectInfoRequests: 1, tokensAtObjectInfo: 0 });
			await objectInfo(sandbox, { authorization: 'Bearer x' });
			expect(sandbox.stats).toMatchObject({ objectInfoRequests: 2, tokensAtObjectInfo: 1 });
		});

		it('has the size that the sandbox is told', async () => {
			await withSandbox({ objectInfoBytes: 5_000_000 }, async (other) => {
				const text = await objectInfo(other);
				expect(text.length).toBeGreaterThan(5_000_000);
				expect(JSON.parse(text)).toMatchObject({ KSampler: {}, MadeUpNode0: { category: 'made up' } });
				expect(text).toContain('18446744073709551615');
			});
		});

		it('is at another address, or at none', async () => {
			for (const [objectInfoUrl, payload] of [
				['http://10.0.0.1/', { object_info_url: 'http://10.0.0.1/' }],
				[null, {}],
			] as const) {
				await withSandbox({ objectInfoUrl }, async (other) => {
					const { body } = await get(`/${DEPLOYMENT_ID.textToImage}?includes=payload`, other);
					const {
						workflow_api_json: _graph,
						overrides: _overrides,
						...rest
					} = body.payload as object & {
						workflow_api_json: unknown;
						overrides: unknown;
					};
					expect(rest).toEqual(payload);
				});
			}
		});

		it.each([
			['webPage', /^<!doctype html>/],
			['truncated', /^\{[^]*[^}]\s*$/],
			['empty', /^$/],
			['serverError', /500001/],
		] as const)('is broken by the fault %s', async (kind, broken) => {
			sandbox.faults.add({ on: 'objectInfo', kind });
			expect(await objectInfo(sandbox)).toMatch(broken);
		});
	});

	describe('refuse', () => {
		const { textToImage, disabled, foreign } = DEPLOYMENT_ID;

		it.each([
			['a wrong token', 401, 401001, 'GET', `/${textToImage}`, 'wrong'],
			['a deployment that nobody has', 404, 404001, 'GET', '/nothing', undefined],
			['somebody else’s deployment', 403, 403003, 'GET', `/${foreign}`, undefined],
			['a request of nobody', 404, 404001, 'GET', `/${textToImage}/requests/x/result`, undefined],
			['a run without a body', 422, 422001, 'POST', `/${textToImage}/inference`, undefined],
		] as const)('%s', async (_name, status, code, method, path, token) => {
			const answer = await callSandbox(sandbox, method, `${PATH}${path}`, undefined, token);
			expect(answer).toMatchObject({ status, body: { error_code: code } });
		});

		it('a run of a disabled one', async () => {
			expect(await submit(disabled)).toMatchObject({
				status: 422,
				body: { error_code: 422001, detail: [{ msg: 'The deployment is disabled.' }] },
			});
			expect(sandbox.stats).toMatchObject({ submits: 1, accepted: 0 });
		});

		it('requests of other deployments and of models', async () => {
			const path = await accepted(textToImage, SMALL);
			const id = path.split('/').pop();
			expect(await get(`/${DEPLOYMENT_ID.imageToImage}/requests/${id}/status`)).toMatchObject({
				status: 404,
			});
			expect(await callSandbox(sandbox, 'GET', `/v1/requests/${id}/result`)).toMatchObject({ status: 404 });
			const { body } = await callSandbox(sandbox, 'POST', `/v1/models/${MODEL_ID}`, {
				image: 'https://example.com/a.png',
				prompt: 'A beach',
			});
			expect(await get(`/${textToImage}/requests/${String(body.request_id)}/result`)).toMatchObject({
				status: 404,
			});
		});

		it.each([
			['a node that does not exist', { 99: { inputs: { text: 'x' } } }, ['99']],
			['an input that does not exist', { 6: { inputs: { txt: 'x' } } }, ['6', 'inputs', 'txt']],
			['a number that is too small', { 3: { inputs: { steps: 0 } } }, ['3', 'inputs', 'steps']],
			['a number that is too large', { 3: { inputs: { cfg: 101 } } }, ['3', 'inputs', 'cfg']],
			['a fraction for an integer', { 3: { inputs: { steps: 1.5 } } }, ['3', 'inputs', 'steps']],
			['a text for a number', { 3: { inputs: { steps: 'many' } } }, ['3', 'inputs', 'steps']],
			['a number for a text', { 6: { inputs: { text: 6 } } }, ['6', 'inputs', 'text']],
			['an unknown choice', { 3: { inputs: { sampler_name: 'x' } } }, ['3', 'inputs', 'sampler_name']],
			['a value for a connection', { 8: { inputs: { vae: 'x' } } }, ['8', 'inputs', 'vae']],
			['a connection with nothing', { 8: { inputs: { vae: ['99', 0] } } }, ['8', 'inputs', 'vae']],
			['inputs without their name', { 6: { text: 'x' } }, ['6']],
			['overrides that are a text', 'text', []],
		])('%s', async (_name, overrides, where) => {
			expect(await submit(textToImage, overrides)).toMatchObject({
				status: 422,
				body: { error_code: 422001, detail: [{ loc: ['body', 'overrides', ...where] }] },
			});
			expect(sandbox.stats.accepted).toBe(0);
		});

		it('choices of the new form, too', async () => {
			const { largeIntegers } = DEPLOYMENT_ID;
			const sampler = (name: string) => ({ '57:4': { inputs: { sampler_name: name } } });
			expect(await submit(largeIntegers, sampler('euler'))).toMatchObject({ status: 200 });
			expect(await submit(largeIntegers, sampler('x'))).toMatchObject({ status: 422 });
		});

		it('other fields than those documented, and bodies that are not JSON', async () => {
			const path = `${PATH}/${textToImage}/inference`;
			expect(await callSandbox(sandbox, 'POST', path, { inputs: {} })).toMatchObject({
				status: 422,
				body: { detail: [{ loc: ['body', 'inputs'] }] },
			});
			expect(await callSandbox(sandbox, 'POST', path, '{')).toMatchObject({ status: 400 });
		});
	});

	describe('make', () => {
		it('a picture of the latent’s size, which depends on every input', async () => {
			const first = await pictureOf(SMALL);
			expect(await sharp(first).metadata()).toMatchObject({ format: 'png', width: 64, height: 48 });
			const digests = [digest(first)];
			for (const [id, name, value] of [
				['3', 'seed', 5],
				['3', 'steps', 21],
				['6', 'text', 'A forest'],
				['7', 'text', 'fog'],
				['4', 'ckpt_name', 'sd_xl_base_1.0.safetensors'],
			] as const) {
				digests.push(digest(await pictureOf({ ...SMALL, [id]: { inputs: { [name]: value } } })));
			}
			expect(new Set(digests).size).toBe(6);
			sandbox.reset();
			expect(digest(await pictureOf(SMALL))).toBe(digests[0]);
		});

		it('a preview beside the picture', async () => {
			const result = await run(DEPLOYMENT_ID.textToImage, SMALL);
			expect(result).toMatchObject({ status: 'succeeded', created_at: expect.any(String) });
			expect(fileOf(result, '9', 'images').type).toBe('output');
			expect(fileOf(result, '10', 'images').type).toBe('temp');
		});

		it('as many pictures as the latent has, or three by a fault', async () => {
			const namesOf = (result: Record<string, unknown>) =>
				(result.outputs as Outputs)['9']?.images?.map(({ filename }) => filename);
			const two = await run(DEPLOYMENT_ID.textToImage, { 5: { inputs: { batch_size: 2, width: 64 } } });
			expect(namesOf(two)).toEqual(['ComfyUI_00001_.png', 'ComfyUI_00002_.png']);
			sandbox.faults.add({ job: 'manyImages' });
			expect(namesOf(await run(DEPLOYMENT_ID.textToImage, SMALL))).toHaveLength(3);
		});

		it('another picture of another photo, from a data URI and from an address', async () => {
			const photo = async (color: string) =>
				await sharp({ create: { width: 90, height: 60, channels: 3, background: '#f4f4f4' } })
					.composite([
						{
							input: await sharp({ create: { width: 20, height: 20, channels: 3, background: color } })
								.png()
								.toBuffer(),
						},
					])
					.png()
					.toBuffer();
			const [red, blue] = [await photo('#d02020'), await photo('#2020d0')];
			const server = createServer((_request, response) => response.end(blue));
			await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
			try {
				const images = [
					'shoe.png',
					`data:image/png;base64,${red.toString('base64')}`,
					`http://127.0.0.1:${(server.address() as AddressInfo).port}/photo.png`,
				];
				const digests: string[] = [];
				for (const image of images) {
					const made = await pictureOf({ 10: { inputs: { image } } }, DEPLOYMENT_ID.imageToImage);
					digests.push(digest(made));
					if (image !== 'shoe.png') {
						expect(await sharp(made).metadata()).toMatchObject({ width: 90, height: 60 });
					}
				}
				expect(new Set(digests).size).toBe(3);
			} finally {
				server.close();
			}
		});

		it.each([
			['an address without a photo', 'http://127.0.0.1:1/photo.png', 'ECONNREFUSED'],
			['a file that is no photo', 'data:image/png;base64,aGVsbG8=', 'unsupported image format'],
		])('no picture of %s, and say in which node', async (_name, image, reason) => {
			const result = await run(DEPLOYMENT_ID.imageToImage, { 10: { inputs: { image } } });
			const { message } = result.error as { message: string };
			expect(result.status).toBe('failed');
			expect(message).toContain('Node 10 (LoadImage): UnidentifiedImageError: ');
			expect(message).toContain(reason);
		});

		it('files of every kind, and texts', async () => {
			const result = await run(DEPLOYMENT_ID.everyKindOfFile);
			const starts = async (nodeId: string, channel: string) =>
				(await download(fileOf(result, nodeId, channel))).subarray(0, 12).toString('latin1');
			expect(fileOf(result, '7', 'gifs')).toMatchObject({
				filename: 'sneaker_00001_.mp4',
				subfolder: 'videos',
				format: 'video/h264-mp4',
				frame_rate: 8,
			});
			expect(await starts('7', 'gifs')).toContain('ftyp');
			expect(await starts('11', 'audio')).toMatch(/^RIFF.{4}WAVE/s);
			expect(await starts('14', '3d')).toContain('glTF\x02');
			expect(result.outputs).toMatchObject({
				17: { text: ['A sneaker for the autumn. Made with ComfyUI.'] },
			});
		});

		it('a video in the channel of images, beside a channel without files', async () => {
			const result = await run(DEPLOYMENT_ID.largeIntegers);
			expect((await download(fileOf(result, '60', 'images'))).subarray(0, 12).toString('latin1')).toContain(
				'ftyp',
			);
			expect(result.outputs).toMatchObject({ 60: { animated: [true] } });
		});

		it('nothing at all when nothing has changed since a request before', async () => {
			expect((await run(DEPLOYMENT_ID.textToImage, SMALL)).outputs).toHaveProperty('9');
			const { status, outputs } = await run(DEPLOYMENT_ID.textToImage, SMALL);
			expect({ status, outputs }).toEqual({ status: 'succeeded', outputs: {} });
			const changed = { ...SMALL, 3: { inputs: { seed: 1 } } };
			expect((await run(DEPLOYMENT_ID.textToImage, changed)).outputs).toHaveProperty('9');
		});

		it('a ready picture without drawing it, if the sandbox is told so', async () => {
			await withSandbox({ pictures: 'plain', pictureBytes: 100_000 }, async (other) => {
				const image = { 10: { inputs: { image: 'http://127.0.0.1:1/photo.png' } } };
				const result = await run(DEPLOYMENT_ID.imageToImage, image, other);
				expect(await download(fileOf(result, '9', 'images'))).toHaveLength(100_000);
			});
		});

		it('what a whole graph says that is sent instead of the saved one', async () => {
			const path = `${PATH}/${DEPLOYMENT_ID.imageToImage}/inference`;
			const graph = JSON.parse(DEPLOYMENTS[0]?.workflow ?? '') as unknown;
			const { body } = await callSandbox(sandbox, 'POST', path, {
				workflow_api_json: graph,
				overrides: SMALL,
			});
			const result = await resultOf(`/${DEPLOYMENT_ID.imageToImage}/requests/${String(body.request_id)}`);
			expect(fileOf(result, '10', 'images').type).toBe('temp');
		});
	});

	describe('run requests', () => {
		const { textToImage } = DEPLOYMENT_ID;
		const scene = (text: string) => ({ ...SMALL, 6: { inputs: { text } } });

		it('that are queued, run and finish, each in the documented words', async () => {
			await withSandbox({ queueMs: 150, runMs: 150 }, async (other) => {
				const paths = [
					await accepted(textToImage, scene('1'), other),
					await accepted(textToImage, scene('2'), other),
				];
				const status = async () => (await get(`${paths[1]}/status`, other)).body;
				expect(await status()).toMatchObject({ status: 'in_queue', queue_position: 1 });
				expect((await get(`${paths[1]}/result`, other)).body).toMatchObject({ status: 'in_queue' });
				await until('it runs', async () => (await status()).status === 'in_progress');
				expect(await status()).toMatchObject({ instance_id: expect.any(String) });
				await resultOf(paths[1] ?? '', other);
				expect(await status()).toMatchObject({ status: 'completed' });
			});
		});

		it('of which the first waits for an instance', async () => {
			await withSandbox({ coldStartMs: 400 }, async (other) => {
				const submitted = performance.now();
				const first = await accepted(textToImage, scene('1'), other);
				const second = await accepted(textToImage, scene('2'), other);
				expect((await get(`${second}/status`, other)).body).toMatchObject({ status: 'in_queue' });
				await resultOf(first, other);
				await resultOf(second, other);
				expect(performance.now() - submitted).toBeGreaterThanOrEqual(400);
				const third = await accepted(textToImage, scene('3'), other);
				expect((await get(`${third}/status`, other)).body.status).not.toBe('in_queue');
			});
		});

		it('that can be cancelled while they run, but not afterwards', async () => {
			await withSandbox({ runMs: 60_000 }, async (other) => {
				const path = await accepted(textToImage, SMALL, other);
				expect((await get(`${path}/status`, other)).body).toMatchObject({ status: 'in_progress' });
				const cancel = async () => (await callSandbox(other, 'POST', `${PATH}${path}/cancel`)).body;
				expect(await cancel()).toMatchObject({ outcome: 'cancelled' });
				expect(await resultOf(path, other)).toMatchObject({ status: 'cancelled' });
				expect(await cancel()).toMatchObject({ outcome: 'not_cancellable' });
				expect(other.stats).toMatchObject({ cancels: 2, cancelled: 1 });
			});
		});

		it('that fail as ComfyUI reports it, in both forms', async () => {
			sandbox.faults.add({ job: 'failed', times: 1 }, { job: 'failedList', times: 1 });
			const path = await accepted(textToImage, scene('1'));
			expect(await resultOf(path)).toMatchObject({
				status: 'failed',
				error: {
					type: 'execution_error',
					message: expect.stringContaining('Node 3 (KSampler): OutOfMemory'),
				},
			});
			expect((await get(`${path}/status`)).body).toMatchObject({ status: 'completed' });
			expect(await run(textToImage, scene('2'))).toMatchObject({
				status: 'failed',
				error: [
					{
						errorCode: 'EXECUTION_ERROR',
						error: expect.stringContaining('OutOfMemoryError'),
						debugInfo: 'Node 3 (KSampler)',
					},
				],
			});
		});

		it('that faults know by their prompt', async () => {
			sandbox.faults.add(
				{ on: 'submit', kind: 'lostAfter', promptIncludes: 'scene 1' },
				{ on: 'submit', kind: 'tooMany', promptIncludes: 'glass bottle' },
				{ on: 'result', kind: 'serverError', promptIncludes: 'scene 2', times: 1 },
			);
			await expect(submit(textToImage, scene('scene 1'))).rejects.toThrow();
			expect(sandbox.jobs).toMatchObject([{ deploymentId: textToImage, prompt: 'scene 1' }]);
			expect(await submit(textToImage)).toMatchObject({ status: 429 });
			const path = await accepted(textToImage, scene('scene 2'));
			expect(await get(`${path}/result`)).toMatchObject({ status: 500 });
			expect(await get(`${path}/result`)).toMatchObject({ status: 200 });
		});

		it('that are counted and kept for tests', async () => {
			const body = '{"overrides": {"57:3": {"inputs": {"noise_seed": 18364758544493064721}}}}';
			await callSandbox(sandbox, 'POST', `${PATH}/${DEPLOYMENT_ID.largeIntegers}/inference`, body);
			await get('');
			await get(`/${textToImage}`);
			expect(sandbox.stats).toMatchObject({
				submits: 1,
				accepted: 1,
				deploymentRequests: 1,
				deploymentListRequests: 1,
			});
			expect(sandbox.jobs[0]).toMatchObject({
				bodyText: body,
				graph: { '57:6': { inputs: { text: 'a cat walks along the harbor at dawn' } } },
			});
			const { body: jobs } = await callSandbox(sandbox, 'GET', '/sandbox/jobs');
			expect(jobs).toMatchObject([
				{ deployment: DEPLOYMENT_ID.largeIntegers, input: { overrides: { '57:3': {} } } },
			]);
		});
	});
});
