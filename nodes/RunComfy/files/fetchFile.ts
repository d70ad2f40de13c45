import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject } from '../api/json';
import { networkCodeOf } from '../api/transport';
import type { Clock } from '../common/clock';

/** Node's Readable, named by way of n8n because a node may not import `stream`. */
export type ByteStream = Awaited<ReturnType<IExecuteFunctions['helpers']['getBinaryStream']>>;

/** Why a file could not be downloaded, worded for a person. */
export class DownloadProblem extends Error {
	constructor(
		message: string,
		/** Trying again may help. */
		readonly isTransient: boolean,
	) {
		super(message);
	}
}

/** An answer whose body has not been read yet. */
export interface FetchedFile {
	status: number;
	/** Of a redirect. */
	location: string | undefined;
	/** In bytes; undefined when the server does not announce it. */
	contentLength: number | undefined;
	/** The body is not the file itself, but an encoding of it, which n8n's helper may have undone. */
	isEncoded: boolean;
	stream: ByteStream;
	/** To be called whenever bytes arrive: puts off the idle timeout. */
	touch(): void;
	/** Why the body broke off from outside, undefined while it did not. */
	problem(): DownloadProblem | undefined;
	/** Drops whatever has not been read; has to be called. */
	close(): void;
}

export interface FetchDependencies {
	context: IExecuteFunctions;
	clock: Clock;
	signal: AbortSignal;
	/** Silence that counts as a lost connection, in milliseconds. */
	idleMs: number;
	/** By `clock.now()`: when a file of so many bytes has to be complete. */
	deadlineOf: (contentLength: number | undefined) => number;
}

/**
 * Opens one URL with a plain GET: no token, no redirect followed, no encoding wanted, and broken off by the signal, by
 * silence and by the deadline.
 * @throws DownloadProblem when there is no answer.
 */
export async function openUrl(
	url: string,
	{ context, clock, signal, idleMs, deadlineOf }: FetchDependencies,
): Promise<FetchedFile> {
	const breakOff = new AbortController();
	const closed = new AbortController();
	let lastByteAt = clock.now();
	let broken: DownloadProblem | undefined;
	const breakOffWith = (message: string, isTransient: boolean) => {
		if (closed.signal.aborted) return;
		broken ??= new DownloadProblem(message, isTransient);
		breakOff.abort();
	};
	const onAbort = () => breakOffWith('it was stopped', false);
	const close = () => {
		signal.removeEventListener('abort', onAbort);
		closed.abort();
	};
	const watchSilence = async () => {
		for (let left = idleMs; left > 0 && !closed.signal.aborted; left = lastByteAt + idleMs - clock.now()) {
			await clock.sleep(left, closed.signal);
		}
		breakOffWith('the file server went silent', true);
	};
	const watchDeadline = async (deadline: number) => {
		await clock.sleep(deadline - clock.now(), closed.signal);
		breakOffWith('the file server was too slow', false);
	};
	if (signal.aborted) onAbort();
	signal.addEventListener('abort', onAbort, { once: true });
	void watchSilence();

	const answer = await get(context, url, breakOff.signal).catch((error: unknown) => {
		close();
		throw broken ?? notReached(error);
	});
	if (!isJsonObject(answer) || typeof answer.statusCode !== 'number' || !isStream(answer.body)) {
		close();
		throw new DownloadProblem('the answer of the file server could not be read', true);
	}
	const stream = answer.body;
	const headers = isJsonObject(answer.headers) ? answer.headers : {};
	const contentLength = contentLengthOf(headers);
	// Broken off after the last listener has gone, a stream must not bring n8n down.
	stream.on('error', () => {});
	void watchDeadline(deadlineOf(contentLength));
	return {
		status: answer.statusCode,
		location: typeof headers.location === 'string' ? headers.location : undefined,
		contentLength,
		isEncoded: isEncoded(headers, stream),
		stream,
		touch: () => {
			lastByteAt = clock.now();
		},
		problem: () =>
			broken ??
			(stream.errored
				? new DownloadProblem('the connection was lost before the file was complete', true)
				: undefined),
		close: () => {
			close();
			stream.destroy();
		},
	};
}

async function get(context: IExecuteFunctions, url: string, abortSignal: AbortSignal): Promise<unknown> {
	return await context.helpers.httpRequest({
		method: 'GET',
		url,
		headers: { 'accept-encoding': 'identity' },
		encoding: 'stream',
		disableFollowRedirect: true,
		ignoreHttpStatusErrors: true,
		returnFullResponse: true,
		abortSignal,
	});
}

function notReached(error: unknown): DownloadProblem {
	const code = networkCodeOf(error);
	const why = code === undefined ? '' : ` (${code})`;
	return new DownloadProblem(`the file server could not be reached${why}`, true);
}

function isStream(value: unknown): value is ByteStream {
	return isJsonObject(value) && typeof value.read === 'function' && typeof value.destroy === 'function';
}

function contentLengthOf(headers: Record<string, unknown>): number | undefined {
	const text = headers['content-length'];
	return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/**
 * The HTTP client of n8n undoes gzip and the like unasked, takes the header away, and does not notice a truncated file.
 * Older versions of n8n hand out zlib's own stream, which alone counts the bytes written to it; newer ones hide even that,
 * and only the announced length tells.
 */
function isEncoded(headers: Record<string, unknown>, stream: ByteStream): boolean {
	const encoding = String(headers['content-encoding'] ?? 'identity');
	return encoding.trim().toLowerCase() !== 'identity' || 'bytesWritten' in stream;
}
