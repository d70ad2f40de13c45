import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { findFileUrlProblem, hostKind } from '../api/addresses';
import { RunComfyError } from '../api/problems';
import type { Clock, Random } from '../common/clock';
import { retry } from '../common/retry';
import { outputFileStems } from './fileNames';
import { fileTypeOf, looksLikeText, nameKind, SNIFF_BYTES, type FileKind, type FileType } from './fileTypes';
import { DownloadProblem, openUrl, type ByteStream, type FetchedFile } from './fetchFile';
import { BYTES_PER_MB } from './sizes';
import { Slots } from '../common/slots';

/** Downloads at once per run: outputs are large, and more would only share the same line. */
const MAX_DOWNLOADS = 4;
const MAX_REDIRECTS = 3;
const MAX_TRIES = 4;
/** A server that says nothing for so long has hung up without telling. */
export const DOWNLOAD_IDLE_MS = 30_000;

/** How long a whole download, with its retries, may take: a file that drips would hold its slot forever. */
export interface DownloadPace {
	/** Slower than any line that n8n would run on. */
	minBytesPerSecond: number;
	/** However small the file. */
	minMs: number;
}

export const DOWNLOAD_PACE: DownloadPace = { minBytesPerSecond: 50_000, minMs: 60_000 };

export interface DownloadDependencies {
	context: IExecuteFunctions;
	clock: Clock;
	random: Random;
	/** Only while the credential's base URL is on loopback. */
	allowLoopback: boolean;
	idleMs: number;
	pace?: DownloadPace;
}

/** A file of a finished request. */
export interface ResultFile {
	url: string;
	/** What RunComfy says it is; which type of it is for the bytes to tell. */
	kind: FileKind;
}

/** What holds for all files of one item. */
export interface DownloadOptions {
	requestId: string;
	/** Without extension; empty: the name in the URL. */
	fileName: string;
	maxMegabytes: number;
}

/** One try: a file, or why there is none. */
type Attempt = { stored: IBinaryData } | { problem: DownloadProblem };

/**
 * Streams output files into n8n's binary data. Never with the token, never from an address that is not public, and
 * never believing a server about what it sends. A GET costs nothing, so transient errors are retried.
 */
export class Downloader {
	private readonly slots = new Slots(MAX_DOWNLOADS);

	constructor(private readonly dependencies: DownloadDependencies) {}

	/**
	 * All files of one item, or none: the first that fails ends the others, and nothing goes on after this has returned.
	 * @param signal ends the downloads at once.
	 * @returns the stored files in the same order, with the MIME type and the extension of what was really received.
	 * @throws RunComfyError naming the request and all URLs: the result is paid for and can be downloaded again.
	 */
	async downloadAll(
		files: ResultFile[],
		options: DownloadOptions,
		signal: AbortSignal,
	): Promise<IBinaryData[]> {
		const stems = outputFileStems(files, options.fileName);
		// A signal for each: Node takes many listeners on one for a leak and warns.
		const controllers = files.map(() => new AbortController());
		const abortAll = () => controllers.forEach((controller) => controller.abort());
		if (signal.aborted) abortAll();
		signal.addEventListener('abort', abortAll, { once: true });
		let failure: { file: ResultFile; problem: DownloadProblem } | undefined;
		const attempts = await Promise.all(
			files.map(async (file, index): Promise<Attempt> => {
				const own = controllers[index]?.signal ?? signal;
				const work = async () => await this.download(file, stems[index] ?? file.kind, options, own);
				const attempt = await this.slots.use(work, 1, own);
				if ('problem' in attempt && failure === undefined) {
					failure = { file, problem: attempt.problem };
					abortAll();
				}
				return attempt;
			}),
		);
		signal.removeEventListener('abort', abortAll);
		if (failure !== undefined) throw downloadError(options.requestId, failure.file, failure.problem, files);
		return attempts.flatMap((attempt) => ('stored' in attempt ? [attempt.stored] : []));
	}

	/** One file, with retries. Never rejects. */
	private async download(
		file: ResultFile,
		stem: string,
		{ maxMegabytes }: DownloadOptions,
		signal: AbortSignal,
	): Promise<Attempt> {
		const { clock, random, pace = DOWNLOAD_PACE } = this.dependencies;
		const maxBytes = maxMegabytes * BYTES_PER_MB;
		const startedAt = clock.now();
		const deadlineOf = (bytes = maxBytes) =>
			startedAt + Math.max(pace.minMs, (Math.min(bytes, maxBytes) / pace.minBytesPerSecond) * 1_000);
		const attempt = async (): Promise<Attempt> => {
			if (signal.aborted) return { problem: new DownloadProblem('it was stopped', false) };
			try {
				return { stored: await this.downloadOnce(file, stem, maxMegabytes, deadlineOf, signal) };
			} catch (error) {
				return { problem: error instanceof DownloadProblem ? error : storageProblem(error) };
			}
		};
		return await retry(
			attempt,
			(answer) => ('problem' in answer && answer.problem.isTransient && !signal.aborted ? {} : undefined),
			{
				clock,
				random,
				maxTries: MAX_TRIES,
				deadline: deadlineOf(),
				pause: async (ms) => await clock.sleep(ms, signal),
			},
		);
	}

	/** @throws DownloadProblem, or what n8n's storage throws. */
	private async downloadOnce(
		{ url, kind }: ResultFile,
		stem: string,
		maxMegabytes: number,
		deadlineOf: (bytes?: number) => number,
		signal: AbortSignal,
	): Promise<IBinaryData> {
		const { context } = this.dependencies;
		const file = await this.open(url, deadlineOf, signal);
		const limit = new SizeLimit(file, maxMegabytes);
		try {
			limit.check(file.contentLength ?? 0);
			const { head, isWhole } = await peek(file, SNIFF_BYTES);
			const { extension, mimeType } = typeOf(head, kind);
			const body = isWhole ? head : await limit.guard();
			const stored = await context.helpers.prepareBinaryData(body, `${stem}.${extension}`, mimeType);
			const received = isWhole ? head.length : limit.received;
			// Only of an encoded file that n8n has unpacked; a connection that is lost ends the stream with an error.
			if (file.contentLength !== undefined && received !== file.contentLength) {
				const message = `${received} bytes came instead of the ${file.contentLength} announced`;
				throw new DownloadProblem(message, false);
			}
			return stored;
		} catch (error) {
			// What n8n's storage throws may wrap or replace the reason.
			throw (
				limit.problem ??
				(error instanceof DownloadProblem ? error : (file.problem() ?? storageProblem(error)))
			);
		} finally {
			file.close();
		}
	}

	/** Follows at most three redirects, each of which has to be a safe address itself. */
	private async open(
		firstUrl: string,
		deadlineOf: (bytes?: number) => number,
		signal: AbortSignal,
	): Promise<FetchedFile> {
		let url = firstUrl;
		for (let redirects = 0; ; redirects++) {
			await this.assertSafe(url, redirects);
			const file = await openUrl(url, { ...this.dependencies, deadlineOf, signal });
			const problem = problemOf(file);
			if (problem === undefined) return file;
			file.close();
			if (file.status < 300 || file.status >= 400 || file.location === undefined) throw problem;
			if (redirects >= MAX_REDIRECTS)
				throw new DownloadProblem(`it was redirected more than ${MAX_REDIRECTS} times`, false);
			url = resolveUrl(file.location, url);
		}
	}

	private async assertSafe(url: string, redirects: number): Promise<void> {
		const which = redirects === 0 ? 'its address' : 'the address it was redirected to';
		const problem = findFileUrlProblem(url, this.dependencies);
		if (problem !== undefined) throw new DownloadProblem(`${which} ${problem}`, false);
		if (hostKind(new URL(url).hostname) !== 'loopback' && (await this.leadsToPrivateNetwork(url))) {
			throw new DownloadProblem(`${which} leads to a private network`, false);
		}
	}

	/**
	 * Newer versions of n8n look a name up and judge where it really leads. A name that they cannot resolve may be one that
	 * only a proxy resolves: then the request itself, by its own rules, decides.
	 */
	private async leadsToPrivateNetwork(url: string): Promise<boolean> {
		try {
			const { getSecureEgressFilter }: Partial<IExecuteFunctions['helpers']> =
				this.dependencies.context.helpers;
			const verdict = await getSecureEgressFilter?.('enforced').validateUrl(url);
			return verdict?.ok === false && verdict.error.name.startsWith('SsrfBlocked');
		} catch {
			return false;
		}
	}
}

/** Why an answer is not the whole file; undefined when it may be. */
function problemOf({ status, isEncoded }: FetchedFile): DownloadProblem | undefined {
	if (status !== 200) {
		const isTransient = status >= 500 || [408, 425, 429].includes(status);
		return new DownloadProblem(`the file server answered with HTTP ${status}`, isTransient);
	}
	return isEncoded ? new DownloadProblem('the file server sent it compressed', false) : undefined;
}

function typeOf(head: Buffer, kind: FileKind): FileType {
	if (head.length === 0) throw new DownloadProblem('the file is empty', false);
	const type = fileTypeOf(head);
	if (type !== undefined) return type;
	const expected = nameKind(kind);
	const problem = looksLikeText(head)
		? `a web page or text came instead of ${expected}`
		: `the file is not ${expected}`;
	throw new DownloadProblem(problem, false);
}

function storageProblem(error: unknown): DownloadProblem {
	const reason = error instanceof Error && error.message !== '' ? ` (${error.message})` : '';
	return new DownloadProblem(`n8n could not store the file${reason}`, false);
}

function resolveUrl(location: string, base: string): string {
	if (!URL.canParse(location, base))
		throw new DownloadProblem('it was redirected to an address that cannot be read', false);
	return new URL(location, base).toString();
}

/**
 * The first bytes of a stream, which stay in it; fewer only when there are no more. Such a short file `isWhole`: a stream
 * that has ended takes nothing back.
 */
async function peek(file: FetchedFile, bytes: number): Promise<{ head: Buffer; isWhole: boolean }> {
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
	const problem = file.problem();
	if (problem !== undefined) throw problem;
	const head = Buffer.concat(chunks);
	if (length < bytes) return { head, isWhole: true };
	stream.unshift(head);
	return { head: head.subarray(0, bytes), isWhole: false };
}

async function moreOrEnd(stream: ByteStream): Promise<'more' | 'end'> {
	return await new Promise((resolve, reject) => {
		const finish = (then: () => void) => () => {
			for (const [event, listener] of listeners) stream.off(event, listener);
			then();
		};
		const listeners: Array<[string, (...args: unknown[]) => void]> = [
			['readable', finish(() => resolve('more'))],
			['end', finish(() => resolve('end'))],
			['close', finish(() => resolve('end'))],
			[
				'error',
				(error: unknown) => finish(() => reject(error instanceof Error ? error : new Error('lost')))(),
			],
		];
		for (const [event, listener] of listeners) stream.once(event, listener);
	});
}

/** Ends a file as soon as it exceeds the user's limit, so that n8n throws away what it has stored of it. */
class SizeLimit {
	received = 0;
	/** Set once the file has exceeded the limit. */
	problem: DownloadProblem | undefined;

	constructor(
		private readonly file: FetchedFile,
		private readonly maxMegabytes: number,
	) {}

	/** @throws DownloadProblem. */
	check(bytes: number): void {
		if (bytes <= this.maxMegabytes * BYTES_PER_MB) return;
		this.problem = new DownloadProblem(
			`the file is larger than the ${this.maxMegabytes} MB of the option “Max File Size (MB)”`,
			false,
		);
		throw this.problem;
	}

	/**
	 * The file's stream under this limit. `map` is a method of Node's streams since version 16 (experimental by its
	 * documentation); without it the file is held in memory.
	 */
	async guard(): Promise<ByteStream | Buffer> {
		const { stream } = this.file;
		const count = (chunk: Uint8Array): Uint8Array => {
			this.received += chunk.length;
			this.file.touch();
			this.check(this.received);
			return chunk;
		};
		if (typeof stream.map === 'function') return stream.map(count);
		const chunks: Uint8Array[] = [];
		for await (const chunk of stream) chunks.push(count(chunk as Uint8Array));
		return Buffer.concat(chunks);
	}
}

function downloadError(
	requestId: string,
	{ kind, url }: ResultFile,
	{ message }: DownloadProblem,
	files: ResultFile[],
): RunComfyError {
	const what = kind === 'audio' ? 'audio file' : kind;
	const label = `${what.charAt(0).toUpperCase()}${what.slice(1)} URL`;
	const others = files.map((file) => file.url).filter((other) => other !== url);
	const otherUrls = others.length === 0 ? '' : ` The other files of this request: ${others.join(' , ')}`;
	return new RunComfyError({
		message: `RunComfy request ${requestId} finished, but its ${what} could not be downloaded: ${message}. ${label}: ${url}`,
		advice: `The ${what} is paid for and was not generated again. Download it with the operation “Get Result” and this request id, or open the URL; outputs may expire, so do it soon.${otherUrls}`,
		requestId,
	});
}
