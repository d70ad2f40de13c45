import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import sharp from 'sharp';

import type { Calls } from './calls';
import type { CallSubject } from './faults';
import type { SandboxJob } from './jobStore';
import { seededRandom } from './random';

interface ServedFile {
	bytes: Buffer;
	mimeType: string;
	/** More than the bytes: they are padded while they are sent. */
	size?: number;
}

/** Files without login; faults here are what a hostile or broken file server could do. */
export class FileServer {
	private readonly plainPicture: Promise<Buffer>;

	constructor(
		private readonly calls: Calls,
		private readonly options: { seed?: number; pictureBytes?: number },
		/** The sandbox's own address, once it listens. */
		private readonly origin: () => string,
	) {
		this.plainPicture = plainPng(options.seed ?? 1);
	}

	addRoutes(app: FastifyInstance): void {
		app.get('/outputs/:requestId/:file', async (request, reply) => await this.output(request, reply));
	}

	/** Where the files of a finished job are. */
	urlsOf({ requestId, made }: SandboxJob): string[] {
		return (made?.files ?? []).map(
			({ name }) => `${this.origin()}/outputs/${requestId}/${encodeURIComponent(name)}`,
		);
	}

	private async output(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
		const { stats, jobs } = this.calls.store;
		stats.downloads++;
		if (request.headers.authorization !== undefined) stats.tokensAtOutputs++;
		const { requestId, file } = request.params as { requestId: string; file: string };
		const job = jobs.get(requestId);
		const made = job?.made?.files.find(({ name }) => name === file);
		if (job === undefined || made === undefined) return await reply.code(404).send('Not found');
		const plain = await this.plainPicture;
		const served =
			made.bytes.length > 0
				? made
				: {
						bytes: plain,
						mimeType: 'image/png',
						size: Math.max(this.options.pictureBytes ?? 0, plain.length),
					};
		return await this.send(request, reply, 'output', { requestId, prompt: job.prompt }, served);
	}

	/** Sends a file, or what a fault makes of it. */
	async send(
		request: FastifyRequest,
		reply: FastifyReply,
		kind: 'output' | 'objectInfo',
		subject: CallSubject,
		{ bytes, mimeType, size }: ServedFile,
	): Promise<unknown> {
		const isRedirected = (request.query as { redirected?: string }).redirected !== undefined;
		const fault = isRedirected ? undefined : this.calls.faults.forCall(kind, subject);
		const self = new URL(request.url, this.origin()).href;
		switch (fault?.kind) {
			case 'redirectPrivate':
				return await reply.redirect('https://10.0.0.1/secret.png');
			case 'redirectLoop':
				return await reply.redirect(self);
			case 'redirectOnce':
				return await reply.redirect(`${self}?redirected=1`);
			case 'notImage':
				return await reply.type(mimeType).send(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0]));
			case 'webPage':
				return await reply.type(mimeType).send('<!doctype html><html><body>Please log in</body></html>');
			case 'empty':
				return await reply.type(mimeType).send(Buffer.alloc(0));
			case 'endless':
				return await reply.type(mimeType).send(Readable.from(padded(bytes, Infinity)));
			case 'tiny':
				return await reply.type('image/gif').send(TINY_PICTURE);
			case 'compressed':
			case 'truncatedGzip': {
				const whole = gzipSync(bytes);
				const sent = fault.kind === 'compressed' ? whole : whole.subarray(0, Math.floor(whole.length / 2));
				return await reply.type(mimeType).header('content-encoding', 'gzip').send(sent);
			}
			case 'partial':
				return await reply
					.code(206)
					.header('content-range', 'bytes 0-99/200')
					.type(mimeType)
					.send(bytes.subarray(0, 100));
			case 'truncated':
				return await reply.type(mimeType).send(bytes.subarray(0, Math.ceil(bytes.length / 2)));
			case 'noContent':
				return await reply.code(204).send();
			case 'drip':
				return await reply.type(mimeType).send(Readable.from(dripping(bytes, fault.delayMs ?? 50)));
			case 'short':
				reply.hijack();
				reply.raw.writeHead(200, { 'content-type': mimeType, 'content-length': bytes.length + 5_000 });
				reply.raw.write(bytes);
				setTimeout(() => reply.raw.destroy(), 50);
				return reply;
			case undefined:
				reply.type(mimeType);
				if (size === undefined) return await reply.send(bytes);
				return await reply.header('content-length', size).send(Readable.from(padded(bytes, size)));
			default: {
				const headers = { 'content-type': mimeType };
				return await this.calls.answer(reply, fault, () => ({ status: 200, body: bytes, headers }));
			}
		}
	}
}

/** A small picture, the same for the same seed. */
async function plainPng(seed: number): Promise<Buffer> {
	const random = seededRandom(seed);
	const background = { r: 255 * random(), g: 255 * random(), b: 255 * random() };
	return await sharp({ create: { width: 64, height: 64, channels: 3, background } })
		.png()
		.toBuffer();
}

const CHUNK_BYTES = 64 * 1024;

/** A file followed by as much padding as it takes; a PNG may have bytes after its end. */
function* padded(bytes: Buffer, size: number): Generator<Buffer> {
	yield bytes;
	const padding = Buffer.alloc(CHUNK_BYTES);
	for (let left = size - bytes.length; left > 0; left -= CHUNK_BYTES) {
		yield left >= CHUNK_BYTES ? padding : padding.subarray(0, left);
	}
}

/** A complete picture, shorter than the bytes that type detection reads. */
export const TINY_PICTURE = Buffer.from('GIF89a\x01\0\x01\0\0\0\0;', 'latin1');

async function* dripping(bytes: Buffer, everyMs: number): AsyncGenerator<Buffer> {
	yield bytes;
	for (;;) {
		await new Promise((resolve) => setTimeout(resolve, everyMs));
		yield Buffer.alloc(4);
	}
}
