import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject } from '../api/json';
import { networkCodeOf } from '../api/transport';
import type { Clock } from '../common/clock';

/** Node's Readable, named by way of n8n because a node may not import `stream`. */
export type ByteStream = Awaited<ReturnType<IExecuteFunctions['helpers']['getBinaryStream']>>;

/** An answer whose body has not been read yet. */
export interface FetchedFile {
	status: number;
	/** Of a redirect. */
	location: string | undefined;
	/** In bytes; undefined when the server does not announce it, or announces it of a compressed body. */
	contentLength: number | undefined;
	stream: ByteStream;
	/** To be called whenever bytes arrive: puts off the time-out. */
	touch(): void;
	/** Why the body broke off from outside, undefined while it did not. */
	fault(): string | undefined;
	/** Drops whatever has not been read; has to be called. */
	close(): void;
}

export interface FetchDependencies {
	context: IExecuteFunctions;
	clock: Clock;
	signal: AbortSignal;
	/** Silence that counts as a lost connection, in milliseconds. */
	idleMs: number;
}

/**
 * Opens one URL with a plain GET: no token, no redirect followed, and broken off by Stop or by silence.
 * @throws Error worded for a person when there is no answer.
 */
export async function openUrl(
	url: string,
	{ context, clock, signal, idleMs }: FetchDependencies,
): Promise<FetchedFile> {
	const breakOff = new AbortController();
	const closed = new AbortController();
	let lastByteAt = clock.now();
	let broken: string | undefined;
	const onStop = () => {
		broken = 'it was stopped';
		breakOff.abort();
	};
	const close = () => {
		signal.removeEventListener('abort', onStop);
		closed.abort();
	};
	const watch = async () => {
		for (let left = idleMs; left > 0 && !closed.signal.aborted; left = lastByteAt + idleMs - clock.now()) {
			await clock.sleep(left, closed.signal);
		}
		if (closed.signal.aborted) return;
		broken = 'the file server went silent';
		breakOff.abort();
	};
	if (signal.aborted) onStop();
	signal.addEventListener('abort', onStop, { once: true });
	void watch();

	try {
		const answer: unknown = await context.helpers.httpRequest({
			method: 'GET',
			url,
			encoding: 'stream',
			disableFollowRedirect: true,
			ignoreHttpStatusErrors: true,
			returnFullResponse: true,
			abortSignal: breakOff.signal,
		});
		if (!isJsonObject(answer) || typeof answer.statusCode !== 'number' || !isStream(answer.body)) {
			throw new Error('the answer could not be read');
		}
		const stream = answer.body;
		const headers = isJsonObject(answer.headers) ? answer.headers : {};
		// Broken off after the last listener has gone, a stream must not bring n8n down.
		stream.on('error', () => {});
		return {
			status: answer.statusCode,
			location: typeof headers.location === 'string' ? headers.location : undefined,
			contentLength: contentLengthOf(headers),
			stream,
			touch: () => {
				lastByteAt = clock.now();
			},
			fault: () =>
				broken ?? (stream.errored ? 'the connection was lost before the file was complete' : undefined),
			close: () => {
				close();
				stream.destroy();
			},
		};
	} catch (error) {
		close();
		throw notReached(broken, networkCodeOf(error));
	}
}

function notReached(broken: string | undefined, code: string | undefined): Error {
	return new Error(broken ?? `the file server could not be reached${code === undefined ? '' : ` (${code})`}`);
}

function isStream(value: unknown): value is ByteStream {
	return isObjectLike(value) && typeof value.read === 'function' && typeof value.destroy === 'function';
}

function isObjectLike(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null;
}

function contentLengthOf(headers: Record<string, unknown>): number | undefined {
	const text = headers['content-length'];
	if (typeof text !== 'string' || !/^\d+$/.test(text) || headers['content-encoding'] !== undefined)
		return undefined;
	return Number(text);
}
