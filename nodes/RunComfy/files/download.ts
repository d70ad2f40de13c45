import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { RunComfyError } from '../api/problems';
import { type AddressRules, findFileUrlProblem, hostKind } from '../api/urls';
import { retry } from '../util/retry';
import { Slots } from '../util/slots';
import { type Clock, LightSignal, type Random, type Signal, unlessAborted } from '../util/time';
import { omitUndefined } from '../util/values';
import { DownloadProblem, type FetchedFile, leadsToPrivateNetwork, openUrl } from './fetchFile';
import { outputFileStems } from './fileNames';
import {
	BYTES_PER_MB,
	type FileKind,
	type FileType,
	fileTypeOf,
	looksLikeText,
	looksLikeWebPage,
	nameKind,
	SNIFF_BYTES,
	typeByName,
} from './fileTypes';
import { peek, SizeLimit } from './streams';

/** Parallel downloads per run: outputs are large, and more downloads would only share the same bandwidth. */
const MAX_DOWNLOADS = 4;
const MAX_REDIRECTS = 3;
const MAX_TRIES = 4;
/** When no bytes arrive for this long, the connection counts as lost. */
export const DOWNLOAD_IDLE_MS = 30_000;

/** Limits the time of a whole download with its retries, so that a very slow server does not block others. */
export interface DownloadPace {
	/** The slowest average transfer that is allowed. */
	minBytesPerSecond: number;
	/** The least time that a download is given, however small the file. */
	minMs: number;
}

const DOWNLOAD_PACE: DownloadPace = { minBytesPerSecond: 50_000, minMs: 60_000 };

export interface DownloadDependencies {
	context: IExecuteFunctions;
	clock: Clock;
	random: Random;
	idleMs: number;
	pace?: DownloadPace;
}

/** A file of a finished request. */
export interface ResultFile {
	url: string;
	/** The kind that RunComfy reports; `file` for any other. The type is detected from the file's contents. */
	kind: FileKind | 'file';
	/** The file's own name, with extension; undefined to use the name in the URL. */
	name?: string;
}

/** The options for all files of one item. */
export interface DownloadOptions extends AddressRules {
	requestId: string;
	/** Without extension; empty to use the name in the URL. */
	fileName: string;
	maxMegabytes: number;
}

/** The result of one try: a stored file, or why there is none. */
type Attempt = { stored: IBinaryData } | { problem: DownloadProblem };

/**
 * Streams output files into n8n's binary data. It never sends the token, downloads only from public addresses, and detects
 * file types from the contents, not from what the server reports. A download is free, so transient errors are retried.
 */
export class Downloader {
	private readonly slots = new Slots(MAX_DOWNLOADS);

	constructor(private readonly dependencies: DownloadDependencies) {}

	/**
	 * Downloads all files of one item, or none: the first one that fails aborts the others, and all have ended on return.
	 * @param signal aborts the downloads.
	 * @returns the stored files in the same order, with the MIME type and the extension of their contents.
	 * @throws RunComfyError with the request ID and all URLs, because the result is paid for and can be downloaded again.
	 */
	async downloadAll(files: ResultFile[], options: DownloadOptions, signal: Signal): Promise<IBinaryData[]> {
		const stems = outputFileStems(files, options.fileName);
		const ending = new LightSignal();
		const abortAll = () => ending.abort();
		if (signal.aborted) abortAll();
		signal.addEventListener('abort', abortAll);
		let failure: { file: ResultFile; problem: DownloadProblem } | undefined;
		const attempts = await Promise.all(
			files.map(async (file, index): Promise<Attempt> => {
				const work = async () => await this.download(file, stems[index] ?? file.kind, options, ending);
				const attempt = await this.slots.use(work, 1, ending);
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
		options: DownloadOptions,
		signal: Signal,
	): Promise<Attempt> {
		const { clock, random, pace = DOWNLOAD_PACE } = this.dependencies;
		const maxBytes = options.maxMegabytes * BYTES_PER_MB;
		const startedAt = clock.now();
		const deadlineOf = (bytes = maxBytes) =>
			startedAt + Math.max(pace.minMs, (Math.min(bytes, maxBytes) / pace.minBytesPerSecond) * 1_000);
		const attempt = async (): Promise<Attempt> => {
			if (signal.aborted) return { problem: new DownloadProblem('it was stopped', false) };
			try {
				return { stored: await this.downloadOnce(file, stem, options, deadlineOf, signal) };
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
		{ url, kind, name = '' }: ResultFile,
		stem: string,
		options: DownloadOptions,
		deadlineOf: (bytes?: number) => number,
		signal: Signal,
	): Promise<IBinaryData> {
		const { context } = this.dependencies;
		const file = await this.open(url, options, deadlineOf, signal);
		const limit = new SizeLimit(file, options.maxMegabytes);
		try {
			limit.check(file.contentLength ?? 0);
			const { head, isWhole } = await peek(file, SNIFF_BYTES);
			const { extension, mimeType } = typeOf(head, kind, name);
			const body = isWhole ? head : await limit.guard();
			const stored = await context.helpers.prepareBinaryData(body, `${stem}.${extension}`, mimeType);
			const received = isWhole ? head.length : limit.received;
			// This happens with an encoded file that n8n has decoded; a lost connection ends the stream with an error.
			if (file.contentLength !== undefined && received !== file.contentLength) {
				const message = `${received} bytes arrived instead of ${file.contentLength}`;
				throw new DownloadProblem(message, false);
			}
			return stored;
		} catch (error) {
			// The error of n8n's storage may wrap or replace the reason.
			throw (
				limit.problem ??
				(error instanceof DownloadProblem ? error : (file.problem() ?? storageProblem(error)))
			);
		} finally {
			file.close();
		}
	}

	/** Follows at most `MAX_REDIRECTS` redirects, each of which must lead to a safe address. */
	private async open(
		firstUrl: string,
		rules: AddressRules,
		deadlineOf: (bytes?: number) => number,
		signal: Signal,
	): Promise<FetchedFile> {
		let url = firstUrl;
		for (let redirects = 0; ; redirects++) {
			await this.assertSafe(url, rules, redirects, signal);
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

	private async assertSafe(
		url: string,
		rules: AddressRules,
		redirects: number,
		signal: Signal,
	): Promise<void> {
		const which = redirects === 0 ? 'its address' : 'the address it was redirected to';
		const problem = findFileUrlProblem(url, rules);
		if (problem !== undefined) throw new DownloadProblem(`${which} ${problem}`, false);
		if (hostKind(new URL(url).hostname) === 'loopback') return;
		const isPrivate = await unlessAborted(leadsToPrivateNetwork(this.dependencies.context, url), signal);
		if (signal.aborted) throw new DownloadProblem('it was stopped', false);
		if (isPrivate === true) throw new DownloadProblem(`${which} leads to a private network`, false);
	}
}

/** Why an answer does not hold the file; undefined when it may. */
function problemOf({ status, isEncoded }: FetchedFile): DownloadProblem | undefined {
	if (status !== 200) {
		const isTransient = status >= 500 || [408, 425, 429].includes(status);
		// Storages answer with 403 when a signed URL has expired.
		const isGone = [403, 404, 410].includes(status);
		return new DownloadProblem(`the file server answered with HTTP ${status}`, isTransient, isGone);
	}
	return isEncoded ? new DownloadProblem('the file server sent it compressed', false) : undefined;
}

function typeOf(
	head: Buffer,
	kind: ResultFile['kind'],
	name: string,
): Pick<FileType, 'extension' | 'mimeType'> {
	if (head.length === 0) throw new DownloadProblem('the file is empty', false);
	const type = fileTypeOf(head);
	if (type !== undefined) return type;
	const byName = typeByName(name);
	if (kind === 'file' && (!looksLikeWebPage(head) || /^html?$/.test(byName.extension))) return byName;
	const expected = nameKind(kind);
	const problem = looksLikeText(head)
		? `the file server sent a web page or text instead of ${expected}`
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

function downloadError(
	requestId: string,
	{ kind, url }: ResultFile,
	{ message, isGone }: DownloadProblem,
	files: ResultFile[],
): RunComfyError {
	const what = kind === 'audio' ? 'audio file' : kind;
	const label = `${what.charAt(0).toUpperCase()}${what.slice(1)} URL`;
	const others = files.map((file) => file.url).filter((other) => other !== url);
	const otherUrls = others.length === 0 ? '' : ` The other files of this request: ${others.join(' , ')}`;
	return new RunComfyError({
		message: `RunComfy request ${requestId} finished, but its ${what} could not be downloaded: ${message}. ${label}: ${url}`,
		advice: `The ${what} is paid for and was not generated again. Download it soon with the operation “Get Result” and this request ID, or open the URL, because outputs may expire.${otherUrls}`,
		requestId,
		...omitUndefined({ isNotFound: isGone ? (true as const) : undefined }),
	});
}
