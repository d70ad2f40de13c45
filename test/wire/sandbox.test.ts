import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import sharp from 'sharp';
import { request } from 'undici';

import { DEPLOYMENT_ID, DEPLOYMENTS, type SandboxDeployment } from '../sandbox/deployments';
import { Faults } from '../sandbox/faults';
import { MODEL_ID, Sandbox, SANDBOX_TOKEN } from '../sandbox/sandbox';
import { renderScene } from '../sandbox/scene';
import { until } from '../until';

const SUBMIT = `/v1/models/${MODEL_ID}`;
const DEPLOYMENT = '/prod/v2/deployments';
/** A small picture, so that it is made quickly. */
const SMALL = { 5: { inputs: { width: 64, height: 48 } } };

/** The other tests rely on the sandbox, so what they do not show themselves is tested here. */
describe('The sandbox', () => {
	let sandbox: Sandbox;
	let images: Server;
	let imageUrl: string;

	const draw = async (subject: string) =>
		await sharp(
			Buffer.from(
				`<svg width="240" height="240"><path d="M0,0 h240 v240 h-240" fill="#eeeef0"/>${subject}</svg>`,
			),
		)
			.png()
			.toBuffer();

	beforeAll(async () => {
		const product = await draw('<path d="M80,40 h80 v160 h-80" fill="#1030c0"/>');
		images = createServer((_request, response) => response.end(product));
		await new Promise<void>((resolve) => images.listen(0, '127.0.0.1', resolve));
		imageUrl = `http://127.0.0.1:${(images.address() as AddressInfo).port}/product.png`;
		sandbox = await Sandbox.start({ queueMs: 0, runMs: 0 });
	});
	beforeEach(() => sandbox.reset());
	afterAll(async () => {
		await sandbox.close();
		images.close();
	});

	const call = async (path: string, body?: unknown, token = SANDBOX_TOKEN) => {
		const answer = await request(`${sandbox.url}${path}`, {
			method: body === undefined ? 'GET' : 'POST',
			headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		const text = await answer.body.text();
		return { status: answer.statusCode, text, body: JSON.parse(text || '{}') as Record<string, unknown> };
	};
	const submit = async (more: object = {}) =>
		await call(SUBMIT, { image: imageUrl, prompt: 'A beach', seed: 7, ...more });
	const override = async (overrides: unknown, id: string = DEPLOYMENT_ID.textToImage) =>
		await call(`${DEPLOYMENT}/${id}/inference`, { overrides });
	/** The result of a submit. */
	const resultOf = async ({ body }: Awaited<ReturnType<typeof call>>) => {
		const path = String(body.result_url).replace(sandbox.url, '');
		let result: Record<string, unknown> = {};
		await until('the request has ended', async () => {
			({ body: result } = await call(path));
			return !['in_queue', 'in_progress'].includes(String(result.status));
		});
		return result;
	};
	const download = async (url: unknown) => Buffer.from(await (await request(String(url))).body.arrayBuffer());
	const pictureOf = async (more: object = {}) =>
		await download(((await resultOf(await submit(more))).output as { image: string }).image);
	const deployedPictureOf = async (overrides: object, id?: string) => {
		const { outputs } = await resultOf(await override(overrides, id));
		return await download(
			(outputs as Record<string, { images: Array<{ url: string }> }>)['9']?.images[0]?.url,
		);
	};

	describe('makes pictures of models', () => {
		it('with another background and the same subject', async () => {
			const { data, info } = await sharp(await pictureOf())
				.removeAlpha()
				.raw()
				.toBuffer({ resolveWithObject: true });
			const at = (x: number, y: number) =>
				data.toString('hex', (y * info.width + x) * 3, (y * info.width + x) * 3 + 3);
			expect(info).toMatchObject({ width: 240, height: 240 });
			expect(at(120, 120)).toBe('1030c0');
			for (const corner of [at(4, 4), at(235, 4), at(4, 235), at(235, 235)])
				expect(corner).not.toBe('eeeef0');
		});

		it('that are the same for the same seed, and others for another seed, prompt or palette', async () => {
			const first = await pictureOf();
			expect(await pictureOf()).toEqual(first);
			for (const more of [{ seed: 8 }, { prompt: 'A forest' }, { color_palette: { name: 'Ultramarine' } }])
				expect((await pictureOf(more)).equals(first)).toBe(false);
		});

		it('whose subject has a soft edge, and no fringe of its old background', async () => {
			const palette = ['#101010', '#181818', '#202020', '#202020', '#202020'];
			const brightness = async (subject: string) =>
				await sharp(await renderScene({ image: await draw(subject), prompt: 'At night', seed: 3, palette }))
					.grayscale()
					.raw()
					.toBuffer();
			const scene = await brightness('');
			const picture = await brightness('<circle cx="120" cy="120" r="70" fill="#a040a0"/>');
			const inside = picture[120 * 240 + 120] ?? 0;
			// The pixels less than three pixels from the circle's edge.
			const edge = [...picture.keys()].filter((pixel) => {
				const fromCenter = Math.hypot((pixel % 240) - 119.5, Math.floor(pixel / 240) - 119.5);
				return Math.abs(fromCenter - 70) < 3;
			});
			const valueOf = (pixel: number) => picture[pixel] ?? 0;
			expect(edge.filter((pixel) => valueOf(pixel) > Math.max(scene[pixel] ?? 0, inside) + 6)).toEqual([]);
			const isMixed = (value: number) => value > 50 && value < inside - 5;
			expect(edge.filter((pixel) => isMixed(valueOf(pixel))).length).toBeGreaterThan(100);
		});

		it('that show what the prompt names in its own colors, whatever the palette', async () => {
			const palette = ['#2b0f0a', '#8c2f1b', '#e2711d', '#ffb454', '#ffe3ad'];
			const image = await draw('');
			const prompt = 'On a wooden table in front of soft green hills';
			const pixels = await sharp(await renderScene({ image, prompt, seed: 3, palette }))
				.removeAlpha()
				.raw()
				.toBuffer();
			const isGreen = (at: number) =>
				(pixels[at + 1] ?? 0) > Math.max(pixels[at] ?? 0, pixels[at + 2] ?? 0) + 20;
			const green = Array.from({ length: 240 * 240 }, (_, i) => i * 3).filter(isGreen);
			expect(green.length).toBeGreaterThan(240 * 10);
		});

		it('and fails when it cannot fetch the input', async () => {
			const image = `${sandbox.url}/no-such-page`;
			expect(JSON.stringify(await resultOf(await submit({ image })))).toContain('HTTP 404');
		});
	});

	it.each([
		['no prompt', { prompt: undefined }],
		['a seed that is too large', { seed: 2 ** 31 }],
		['a seed that is a text', { seed: '7' }],
		['an unknown speed', { rendering_speed: 'FAST' }],
	])('refuses %s, as the API page’s schema says', async (_name, more) => {
		expect(await submit(more)).toMatchObject({ status: 422, body: { error_code: 422001 } });
		expect(sandbox.stats.accepted).toBe(0);
	});

	it('charges for jobs', async () => {
		await submit();
		expect((await call('/prod/v2/balance')).body.balance_usd).toBeCloseTo(99.94);
	});

	it.each(['/outputs/x/x.png', `/object-info/${DEPLOYMENT_ID.textToImage}/object_info.json`])(
		'counts a token that is sent to %s',
		async (path) => {
			await request(`${sandbox.url}${path}`, { headers: { authorization: 'Bearer x' } });
			expect(sandbox.stats.tokensAtOutputs + sandbox.stats.tokensAtObjectInfo).toBe(1);
		},
	);

	it('accepts faults from other processes over HTTP', async () => {
		await call('/sandbox/faults', { on: 'submit', kind: 'tooMany', retryAfter: 3, times: 1 });
		expect([(await submit()).status, (await submit()).status]).toEqual([429, 200]);
		expect((await call('/sandbox/stats')).body).toMatchObject({ submits: 2, accepted: 1 });
	});

	it.each([
		[
			'another host name, as a page in the browser may give this machine',
			'/v1/models',
			421,
			{ host: 'evil.example' },
		],
		['its counts without the token', '/sandbox/stats', 401, {}],
	])('refuses %s', async (_, path, status, headers) => {
		const answer = await request(`${sandbox.url}${path}`, { headers });
		await answer.body.dump();
		expect(answer.statusCode).toBe(status);
	});

	it('gives the same calls a fault for the same seed, whatever their order', () => {
		const faultsOf = (seed: number, order: number[]) => {
			const faults = new Faults(seed);
			faults.add({ rate: 0.3, on: ['result'], kinds: ['serverError', 'truncated'] });
			return Object.fromEntries(
				order.map((n) => [n, faults.forCall('result', { prompt: `item ${n}` })?.kind]),
			);
		};
		const forwards = Array.from({ length: 200 }, (_, n) => n);
		expect(faultsOf(5, forwards)).toEqual(faultsOf(5, [...forwards].reverse()));
		expect(faultsOf(5, forwards)).not.toEqual(faultsOf(6, forwards));
		const affected = Object.values(faultsOf(5, forwards)).filter(Boolean).length;
		expect(affected).toBeGreaterThan(30);
		expect(affected).toBeLessThan(90);
	});

	describe('has deployments', () => {
		it('that are listed without their graphs', async () => {
			const { body, text } = await call(DEPLOYMENT);
			expect(body).toEqual(DEPLOYMENTS.map(({ workflow: _workflow, ...entry }) => entry));
			expect(text).not.toContain('payload');
		});

		it('whose graph and node definitions have integers as they were written, and describe each other', async () => {
			const { text, body } = await call(`${DEPLOYMENT}/${DEPLOYMENT_ID.largeIntegers}?includes=payload`);
			expect(text).toContain('"noise_seed": 18364758544493064720');
			const { object_info_url: url } = body.payload as { object_info_url: string };
			const info = (await download(url)).toString();
			expect(info).toContain('18446744073709551615');
			const nodes = DEPLOYMENTS.flatMap(({ workflow }) =>
				Object.values(JSON.parse(workflow ?? '{}') as object),
			);
			const classes = nodes.map(({ class_type: name }: { class_type: string }) => name);
			expect(Object.keys(JSON.parse(info) as object).sort()).toEqual([...new Set(classes)].sort());
		});

		it.each([
			['a wrong token', 401, 401001, '', 'wrong'],
			['a deployment that nobody has', 404, 404001, '/nothing', SANDBOX_TOKEN],
			['somebody else’s deployment', 403, 403003, `/${DEPLOYMENT_ID.foreign}`, SANDBOX_TOKEN],
		])('and refuses %s', async (_name, status, code, path, token) => {
			const answer = await call(`${DEPLOYMENT}${path}`, undefined, token);
			expect(answer).toMatchObject({ status, body: { error_code: code } });
		});

		it('whose requests are not those of other deployments or of models', async () => {
			const { request_id: id } = (await override(SMALL)).body;
			const other = `${DEPLOYMENT}/${DEPLOYMENT_ID.imageToImage}/requests/${String(id)}/result`;
			for (const path of [other, `/v1/requests/${String(id)}/result`])
				expect(await call(path)).toMatchObject({ status: 404 });
		});

		it.each([
			['a node that does not exist', { 99: { inputs: { text: 'x' } } }, ['99']],
			['an input that does not exist', { 6: { inputs: { txt: 'x' } } }, ['6', 'inputs', 'txt']],
			['a number that is too small', { 3: { inputs: { steps: 0 } } }, ['3', 'inputs', 'steps']],
			['a text for a number', { 3: { inputs: { steps: 'many' } } }, ['3', 'inputs', 'steps']],
			['an unknown choice', { 3: { inputs: { sampler_name: 'x' } } }, ['3', 'inputs', 'sampler_name']],
			['inputs without their name', { 6: { text: 'x' } }, ['6']],
			['overrides that are a text', 'text', []],
		])('and refuses %s in overrides', async (_name, overrides, where) => {
			expect(await override(overrides)).toMatchObject({
				status: 422,
				body: { error_code: 422001, detail: [{ loc: ['body', 'overrides', ...where] }] },
			});
			expect(sandbox.stats.accepted).toBe(0);
		});

		it('that take what RunComfy’s own clients send: v1 paths, extra data, and a content type without a body', async () => {
			const path = `/prod/v1/deployments/${DEPLOYMENT_ID.textToImage}`;
			const body = { overrides: SMALL, extra_data: { api_key_comfy_org: 'x' } };
			const { request_id: id } = (await call(`${path}/inference`, body)).body;
			expect((await call(`${path}/requests/${String(id)}/status`)).body).toMatchObject({ request_id: id });
			const cancel = await request(`${sandbox.url}${path}/requests/${String(id)}/cancel`, {
				method: 'POST',
				headers: { authorization: `Bearer ${SANDBOX_TOKEN}`, 'content-type': 'application/json' },
			});
			expect(await cancel.body.json()).toMatchObject({
				request_id: id,
				outcome: expect.any(String) as string,
			});
			const times = (await call(`${path}/requests/${String(id)}/result`)).body;
			expect(times.created_at).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}\+00:00$/);
		});

		it('whose choices may have inputs of their own', async () => {
			const options = [{ key: 'on', inputs: { required: { width: ['INT', { max: 9 }] } } }, { key: 'off' }];
			const objectInfo = {
				Resize: { input: { required: { type: ['COMFY_DYNAMICCOMBO_V3', { options }] } } },
			};
			const workflow = { 1: { class_type: 'Resize', inputs: { type: 'on', 'type.width': 5 } } };
			const [first] = DEPLOYMENTS;
			const own = { ...(first as SandboxDeployment), id: 'own', workflow: JSON.stringify(workflow) };
			const another = await Sandbox.start({
				deployments: [{ ...own, objectInfo: JSON.stringify(objectInfo) }],
			});
			try {
				const statusOf = async (inputs: object) => {
					const answer = await request(`${another.url}${DEPLOYMENT}/own/inference`, {
						method: 'POST',
						headers: { authorization: `Bearer ${SANDBOX_TOKEN}`, 'content-type': 'application/json' },
						body: JSON.stringify({ overrides: { 1: { inputs } } }),
					});
					await answer.body.dump();
					return answer.statusCode;
				};
				const all = [{ type: 'off' }, { type: 'x' }, { 'type.width': 9 }, { 'type.width': 10 }];
				expect(await Promise.all(all.map(statusOf))).toEqual([200, 422, 200, 422]);
			} finally {
				await another.close();
			}
		});

		it('whose pictures have the size of the latent, and depend on every input', async () => {
			const first = await deployedPictureOf(SMALL);
			expect(await sharp(first).metadata()).toMatchObject({ format: 'png', width: 64, height: 48 });
			for (const inputs of [{ 3: { inputs: { seed: 5 } } }, { 7: { inputs: { text: 'fog' } } }])
				expect((await deployedPictureOf({ ...SMALL, ...inputs })).equals(first)).toBe(false);
			sandbox.reset();
			expect((await deployedPictureOf(SMALL)).equals(first)).toBe(true);
		});

		it('which use the photo of an address', async () => {
			const made = await deployedPictureOf(
				{ 10: { inputs: { image: imageUrl } } },
				DEPLOYMENT_ID.imageToImage,
			);
			expect(await sharp(made).metadata()).toMatchObject({ width: 240, height: 240 });
			const none = { 10: { inputs: { image: 'http://127.0.0.1:1/photo.png' } } };
			const { error } = await resultOf(await override(none, DEPLOYMENT_ID.imageToImage));
			expect(JSON.stringify(error)).toContain('Node 10 (LoadImage): UnidentifiedImageError: ');
		});
	});
});
