import { parseJson } from '../api/json';
import { findFileUrlProblem, hostKind } from '../api/urls';
import { type Clock, LightSignal } from '../util/time';
import { type FetchedFile, leadsToPrivateNetwork, openUrl, type RequestContext } from './fetchFile';

export interface FetchJsonOptions {
	context: RequestContext;
	clock: Clock;
	/** True only when the credential's base URL is on loopback, as the sandbox is. */
	allowLoopback: boolean;
	maxBytes: number;
	/** For the whole file, in milliseconds. */
	deadlineMs: number;
}

/**
 * Reads a JSON file from an address that RunComfy names: a plain GET without the token and without redirects, within limits
 * on size and time.
 * @returns undefined when the address is not safe, or there is no such file, or it is no JSON.
 */
export async function fetchJson(url: string, options: FetchJsonOptions): Promise<unknown> {
	const { context, clock, allowLoopback, maxBytes, deadlineMs } = options;
	if (findFileUrlProblem(url, { allowLoopback }) !== undefined) return undefined;
	if (hostKind(new URL(url).hostname) !== 'loopback' && (await leadsToPrivateNetwork(context, url)))
		return undefined;
	const tooLate = new LightSignal();
	const closed = new LightSignal();
	const deadline = clock.now() + deadlineMs;
	void clock.sleep(deadlineMs, closed).then(() => tooLate.abort());
	try {
		const file = await openUrl(url, {
			...{ context, clock, signal: tooLate, idleMs: deadlineMs },
			deadlineOf: () => deadline,
		});
		try {
			const isUsable = file.status === 200 && (file.contentLength ?? 0) <= maxBytes;
			const text = isUsable ? await readText(file, maxBytes) : undefined;
			return text === undefined ? undefined : parseJson(text);
		} finally {
			file.close();
		}
	} catch {
		return undefined;
	} finally {
		closed.abort();
	}
}

/** @returns undefined when it is too large. */
async function readText({ stream, touch }: FetchedFile, maxBytes: number): Promise<string | undefined> {
	const chunks: Uint8Array[] = [];
	let bytes = 0;
	for await (const chunk of stream) {
		const part = chunk as Uint8Array;
		touch();
		bytes += part.length;
		if (bytes > maxBytes) return undefined;
		chunks.push(part);
	}
	return Buffer.concat(chunks).toString('utf8');
}
