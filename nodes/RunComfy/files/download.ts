import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { findFileUrlFault, hostKind } from '../api/addresses';
import { RunComfyError } from '../api/problems';
import type { Clock, Random } from '../common/clock';
import { backoffMs, ERROR_BACKOFF } from '../common/retry';
import { outputFileName } from './fileNames';
import { fileTypeOf, looksLikeText, nameKind, SNIFF_BYTES, type FileKind } from './fileTypes';
import { openUrl, type ByteStream, type FetchedFile } from './fetchFile';
import { BYTES_PER_MB } from './sizes';
import { Slots } from '../common/slots';

/** Downloads at once per run: outputs are large, and more would only share the same line. */
const MAX_DOWNLOADS = 4;
const MAX_REDIRECTS = 3;
const MAX_TRIES = 4;
/** A server that says nothing for so long has hung up without telling. */
export const DOWNLOAD_IDLE_MS = 30_000;

/** A download that may succeed when tried again. */
class PassingFault extends Error {}
/** A download that will not get better. */
class FinalFault extends Error {}

export interface DownloadDependencies {
	context: IExecuteFunctions;
	clock: Clock;
	random: Random;
	/** Only while the credential's base URL is on loopback. */
	allowLoopback: boolean;
	idleMs: number;
}

export interface DownloadOrder {
	url: string;
	/** What RunComfy says it is; which type of it is for the bytes to tell. */
	kind: FileKind;
	requestId: string;
	/** Position in the result, for its name. */
	index: number;
	/** Without extension; empty: the name in the URL. */
	fileName: string;
	maxMegabytes: number;
}

/**
 * Streams output files into n8n's binary data. Never with the token, never from an address that is not public, and
 * never believing a server about what it sends. A GET costs nothing, so faults are retried.
 */
export class Downloader {
	private readonly slots: Slots;

	constructor(private readonly dependencies: DownloadDependencies) {
		this.slots = new Slots(MAX_DOWNLOADS);
	}

	/**
	 * @param signal ends the download at once.
	 * @returns the stored file, with the MIME type and the extension of what was really received.
	 * @throws RunComfyError naming request and URL: the result is paid for and can be fetched again.
	 */
	async download(order: DownloadOrder, signal: AbortSignal): Promise<IBinaryData> {
		return await this.slots.use(async () => await this.downloadWithRetries(order, signal));
	}

	private async downloadWithRetries(order: DownloadOrder, signal: AbortSignal): Promise<IBinaryData> {
		const { clock, random } = this.dependencies;
		for (let tries = 1; ; tries++) {
			try {
				return await this.downloadOnce(order, signal);
			} catch (error) {
				const canRetry = error instanceof PassingFault && tries < MAX_TRIES && !signal.aborted;
				const why =
					error instanceof PassingFault || error instanceof FinalFault ? error.message : storeFault(error);
				if (!canRetry) throw downloadError(order, why);
				await clock.sleep(backoffMs(tries, ERROR_BACKOFF, random), signal);
			}
		}
	}

	private async downloadOnce(order: DownloadOrder, signal: AbortSignal): Promise<IBinaryData> {
		const { context } = this.dependencies;
		const maxBytes = order.maxMegabytes * BYTES_PER_MB;
		const file = await this.open(order.url, signal);
		let exceeded = false;
		const onExceeded = () => {
			exceeded = true;
			throw tooLarge(order.maxMegabytes);
		};
		try {
			if (file.contentLength !== undefined && file.contentLength > maxBytes) {
				onExceeded();
			}
			const head = await peek(file, SNIFF_BYTES);
			if (head.length === 0) throw new FinalFault('the file is empty');
			const type = fileTypeOf(head);
			if (type === undefined) {
				const expected = nameKind(order.kind);
				throw new FinalFault(
					looksLikeText(head)
						? `a web page or text came instead of ${expected}`
						: `the file is not ${expected}`,
				);
			}
			const name = outputFileName(order, type.extension);
			const body = await guard(file, maxBytes, onExceeded);
			return await context.helpers.prepareBinaryData(body, name, type.mimeType);
		} catch (error) {
			throw exceeded ? tooLarge(order.maxMegabytes) : reasonOf(error, file);
		} finally {
			file.close();
		}
	}

	/** Follows at most three redirects, each of which has to be a safe address itself. */
	private async open(firstUrl: string, signal: AbortSignal): Promise<FetchedFile> {
		let url = firstUrl;
		for (let redirects = 0; ; redirects++) {
			await this.assertSafe(url, redirects);
			const file = await openUrl(url, { ...this.dependencies, signal }).catch((error: unknown) => {
				throw new PassingFault(error instanceof Error ? error.message : 'the connection was lost');
			});
			if (file.status >= 200 && file.status < 300) return file;
			file.close();
			if (file.status >= 300 && file.status < 400 && file.location !== undefined) {
				if (redirects >= MAX_REDIRECTS)
					throw new FinalFault(`it was redirected more than ${MAX_REDIRECTS} times`);
				url = resolveUrl(file.location, url);
				continue;
			}
			const passing = file.status >= 500 || [408, 425, 429].includes(file.status);
			const message = `the file server answered with HTTP ${file.status}`;
			throw passing ? new PassingFault(message) : new FinalFault(message);
		}
	}

	private async assertSafe(url: string, redirects: number): Promise<void> {
		const { context, allowLoopback } = this.dependencies;
		const which = redirects === 0 ? 'its address' : 'the address it was redirected to';
		const fault = findFileUrlFault(url, { allowLoopback });
		if (fault !== undefined) throw new FinalFault(`${which} ${fault}`);
		if (hostKind(new URL(url).hostname) === 'loopback') return;
		// Newer versions of n8n can look a name up and judge where it really leads.
		const verdict = await context.helpers.getSecureEgressFilter?.('enforced').validateUrl(url);
		if (verdict?.ok === false && verdict.error.constructor.name.startsWith('SsrfBlocked')) {
			throw new FinalFault(`${which} leads to a private network`);
		}
	}
}

function tooLarge(maxMegabytes: number): FinalFault {
	return new FinalFault(`the file is larger than the ${maxMegabytes} MB of the option “Max File Size (MB)”`);
}

/** What n8n's storage throws may wrap or replace the reason: the file knows whether it broke off. */
function reasonOf(error: unknown, file: FetchedFile): unknown {
	const fault = error instanceof FinalFault ? undefined : file.fault();
	return fault === undefined ? error : new PassingFault(fault);
}

function storeFault(error: unknown): string {
	const reason = error instanceof Error && error.message !== '' ? ` (${error.message})` : '';
	return `n8n could not store the file${reason}`;
}

function resolveUrl(location: string, base: string): string {
	if (!URL.canParse(location, base))
		throw new FinalFault('it was redirected to an address that cannot be read');
	return new URL(location, base).toString();
}

/** The first bytes of a stream, which stay in it. Fewer only when there are no more. */
async function peek(file: FetchedFile, bytes: number): Promise<Buffer> {
	const { stream } = file;
	const chunks: Buffer[] = [];
	let length = 0;
	while (length < bytes) {
		const chunk: unknown = stream.read();
		if (chunk === null) {
			if (stream.readableEnded || stream.destroyed || (await moreOrEnd(stream)) === 'end') break;
			continue;
		}
		const buffer = Buffer.from(chunk as Uint8Array);
		chunks.push(buffer);
		length += buffer.length;
		file.touch();
	}
	const head = Buffer.concat(chunks);
	if (stream.errored) throw stream.errored;
	if (head.length > 0) stream.unshift(head);
	return head.subarray(0, bytes);
}

async function moreOrEnd(stream: ByteStream): Promise<'more' | 'end'> {
	return await new Promise((resolve, reject) => {
		const settle = (then: () => void) => () => {
			for (const [event, listener] of listeners) stream.off(event, listener);
			then();
		};
		const listeners: Array<[string, (...args: unknown[]) => void]> = [
			['readable', settle(() => resolve('more'))],
			['end', settle(() => resolve('end'))],
			['close', settle(() => resolve('end'))],
			[
				'error',
				(error: unknown) => settle(() => reject(error instanceof Error ? error : new Error('lost')))(),
			],
		];
		for (const [event, listener] of listeners) stream.once(event, listener);
	});
}

/**
 * The stream, ending in an error as soon as it exceeds its limit, so that n8n throws away what it has stored of it.
 * `map` is a method of Node's streams since version 16 (experimental by its documentation); without it the file is
 * held in memory, under the same limit.
 */
async function guard(
	file: FetchedFile,
	maxBytes: number,
	onExceeded: () => void,
): Promise<ByteStream | Buffer> {
	let total = 0;
	const check = (chunk: Uint8Array): Uint8Array => {
		total += chunk.length;
		file.touch();
		if (total > maxBytes) onExceeded();
		return chunk;
	};
	if (typeof file.stream.map === 'function') return file.stream.map(check);
	const chunks: Uint8Array[] = [];
	for await (const chunk of file.stream) chunks.push(check(chunk as Uint8Array));
	return Buffer.concat(chunks);
}

function downloadError({ requestId, url, kind }: DownloadOrder, why: string): RunComfyError {
	const what = kind === 'audio' ? 'audio file' : kind;
	const label = `${what.charAt(0).toUpperCase()}${what.slice(1)} URL`;
	return new RunComfyError({
		kind: 'download',
		message: `RunComfy request ${requestId} finished, but its ${what} could not be downloaded: ${why}. ${label}: ${url}`,
		advice: `The ${what} is paid for and was not generated again.  Fetch it with the operation “Get Result” and this request id, or open the URL; outputs may expire, so do it soon.`,
		requestId,
	});
}
