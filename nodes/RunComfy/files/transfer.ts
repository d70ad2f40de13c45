import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../api/json';
import { isTransientStatus, networkCodeOf } from '../api/call';
import { type AddressRules, findFileUrlProblem, isLoopbackUrl, ownProxy } from '../api/urls';
import { type Clock, type Signal, unlessAborted } from '../util/time';
import { FileEnd } from './fileEnds';
import { BYTES_PER_MB, SNIFF_BYTES } from './fileTypes';
import { type EgressHelpers, findPrivateAddress } from './privateAddress';

/** Node's Readable. Its type comes from n8n, because a node may not import `stream`. */
type ByteStream = Awaited<ReturnType<IExecuteFunctions['helpers']['getBinaryStream']>>;

interface FileAnswer {
	status: number;
	headers: JsonObject;
	body: ByteStream;
}

/** The files of a request together may have so many times the size of one. */
export const MAX_FILES_TOGETHER = 10;

export const CUT_OFF = 'the connection was lost before the file was complete';

/** Why a file could not be downloaded. The message is a part of a sentence for the user. */
export class DownloadProblem extends Error {
	constructor(
		message: string,
		/** Whether a retry may succeed. */
		readonly isTransient = false,
	) {
		super(message);
	}
}

/** n8n's helpers that a plain request needs, in a run of the node or in the editor. */
export interface RequestContext {
	helpers: Pick<IExecuteFunctions['helpers'], 'httpRequest'> & EgressHelpers;
}

export interface TransferOptions extends AddressRules {
	context: RequestContext;
	clock: Clock;
	/** How long the server may be silent before the connection counts as lost, in milliseconds. */
	idleMs: number;
	/** The limit on the time of the whole transfer, in milliseconds; undefined for none. */
	totalMs?: number;
	maxMegabytes: number;
	/** How many bytes more the files of the request may have together; undefined for any number. */
	room?: number;
	/** Stop ends the transfer, whatever it is waiting for. */
	stop?: Signal;
}

/**
 * One try to read a file: plain GETs of safe addresses, without the token and without content encoding. It ends by itself
 * at Stop, and when the server is silent. It must be closed.
 */
export class Transfer {
	/** What has been read. */
	readonly end = new FileEnd();
	/** Aborted when the transfer is over, for whatever reason. */
	private readonly controller = new AbortController();
	private lastSignAt: number;
	/** Why the transfer was ended early. */
	private reason: DownloadProblem | undefined;
	private stream: ByteStream | undefined;

	constructor(private readonly options: TransferOptions) {
		this.lastSignAt = options.clock.now();
		options.stop?.addEventListener('abort', this.onStop);
		if (options.stop?.aborted === true) this.onStop();
		void this.watch();
	}

	/**
	 * Opens a file. Every redirect must lead to a safe address, too.
	 * @returns its size in bytes, where the server reports it; whether the server has sent it encoded; and whether the
	 * connection shows the end of it: without a size and without chunks, a lost connection looks like the end.
	 * @throws DownloadProblem, unless the server sends the file.
	 */
	async open(
		url: string,
		maxRedirects: number,
	): Promise<{ contentLength?: number; isEncoded: boolean; hasEnd: boolean }> {
		for (let redirects = 0; ; redirects++) {
			const which = redirects === 0 ? 'its address' : 'the address it was redirected to';
			const { status, headers, body } = await this.request(url, which);
			if (status === 200) {
				const length = headers['content-length'];
				const contentLength = typeof length === 'string' ? Number(length) : undefined;
				this.checkSize(contentLength ?? 0);
				if (this.reason !== undefined) throw this.reason;
				const hasEnd = contentLength !== undefined || /chunked/i.test(String(headers['transfer-encoding']));
				return { contentLength, isEncoded: isEncoded(headers, body), hasEnd };
			}
			body.destroy();
			const { location } = headers;
			if (status < 300 || status >= 400 || typeof location !== 'string')
				throw new DownloadProblem(`the file server answered with HTTP ${status}`, isTransientStatus(status));
			if (redirects >= maxRedirects)
				throw new DownloadProblem(`it was redirected more than ${maxRedirects} times`);
			if (!URL.canParse(location, url))
				throw new DownloadProblem('it was redirected to an address that cannot be read');
			url = new URL(location, url).href;
		}
	}

	/**
	 * Begins to read the body.
	 * @param findProblem asked at the end: what is wrong with what has come. A stream then ends with an error, so that n8n
	 * does not keep what it has stored of it.
	 * @returns its first bytes, and the whole of it: a stream, or bytes where the file is very short. More than the limit on
	 * size ends the transfer.
	 */
	async read(
		findProblem: (head: Buffer) => DownloadProblem | undefined,
	): Promise<{ head: Buffer; body: Buffer | ByteStream }> {
		const chunks = this.chunks();
		let head = Buffer.alloc(0);
		while (head.length < SNIFF_BYTES) {
			const { value, done } = await chunks.next();
			if (done === true) return { head, body: head };
			head = Buffer.concat([head, value]);
		}
		// A node may not import `stream`.
		const { from } = this.stream?.constructor as unknown as {
			from(bytes: object, options: object): ByteStream;
		};
		const body = from(this.checked(head, chunks, findProblem), { objectMode: false });
		body.on('error', () => {});
		return { head, body };
	}

	private async *checked(
		head: Buffer,
		others: AsyncGenerator<Uint8Array>,
		findProblem: (head: Buffer) => DownloadProblem | undefined,
	): AsyncGenerator<Uint8Array> {
		yield head;
		yield* others;
		const problem = findProblem(head);
		if (problem === undefined) return;
		this.close(problem);
		throw problem;
	}

	/** Reads the whole body into memory. */
	async readAll(): Promise<Buffer> {
		const all: Uint8Array[] = [];
		for await (const chunk of this.chunks()) all.push(chunk);
		return Buffer.concat(all);
	}

	private async *chunks(): AsyncGenerator<Uint8Array, void> {
		for await (const chunk of this.stream ?? []) yield this.count(chunk as Uint8Array);
	}

	/** Why reading or storing has failed, if the transfer is the reason: n8n's storage may wrap or replace the error. */
	problemOf(error: unknown): DownloadProblem | undefined {
		if (this.reason !== undefined) return this.reason;
		if (error instanceof DownloadProblem) return error;
		return this.stream?.errored ? new DownloadProblem(CUT_OFF, true) : undefined;
	}

	/** Ends whatever is under way, and discards what has not been read. */
	close(reason?: DownloadProblem): void {
		if (this.controller.signal.aborted) return;
		this.reason = reason;
		this.options.stop?.removeEventListener('abort', this.onStop);
		this.stream?.destroy(reason);
		this.controller.abort();
	}

	private readonly onStop = () => this.close(new DownloadProblem('it was stopped'));

	private async watch(): Promise<void> {
		const { clock, idleMs, totalMs = Infinity } = this.options;
		const { signal } = this.controller;
		const end = clock.now() + totalMs;
		const left = () => Math.min(this.lastSignAt + idleMs, end) - clock.now();
		for (let ms = left(); ms > 0 && !signal.aborted; ms = left()) await clock.sleep(ms, signal);
		this.close(new DownloadProblem('the file server stopped sending data', true));
	}

	private async request(url: string, which: string): Promise<FileAnswer> {
		const { context } = this.options;
		const problem = findFileUrlProblem(url, this.options);
		if (problem !== undefined) throw new DownloadProblem(`${which} ${problem}`);
		const forbidden = isLoopbackUrl(url)
			? undefined
			: await this.unlessOver(findPrivateAddress(context.helpers, new URL(url).hostname));
		if (forbidden !== undefined) throw new DownloadProblem(`${which} ${forbidden}`);
		const request = context.helpers.httpRequest({
			method: 'GET',
			url,
			headers: { 'accept-encoding': 'identity' },
			encoding: 'stream',
			disableFollowRedirect: true,
			ignoreHttpStatusErrors: true,
			returnFullResponse: true,
			abortSignal: this.controller.signal,
			...ownProxy(url),
		});
		const answering = request.then(readFileAnswer, (error: unknown) => {
			const code = networkCodeOf(error);
			const why = code === undefined ? '' : ` (${code})`;
			throw new DownloadProblem(`the file server could not be reached${why}`, true);
		});
		const answer = await this.unlessOver(answering).catch((error: unknown) => {
			// n8n looks the name up before it takes notice of the signal, so an answer may still come.
			void answering.then(
				({ body }) => body.destroy(),
				() => {},
			);
			throw error;
		});
		this.stream = answer.body;
		this.lastSignAt = this.options.clock.now();
		return answer;
	}

	/** @throws DownloadProblem as soon as the transfer has been ended. */
	private async unlessOver<T>(promise: Promise<T>): Promise<T> {
		await unlessAborted(promise, this.controller.signal);
		if (this.reason !== undefined) throw this.reason;
		return await promise;
	}

	private count(chunk: Uint8Array): Uint8Array {
		this.lastSignAt = this.options.clock.now();
		this.end.push(chunk);
		this.checkSize(this.end.bytes);
		return chunk;
	}

	/** Ends the transfer, and so the stream, when the file is too large. */
	private checkSize(bytes: number): void {
		const { maxMegabytes, room = Infinity } = this.options;
		const limit = `the ${maxMegabytes} MB of the option “Max File Size (MB)”`;
		if (bytes > maxMegabytes * BYTES_PER_MB)
			this.close(new DownloadProblem(`the file is larger than ${limit}`));
		else if (bytes > room)
			this.close(
				new DownloadProblem(`the files of this request are larger than ${MAX_FILES_TOGETHER} times ${limit}`),
			);
	}
}

function readFileAnswer(answer: unknown): FileAnswer {
	if (!isJsonObject(answer) || typeof answer.statusCode !== 'number' || !isStream(answer.body))
		throw new DownloadProblem('the answer of the file server could not be read', true);
	const { statusCode: status, headers, body } = answer;
	// An error without a listener would crash n8n, also after the last reader has left.
	body.on('error', () => {});
	return { status, headers: isJsonObject(headers) ? headers : {}, body };
}

function isStream(value: unknown): value is ByteStream {
	return isJsonObject(value) && typeof value.read === 'function' && typeof value.destroy === 'function';
}

/**
 * The HTTP client of n8n decodes gzip and similar encodings by itself, removes the header, and does not notice a truncated
 * file. Older versions of n8n return zlib's stream, which has a `bytesWritten`. Newer versions do not: there, only the
 * content length shows the difference.
 */
function isEncoded(headers: JsonObject, stream: ByteStream): boolean {
	const encoding = String(headers['content-encoding'] ?? 'identity');
	return encoding.trim().toLowerCase() !== 'identity' || 'bytesWritten' in stream;
}
