import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject } from '../api/json';
import { networkCodeOf } from '../api/transport';
import { type Clock, LightSignal, type Signal, unlessAborted } from '../util/time';

/** Node's Readable. Its type comes from n8n, because a node may not import `stream`. */
export type ByteStream = Awaited<ReturnType<IExecuteFunctions['helpers']['getBinaryStream']>>;

/** Why a file could not be downloaded. The message is a part of a sentence for the user. */
export class DownloadProblem extends Error {
	constructor(
		message: string,
		/** Whether a retry may succeed. */
		readonly isTransient: boolean,
		/** Whether the file server says that there is no such file, or not any more. */
		readonly isGone = false,
	) {
		super(message);
	}
}

/** An answer whose body has not been read yet. */
export interface FetchedFile {
	status: number;
	/** Of a redirect. */
	location: string | undefined;
	/** In bytes; undefined when the server does not report it. */
	contentLength: number | undefined;
	/** Whether the server sent the file encoded, for example as gzip. n8n's helper may have decoded it. */
	isEncoded: boolean;
	stream: ByteStream;
	/** Restarts the idle timeout; call it whenever bytes arrive. */
	touch(): void;
	/** Why the body ended early; undefined when it did not. */
	problem(): DownloadProblem | undefined;
	/** Discards what has not been read. It must be called. */
	close(): void;
}

/** n8n's helpers that a plain request needs, in a run of the node or in the editor. */
export interface RequestContext {
	helpers: Pick<IExecuteFunctions['helpers'], 'httpRequest'> &
		Partial<Pick<IExecuteFunctions['helpers'], 'getSecureEgressFilter'>>;
}

export interface FetchDependencies {
	context: RequestContext;
	clock: Clock;
	signal: Signal;
	/** How long no bytes may arrive before the connection counts as lost, in milliseconds. */
	idleMs: number;
	/** By `clock.now()`: when a file of this size must be complete. */
	deadlineOf: (contentLength: number | undefined) => number;
}

/**
 * Opens one URL with a plain GET: without the token, without following redirects, and without content encoding. The
 * signal, the idle timeout, and the deadline abort it.
 * @throws DownloadProblem when there is no answer.
 */
export async function openUrl(
	url: string,
	{ context, clock, signal, idleMs, deadlineOf }: FetchDependencies,
): Promise<FetchedFile> {
	const controller = new AbortController();
	const closed = new LightSignal();
	let lastByteAt = clock.now();
	let aborted: DownloadProblem | undefined;
	const abortWith = (message: string, isTransient: boolean) => {
		if (closed.aborted) return;
		aborted ??= new DownloadProblem(message, isTransient);
		controller.abort();
	};
	const onAbort = () => abortWith('it was stopped', false);
	const close = () => {
		signal.removeEventListener('abort', onAbort);
		closed.abort();
	};
	const watchIdle = async () => {
		for (let left = idleMs; left > 0 && !closed.aborted; left = lastByteAt + idleMs - clock.now()) {
			await clock.sleep(left, closed);
		}
		abortWith('the file server stopped sending data', true);
	};
	const watchDeadline = async (deadline: number) => {
		await clock.sleep(deadline - clock.now(), closed);
		abortWith('the file server was too slow', false);
	};
	if (signal.aborted) onAbort();
	signal.addEventListener('abort', onAbort);
	void watchIdle();

	// n8n looks the name up before it takes notice of the signal.
	const sent = get(context, url, controller.signal);
	const answer = await unlessAborted(sent, controller.signal).catch((error: unknown) => {
		close();
		throw aborted ?? notReached(error);
	});
	if (aborted !== undefined) {
		close();
		void sent.then(dismiss, () => {});
		throw aborted;
	}
	if (!isJsonObject(answer) || typeof answer.statusCode !== 'number' || !isStream(answer.body)) {
		close();
		throw new DownloadProblem('the answer of the file server could not be read', true);
	}
	const stream = answer.body;
	const headers = isJsonObject(answer.headers) ? answer.headers : {};
	const contentLength = contentLengthOf(headers);
	// An error without a listener would crash n8n, also after the last reader has left.
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
			aborted ??
			(stream.errored
				? new DownloadProblem('the connection was lost before the file was complete', true)
				: undefined),
		close: () => {
			close();
			stream.destroy();
		},
	};
}

/** Ends an answer that came too late. */
function dismiss(answer: unknown): void {
	if (!isJsonObject(answer) || !isStream(answer.body)) return;
	answer.body.on('error', () => {});
	answer.body.destroy();
}

async function get(context: RequestContext, url: string, abortSignal: AbortSignal): Promise<unknown> {
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
 * The HTTP client of n8n decodes gzip and similar encodings by itself, removes the header, and does not notice a truncated
 * file. Older versions of n8n return zlib's stream, which has a `bytesWritten`. Newer versions do not: there, only the
 * content length shows the difference.
 */
function isEncoded(headers: Record<string, unknown>, stream: ByteStream): boolean {
	const encoding = String(headers['content-encoding'] ?? 'identity');
	return encoding.trim().toLowerCase() !== 'identity' || 'bytesWritten' in stream;
}

/**
 * Newer versions of n8n resolve a host name and check its address. When n8n cannot resolve the name, a proxy may be able
 * to: then the request is made, and n8n checks it again.
 */
export async function leadsToPrivateNetwork({ helpers }: RequestContext, url: string): Promise<boolean> {
	try {
		const verdict = await helpers.getSecureEgressFilter?.('enforced').validateUrl(url);
		return verdict?.ok === false && verdict.error.name.startsWith('SsrfBlocked');
	} catch {
		return false;
	}
}
