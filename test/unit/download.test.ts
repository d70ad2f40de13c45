import { Readable } from 'node:stream';
import { constants, createUnzip, gzipSync } from 'node:zlib';

import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { RunComfyError } from '../../nodes/RunComfy/api/problems';
import { Downloader, type ResultFile } from '../../nodes/RunComfy/files/download';
import { VirtualClock } from './virtualClock';

const PNG = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(100)]);
const OPTIONS = { requestId: 'job-1', fileName: '', maxMegabytes: 50, allowLoopback: false };
const NO_SUCH_NAME = Object.assign(new Error('getaddrinfo ENOTFOUND cdn.example'), { code: 'ENOTFOUND' });

interface Answer {
	statusCode?: number;
	headers?: Record<string, string>;
	body: Readable;
}

/** n8n's helpers as far as a download needs them, on a virtual clock. */
class FakeHost {
	readonly clock = new VirtualClock();
	readonly requests: string[] = [];
	readonly headers: unknown[] = [];
	readonly stored: Array<{ name: string; bytes: Buffer }> = [];
	/** Bodies that are being read. */
	open = 0;

	constructor(
		private readonly answer: (url: string, count: number) => Answer,
		private readonly validateUrl?: (url: string) => Promise<unknown>,
		/** How long n8n looks a name up. Only then it takes notice of the signal. */
		private readonly lookUpMs = 0,
	) {}

	get downloader(): Downloader {
		const { validateUrl } = this;
		const helpers = {
			httpRequest: async ({
				url,
				headers,
				abortSignal,
			}: {
				url: string;
				headers: unknown;
				abortSignal: AbortSignal;
			}) => {
				this.requests.push(url);
				this.headers.push(headers);
				await this.clock.sleep(this.lookUpMs);
				const { statusCode = 200, headers: itsHeaders = {}, body } = this.answer(url, this.requests.length);
				this.open++;
				body.once('close', () => this.open--);
				abortSignal.addEventListener('abort', () => body.destroy(new Error('aborted')), { once: true });
				return { statusCode, headers: itsHeaders, body };
			},
			prepareBinaryData: async (
				body: Buffer | Readable,
				name: string,
				mimeType: string,
			): Promise<IBinaryData> => {
				const chunks: Buffer[] = [];
				for await (const chunk of Buffer.isBuffer(body) ? [body] : body) chunks.push(chunk as Buffer);
				const bytes = Buffer.concat(chunks);
				this.stored.push({ name, bytes });
				return { data: '', fileName: name, mimeType, bytes: bytes.length };
			},
			...(validateUrl === undefined ? {} : { getSecureEgressFilter: () => ({ validateUrl }) }),
		};
		return new Downloader({
			context: { helpers } as unknown as IExecuteFunctions,
			clock: this.clock,
			random: () => 0,
			idleMs: 30_000,
		});
	}

	async download(files: ResultFile[], signal = new AbortController().signal): Promise<IBinaryData[]> {
		return await this.clock.run(this.downloader.downloadAll(files, OPTIONS, signal));
	}

	async failure(files: ResultFile[], signal?: AbortSignal): Promise<{ message: string; advice: string }> {
		const error: unknown = await this.download(files, signal).catch((thrown: unknown) => thrown);
		if (!(error instanceof RunComfyError)) throw new Error(`Not a RunComfyError: ${String(error)}`);
		return error.problem;
	}

	/** Bytes that come one after the other, so many every so often. */
	slowBody(bytes: number, everyMs: number, length = Infinity): Readable {
		let sent = 0;
		const { clock } = this;
		return new Readable({
			read() {
				void clock.sleep(sent === 0 ? 0 : everyMs).then(() => {
					if (this.destroyed) return;
					const chunk = sent === 0 ? PNG : Buffer.alloc(Math.min(bytes, length - sent));
					sent += chunk.length;
					this.push(chunk.length === 0 ? null : chunk);
				});
			},
		});
	}
}

const image = (name: string): ResultFile => ({ url: `https://cdn.example/${name}.png`, kind: 'image' });
const whole = (): Answer => ({ body: Readable.from([PNG]) });

describe('A download', () => {
	it('asks for no encoding, and stores what comes', async () => {
		const host = new FakeHost(whole);
		expect(await host.download([image('a')])).toMatchObject([{ fileName: 'a.png', mimeType: 'image/png' }]);
		expect(host.headers).toEqual([{ 'accept-encoding': 'identity' }]);
		expect(host.stored[0]?.bytes).toEqual(PNG);
		expect([host.open, host.clock.sleeping]).toEqual([0, 0]);
	});

	it.each<[string, Partial<Answer>, string]>([
		['an encoding', { headers: { 'content-encoding': 'br' } }, 'the file server sent it compressed'],
		[
			'what n8n has unpacked by itself',
			{
				body: Readable.from([gzipSync(PNG).subarray(0, 30)]).pipe(
					createUnzip({ finishFlush: constants.Z_SYNC_FLUSH }),
				),
			},
			'the file server sent it compressed',
		],
		['a part', { statusCode: 206 }, 'the file server answered with HTTP 206'],
		['a success that is none', { statusCode: 202 }, 'the file server answered with HTTP 202'],
	])('refuses %s at once', async (_, answer, why) => {
		const host = new FakeHost(() => ({ ...whole(), ...answer }));
		expect((await host.failure([image('a')])).message).toContain(why);
		expect(host.requests).toHaveLength(1);
		expect([host.open, host.stored]).toEqual([0, []]);
	});

	it.each([
		['mesh.glb', '<!DOCTYPE html><title>Not found</title>', false],
		['mesh.glb', '\n<html><body>Not found</body></html>', false],
		['page.html', '<!DOCTYPE html><title>A page</title>', true],
		['model.xml', '<?xml version="1.0"?><mesh></mesh>', true],
	])('%s of any kind that begins with %s is stored: %s', async (name, text, isStored) => {
		const host = new FakeHost(() => ({ body: Readable.from([Buffer.from(text)]) }));
		const file: ResultFile = { url: 'https://cdn.example/x', kind: 'file', name };
		if (isStored) expect(await host.download([file])).toMatchObject([{ fileName: name }]);
		else expect((await host.failure([file])).message).toContain('sent a web page or text instead of a file');
	});

	it.each([1, 8, 15, 16, 17, 40])('stores a file of %i bytes whole, or refuses it', async (length) => {
		const host = new FakeHost(() => ({ body: Readable.from([PNG.subarray(0, length)]) }));
		if (length < 8) {
			expect((await host.failure([image('a')])).message).toContain('the file is not an image');
			return;
		}
		await host.download([image('a')]);
		expect(host.stored[0]?.bytes).toEqual(PNG.subarray(0, length));
	});

	it.each([10, 2_000])('refuses a file when %i bytes were announced and others came', async (announced) => {
		const headers = { 'content-length': String(announced) };
		const host = new FakeHost(() => ({ ...whole(), headers }));
		const { message } = await host.failure([image('a')]);
		expect(message).toContain(`108 bytes arrived instead of ${announced}`);
		expect(host.requests).toHaveLength(1);
	});

	describe('of a name that cannot be resolved', () => {
		const notFound = async () => await Promise.reject(NO_SUCH_NAME);

		it('continues where the request itself can resolve it, by a proxy', async () => {
			const host = new FakeHost(whole, notFound);
			expect(await host.download([image('a')])).toHaveLength(1);
		});

		it('is tried again, and says so when that fails too', async () => {
			const fails = (times: number) =>
				new FakeHost((_, count) => {
					if (count <= times) throw NO_SUCH_NAME;
					return whole();
				}, notFound);
			const once = fails(3);
			expect(await once.download([image('a')])).toHaveLength(1);
			expect(once.requests).toHaveLength(4);
			const always = fails(99);
			const { message } = await always.failure([image('a')]);
			expect(message).toContain('the file server could not be reached (ENOTFOUND)');
			expect(always.requests).toHaveLength(4);
		});

		it('is refused where n8n sees that it leads to a private network', async () => {
			const error = Object.assign(new Error('blocked'), { name: 'SsrfBlockedIpError' });
			const host = new FakeHost(whole, async () => await Promise.resolve({ ok: false, error }));
			expect((await host.failure([image('a')])).message).toContain('leads to a private network');
			expect(host.requests).toEqual([]);
		});
	});

	it('may take hours, as long as bytes arrive', async () => {
		const length = 10_000;
		const headers = { 'content-length': String(length) };
		const host: FakeHost = new FakeHost(() => ({ body: host.slowBody(20, 29_000, length), headers }));
		expect(await host.download([image('a')])).toMatchObject([{ bytes: length }]);
		expect(host.clock.now()).toBeGreaterThan(3 * 3_600_000);
	});

	it.each(['the first bytes', 'more bytes'])(
		'is tried again when %s do not come for 30 seconds',
		async (which) => {
			const host: FakeHost = new FakeHost(() => ({
				body: which === 'more bytes' ? host.slowBody(1, 40_000, 200) : new Readable({ read() {} }),
			}));
			expect((await host.failure([image('a')])).message).toContain('the file server stopped sending data');
			expect(host.requests).toHaveLength(4);
			// Four tries, and half of each pause before a retry, because the jitter is 0 here.
			expect(host.clock.now()).toBe(4 * 30_000 + 250 + 500 + 1_000);
			expect([host.open, host.stored]).toEqual([0, []]);
		},
	);

	it('discards an answer that comes after Stop, because n8n was looking a name up', async () => {
		const stop = new AbortController();
		const body = Readable.from([PNG]);
		const host: FakeHost = new FakeHost(() => ({ body }), undefined, 20_000);
		host.clock.at(5_000, () => stop.abort());
		expect((await host.failure([image('a')], stop.signal)).message).toContain('it was stopped');
		expect(host.clock.now()).toBe(5_000);
		await host.clock.advance(20_000);
		expect(body.destroyed).toBe(true);
	});

	it('is held in memory where streams have no experimental operators', async () => {
		const host = new FakeHost(() => ({ body: Object.assign(Readable.from([PNG]), { map: undefined }) }));
		expect(await host.download([image('a')])).toMatchObject([{ mimeType: 'image/png', bytes: PNG.length }]);
	});
});

describe('The downloads of one item', () => {
	const files = Array.from({ length: 30 }, (_, n) => image(`f${n}`));

	it('come in order, with different names, four at once', async () => {
		let most = 0;
		const host: FakeHost = new FakeHost((url) => {
			most = Math.max(most, host.open + 1);
			return { body: host.slowBody(10, url.endsWith('f0.png') ? 5_000 : 1_000, 200) };
		});
		const stored = await host.download([...files, image('F0')]);
		expect(stored.map(({ fileName }) => fileName)).toEqual([...files.map((_, n) => `f${n}.png`), 'F0_1.png']);
		expect(most).toBe(4);
	});

	it('end with the first that fails: none continues afterwards, and the error names all of them', async () => {
		const host: FakeHost = new FakeHost((url) =>
			url.endsWith('f2.png')
				? { statusCode: 404, body: Readable.from([]) }
				: { body: host.slowBody(10, 5_000, 1_000) },
		);
		const { message, advice } = await host.failure(files);
		expect(message).toBe(
			'RunComfy request job-1 finished, but its image could not be downloaded: the file server answered with HTTP 404. Image URL: https://cdn.example/f2.png',
		);
		for (const { url } of files) expect(`${message} ${advice}`).toContain(url);
		expect(host.requests.length).toBeLessThanOrEqual(4);
		expect([host.open, host.stored]).toEqual([0, []]);
		expect(host.clock.now()).toBe(0);
	});

	it('do not wait for other items’ downloads to end with the first that fails', async () => {
		const host: FakeHost = new FakeHost((url) =>
			url.includes('slow')
				? { body: host.slowBody(10, 20_000, 300) }
				: { statusCode: 404, body: Readable.from([]) },
		);
		const { downloader, clock } = host;
		const { signal } = new AbortController();
		const slow = [1, 2, 3].map((n) => image(`slow${n}`));
		const other = downloader.downloadAll(slow, OPTIONS, signal);
		const failing = downloader.downloadAll(files, OPTIONS, signal).catch(() => clock.now());
		expect(await clock.run(failing)).toBe(0);
		expect(await clock.run(other)).toHaveLength(3);
	});

	it.each(['before', 'during'])('end when they are stopped %s', async (when) => {
		const stop = new AbortController();
		const host: FakeHost = new FakeHost(() => ({ body: host.slowBody(10, 5_000, 1_000) }));
		if (when === 'before') stop.abort();
		host.clock.at(12_000, () => stop.abort());
		expect((await host.failure(files, stop.signal)).message).toContain('it was stopped');
		expect(host.requests).toHaveLength(when === 'before' ? 0 : 4);
		expect([host.open, host.stored]).toEqual([0, []]);
	});
});
