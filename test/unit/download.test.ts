import { Readable } from 'node:stream';
import { constants, createUnzip, gzipSync } from 'node:zlib';

import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { RunComfyError } from '../../nodes/RunComfy/api/problems';
import { Downloader } from '../../nodes/RunComfy/files/download';
import type { ResultFile } from '../../nodes/RunComfy/files/resultFiles';
import { LightSignal } from '../../nodes/RunComfy/util/time';
import { VirtualClock } from './virtualClock';

const PNG = Buffer.from(`\x89PNG\r\n\x1a\n${'\0'.repeat(92)}IEND\xaeB\`\x82`, 'latin1');
const OPTIONS = { requestId: 'job-1', fileName: '', maxMegabytes: 50, allowLoopback: false };
const NO_SUCH_NAME = Object.assign(new Error('getaddrinfo ENOTFOUND cdn.example'), { code: 'ENOTFOUND' });

/** The connection shows the end of such an answer. */
const CHUNKED = { 'transfer-encoding': 'chunked' };

interface Answer {
	statusCode?: number;
	headers?: Record<string, string>;
	body: Readable;
}

/** n8n's filter, with names as they are looked up here. */
const egressFilter = (lookUp: (name: string) => Promise<string[]>) => ({
	createSecureLookup:
		() => (name: string, _options: object, callback: (error: unknown, found: object[]) => void) =>
			void lookUp(name).then(
				(addresses) =>
					callback(
						null,
						addresses.map((address) => ({ address, family: 4 })),
					),
				(error: unknown) => callback(error, []),
			),
});

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
		private readonly lookUp?: (name: string) => Promise<string[]>,
		/** How long n8n looks a name up. Only then it takes notice of the signal. */
		private readonly lookUpMs = 0,
	) {}

	get downloader(): Downloader {
		const { lookUp } = this;
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
				const {
					statusCode = 200,
					headers: itsHeaders = CHUNKED,
					body,
				} = this.answer(url, this.requests.length);
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
			...(lookUp === undefined ? {} : { getSecureEgressFilter: () => egressFilter(lookUp) }),
		};
		return new Downloader({
			context: { helpers } as unknown as IExecuteFunctions,
			clock: this.clock,
			random: () => 0,
			idleMs: 30_000,
		});
	}

	async download(files: ResultFile[], signal = new LightSignal()): Promise<IBinaryData[]> {
		return (await this.downloadSome(files, signal)).stored;
	}

	async downloadSome(
		files: ResultFile[],
		signal: LightSignal = new LightSignal(),
		options = OPTIONS,
	): ReturnType<Downloader['downloadAll']> {
		return await this.clock.run(this.downloader.downloadAll(files, options, signal));
	}

	async failure(files: ResultFile[], signal?: LightSignal): Promise<{ message: string; advice: string }> {
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

const image = (name: string): ResultFile => ({
	...{ url: `https://cdn.example/${name}.png`, kind: 'image', name: `${name}.png` },
});
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
		['mesh.glb', 'glTF\x02', 'model/gltf-binary'],
		['b.svg', '<svg xmlns="x"></svg>', 'image/svg+xml'],
		['speech.pcm', '\x01\x00\x02\x00', 'audio/pcm'],
		['a.bmp', 'BM\x10\x00\x00\x00\x00\x00\x00\x00', 'image/bmp'],
		['a.tiff', 'II*\x00', 'image/tiff'],
		['a.exr', 'v/1\x01', 'image/x-exr'],
		['a.heic', '\x00\x00\x00\x18ftypheic', 'image/heic'],
		['a.zip', 'PK\x03\x04', 'application/zip'],
		['a.aiff', 'FORM\x00\x00\x00\x10AIFF', 'audio/aiff'],
		['a.srt', '1\n00:00 --> 00:01\nHello', 'text/plain'],
		['page.html', '<!DOCTYPE html><title>A page</title>', 'application/octet-stream'],
		['model.xml', '<?xml version="1.0"?><mesh></mesh>', 'application/octet-stream'],
		['mesh.glb', '<!DOCTYPE html><title>Not found</title>', undefined],
		['a.zip', '{"detail": "Not found"}', undefined],
		['b.svg', '<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', undefined],
	])('%s that begins with %j is stored as %s', async (name, text, mimeType) => {
		const host = new FakeHost(() => ({ body: Readable.from([Buffer.from(text, 'latin1')]) }));
		const file: ResultFile = { url: 'https://cdn.example/x', kind: 'file', name };
		if (mimeType !== undefined)
			expect(await host.download([file])).toMatchObject([{ fileName: name, mimeType }]);
		else
			expect((await host.failure([file])).message).toContain(
				'sent a web page, an error text, or a program instead of the file',
			);
	});

	it.each([1, 8, 40, 511, 512, 513, 2_000])('stores a file of %i bytes whole', async (length) => {
		const bytes = Buffer.concat([PNG, Buffer.alloc(2_000)]).subarray(0, length);
		const headers = { 'content-length': String(length) };
		const host = new FakeHost(() => ({ body: Readable.from([bytes]), headers }));
		await host.download([image('a')]);
		expect(host.stored[0]?.bytes).toEqual(bytes);
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
	});

	it('is refused where n8n sees that a name leads to a private network, or where only the node does', async () => {
		const blocked = Object.assign(new Error('blocked'), { name: 'SsrfBlockedIpError' });
		for (const [lookUp, where] of [
			[async () => await Promise.reject(blocked), 'cdn.example'],
			[async () => await Promise.resolve(['8.8.8.8', '100.64.0.1']), 'cdn.example, 100.64.0.1'],
		] as const) {
			const host = new FakeHost(whole, lookUp);
			const { message } = await host.failure([image('a')]);
			expect(message).toContain(`its address leads to a private network (${where}). If that is right`);
			expect(message).toContain('N8N_SSRF_ALLOWED_HOSTNAMES or N8N_SSRF_ALLOWED_IP_RANGES');
			expect(host.requests).toEqual([]);
		}
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
		const stop = new LightSignal();
		const body = Readable.from([PNG]);
		const host: FakeHost = new FakeHost(() => ({ body }), undefined, 20_000);
		host.clock.at(5_000, () => stop.abort());
		expect((await host.failure([image('a')], stop)).message).toContain('it was stopped');
		expect(host.clock.now()).toBe(5_000);
		await host.clock.advance(20_000);
		expect(body.destroyed).toBe(true);
	});

	describe('of an answer whose end cannot be known', () => {
		const from = async (...bodies: Buffer[]) => {
			const host: FakeHost = new FakeHost((_, count) => ({
				headers: {},
				body: Readable.from([bodies[Math.min(count, bodies.length) - 1] ?? PNG]),
			}));
			const result = await host.downloadSome([image('a')]).catch((error: unknown) => error);
			return { result, tries: host.requests.length };
		};

		it('a file is kept when its format shows its end, and is tried again without', async () => {
			expect(await from(PNG)).toMatchObject({ result: { stored: [{}] }, tries: 1 });
			expect(await from(PNG.subarray(0, -1), PNG)).toMatchObject({ result: { stored: [{}] }, tries: 2 });
			const { result, tries } = await from(PNG.subarray(0, -1));
			expect((result as Error).message).toContain('the connection was lost before the file was complete');
			expect(tries).toBe(4);
		});

		it('what was unpacked and has no size is judged by its format', async () => {
			const host = new FakeHost(() => ({ body: Readable.from([PNG.subarray(0, -1)]) }));
			expect((await host.failure([image('a')])).message).toContain('the connection was lost');
		});

		it.each([
			['MP4', Buffer.from('\0\0\0\0ftypisom 0000', 'latin1')],
			['a very short file', Buffer.from('\x01\x02')],
		])('%s, which does not show it, is refused', async (_, body) => {
			const { result } = await from(body);
			expect((result as Error).message).toContain('nothing shows whether the file is complete');
		});
	});

	it('takes no more than 500 files, and not more than ten times the largest size together', async () => {
		const many = Array.from({ length: 502 }, (_, n) => image(`f${n}`));
		const tooMany = await new FakeHost(whole).downloadSome(many);
		expect(tooMany.stored).toHaveLength(500);
		expect(tooMany.failed.map(({ name, reason }) => [name, reason])).toEqual(
			['f500.png', 'f501.png'].map((name) => [name, 'only 500 files of a request are downloaded']),
		);
		const headers = { 'content-length': '900000' };
		const host = new FakeHost(() => ({ body: Readable.from([Buffer.alloc(900_000)]), headers }));
		const { stored, failed } = await host.downloadSome(many.slice(0, 20), undefined, {
			...OPTIONS,
			maxMegabytes: 1,
		});
		// Those that are under way at once do not know of each other.
		expect(stored.length).toBeLessThan(11 + 4);
		expect(failed[0]?.reason).toBe(
			'the files of this request are larger than 10 times the 1 MB of the option “Max File Size (MB)”',
		);
	});
});

describe('The downloads of one item', () => {
	const files = Array.from({ length: 30 }, (_, n) => image(`f${n}`));

	it('come in order, with different names, four at once', async () => {
		let most = 0;
		const host: FakeHost = new FakeHost((url) => {
			most = Math.max(most, host.open + 1);
			const headers = { 'content-length': '200' };
			return { body: host.slowBody(10, url.endsWith('f0.png') ? 5_000 : 1_000, 200), headers };
		});
		const stored = await host.download([...files, image('F0')]);
		expect(stored.map(({ fileName }) => fileName)).toEqual([...files.map((_, n) => `f${n}.png`), 'F0_1.png']);
		expect(most).toBe(4);
	});

	it('come without the one that fails, which is named with the reason', async () => {
		const host: FakeHost = new FakeHost((url) =>
			url.endsWith('f2.png')
				? { statusCode: 404, body: Readable.from([]) }
				: { body: host.slowBody(10, 5_000, 1_000), headers: { 'content-length': '1000' } },
		);
		const { stored, failed } = await host.downloadSome(files);
		expect(stored.map(({ fileName }) => fileName)).toEqual(
			files.flatMap((_, n) => (n === 2 ? [] : [`f${n}.png`])),
		);
		expect(failed).toEqual([{ ...image('f2'), reason: 'the file server answered with HTTP 404' }]);
		expect([host.open, host.clock.sleeping]).toEqual([0, 0]);
	});

	it('are named in the error, but not with all of what a server may send', async () => {
		const host: FakeHost = new FakeHost(() => ({ statusCode: 404, body: Readable.from([]) }));
		const long = Array.from({ length: 400 }, (_, n) => image(`${'x'.repeat(100_000)}${n}`));
		const { message, advice } = await host.failure(long);
		expect(message.length).toBeLessThan(3_000);
		expect(advice.length).toBeLessThan(30_000);
		expect(advice).toContain('… and 390 more');
	});

	it('are named in the error by their whole addresses, also signed ones', async () => {
		const host: FakeHost = new FakeHost(() => ({ statusCode: 404, body: Readable.from([]) }));
		const signed = Array.from({ length: 8 }, (_, n) => image(`${'x'.repeat(1_900)}${n}`));
		const { message, advice } = await host.failure(signed);
		for (const { url } of signed) expect(`${message} ${advice}`).toContain(url);
	});

	it('are an error that names all of them when none comes', async () => {
		const host: FakeHost = new FakeHost(() => ({ statusCode: 404, body: Readable.from([]) }));
		const { message, advice } = await host.failure(files);
		expect(message).toBe(
			'RunComfy request job-1 finished, but its image could not be downloaded: the file server answered with HTTP 404. Image URL: https://cdn.example/f0.png',
		);
		for (const { url } of files) expect(`${message} ${advice}`).toContain(url);
		expect([host.requests.length, host.open, host.stored]).toEqual([files.length, 0, []]);
	});

	it('are no error when only URLs fail of which nothing says that they are files', async () => {
		const page: ResultFile = { url: 'https://example.com/about', kind: 'file', name: 'about' };
		const host: FakeHost = new FakeHost(() => ({ body: Readable.from([Buffer.from('<html>')]) }));
		expect(await host.downloadSome([page])).toMatchObject({ stored: [], failed: [{ url: page.url }] });
	});

	it.each(['before', 'during'])('end when they are stopped %s', async (when) => {
		const stop = new LightSignal();
		const host: FakeHost = new FakeHost(() => ({ body: host.slowBody(10, 5_000, 1_000) }));
		if (when === 'before') stop.abort();
		host.clock.at(12_000, () => stop.abort());
		expect((await host.failure(files, stop)).message).toContain('it was stopped');
		expect(host.requests).toHaveLength(when === 'before' ? 0 : 4);
		expect([host.open, host.stored]).toEqual([0, []]);
	});
});
