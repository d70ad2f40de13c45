import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import sharp from 'sharp';
import { request } from 'undici';

import { digest, MODEL_ID, Sandbox } from '../sandbox/sandbox';
import { callSandbox } from './callSandbox';

/** The other tests rely on the sandbox, so it is tested itself. */
describe('The sandbox', () => {
	let sandbox: Sandbox;
	let images: Server;
	let imageUrl: string;

	beforeAll(async () => {
		const subject = Buffer.from(
			'<svg width="80" height="160"><rect width="80" height="160" fill="#1030c0"/></svg>',
		);
		const product = await sharp({ create: { width: 240, height: 240, channels: 3, background: '#f4f4f4' } })
			.composite([{ input: subject }])
			.png()
			.toBuffer();
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

	const call = async (method: 'GET' | 'POST', path: string, body?: unknown, token?: string) =>
		await callSandbox(sandbox, method, path, body, token);
	const submit = async (more: object = {}) =>
		await call('POST', `/v1/models/${MODEL_ID}`, { image: imageUrl, prompt: 'A beach', seed: 7, ...more });
	const pictureOf = async (more: object = {}) => {
		const requestId = String((await submit(more)).body.request_id);
		for (;;) {
			const { body } = await call('GET', `/v1/requests/${requestId}/result`);
			if (body.status !== 'succeeded') {
				if (body.status === 'failed') throw new Error(JSON.stringify(body));
				await new Promise((resolve) => setTimeout(resolve, 20));
				continue;
			}
			const { image } = body.output as { image: string };
			return Buffer.from(await (await request(image)).body.arrayBuffer());
		}
	};

	it('replaces the background and keeps the subject', async () => {
		const { data, info } = await sharp(await pictureOf())
			.removeAlpha()
			.raw()
			.toBuffer({ resolveWithObject: true });
		const at = (x: number, y: number) => [
			...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
		];
		expect(info).toMatchObject({ width: 240, height: 240 });
		expect(at(120, 120)).toEqual([0x10, 0x30, 0xc0]);
		for (const corner of [at(4, 4), at(235, 4), at(4, 235), at(235, 235)])
			expect(corner).not.toEqual([0xf4, 0xf4, 0xf4]);
	});

	it('makes the same picture from the same seed, and another from another seed, prompt or palette', async () => {
		const first = digest(await pictureOf());
		expect(digest(await pictureOf())).toBe(first);
		for (const more of [{ seed: 8 }, { prompt: 'A forest' }, { color_palette: { name: 'Ultramarine' } }]) {
			expect(digest(await pictureOf(more))).not.toBe(first);
		}
	});

	it('fails the job when it cannot fetch the image', async () => {
		await expect(pictureOf({ image: 'http://127.0.0.1:1/nothing.png' })).rejects.toThrow('failed');
		await expect(pictureOf({ image: `${sandbox.url}/no-such-page` })).rejects.toThrow('HTTP 404');
	});

	it.each([
		['no prompt', { prompt: undefined }],
		['a prompt that is a number', { prompt: 7 }],
		['a seed that is too large', { seed: 2 ** 31 }],
		['a seed that is a text', { seed: '7' }],
		['an unknown speed', { rendering_speed: 'FAST' }],
		['a palette that is a text', { color_palette: 'Ember' }],
	])('refuses %s, as the API page’s schema says', async (_name, more) => {
		expect(await submit(more)).toMatchObject({ status: 422, body: { error_code: 422001 } });
		expect(sandbox.stats.accepted).toBe(0);
	});

	it('requires its token, has a catalog entry and a balance, and charges for jobs', async () => {
		expect(await call('GET', `/v1/models/${MODEL_ID}`, undefined, 'wrong')).toMatchObject({ status: 401 });
		expect((await call('GET', `/v1/models/${MODEL_ID}`)).body).toMatchObject({
			model_id: MODEL_ID,
			required_inputs: ['image', 'prompt'],
		});
		expect((await call('GET', '/prod/v2/balance')).body).toEqual({ balance_usd: 100, currency: 'USD' });
		await submit();
		expect((await call('GET', '/prod/v2/balance')).body.balance_usd).toBeCloseTo(99.94);
		sandbox.setBalance(0);
		expect(await submit()).toMatchObject({ status: 402, body: { error_code: 400002 } });
	});

	it('counts a token that is sent to an output', async () => {
		const requestId = String((await submit()).body.request_id);
		await request(`${sandbox.url}/outputs/${requestId}/x.png`, { headers: { authorization: 'Bearer x' } });
		expect(sandbox.stats.tokensAtOutputs).toBe(1);
	});

	it('accepts faults from other processes over HTTP', async () => {
		await request(`${sandbox.url}/sandbox/faults`, {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify({ on: 'submit', kind: 'tooMany', retryAfter: 3, times: 1 }),
		});
		expect((await submit()).status).toBe(429);
		expect((await submit()).status).toBe(200);
	});

	it('gives the same calls a fault for the same seed, whatever their order', async () => {
		const faultsOf = (seed: number, order: number[]) => {
			const other = new (sandbox.faults.constructor as new (seed: number) => typeof sandbox.faults)(seed);
			other.add({ rate: 0.3, on: ['result'], kinds: ['serverError', 'truncated'] });
			return Object.fromEntries(
				order.map((n) => [n, other.forCall('result', { prompt: `item ${n}` })?.kind]),
			);
		};
		const forwards = Array.from({ length: 200 }, (_, n) => n);
		expect(faultsOf(5, forwards)).toEqual(faultsOf(5, [...forwards].reverse()));
		expect(faultsOf(5, forwards)).not.toEqual(faultsOf(6, forwards));
		const affected = Object.values(faultsOf(5, forwards)).filter(Boolean).length;
		expect(affected).toBeGreaterThan(30);
		expect(affected).toBeLessThan(90);
	});
});
