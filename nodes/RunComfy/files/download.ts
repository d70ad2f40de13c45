import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { RunComfyError } from '../api/problems';
import type { AddressRules } from '../api/urls';
import { retry } from '../util/retry';
import { Slots } from '../util/slots';
import { type Clock, LightSignal, type Random, type Signal } from '../util/time';
import { outputFileStems } from './fileNames';
import {
	type FileKind,
	type FileType,
	fileTypeOf,
	looksLikeText,
	looksLikeWebPage,
	nameKind,
	typeByName,
} from './fileTypes';
import { DownloadProblem, Transfer } from './transfer';

/** Parallel downloads per run: outputs are large, and more downloads would only share the same bandwidth. */
const MAX_DOWNLOADS = 4;
const MAX_REDIRECTS = 3;
const MAX_DOWNLOAD_TRIES = 4;
/** When no bytes arrive for this long, the connection counts as lost. */
export const DOWNLOAD_IDLE_MS = 30_000;

export interface DownloadDependencies {
	context: IExecuteFunctions;
	clock: Clock;
	random: Random;
	idleMs: number;
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
		const { clock, random } = this.dependencies;
		const stems = outputFileStems(files, options.fileName);
		const stop = new LightSignal();
		const stopAll = () => stop.abort();
		if (signal.aborted) stopAll();
		signal.addEventListener('abort', stopAll);
		const isTransient = (result: IBinaryData | DownloadProblem) =>
			result instanceof DownloadProblem && result.isTransient && !stop.aborted;
		const withRetries = async (file: ResultFile, stem = '') =>
			await retry(
				async () => await this.download(file, stem, options, stop),
				(result) => (isTransient(result) ? {} : undefined),
				{ clock, random, maxTries: MAX_DOWNLOAD_TRIES, pause: async (ms) => await clock.sleep(ms, stop) },
			);
		let failure: { file: ResultFile; problem: DownloadProblem } | undefined;
		const results = await Promise.all(
			files.map(async (file, index) => {
				const result = await this.slots.use(async () => await withRetries(file, stems[index]), 1, stop);
				if (!(result instanceof DownloadProblem)) return [result];
				failure ??= { file, problem: result };
				stopAll();
				return [];
			}),
		);
		signal.removeEventListener('abort', stopAll);
		if (failure !== undefined) throw downloadError(options.requestId, failure.file, failure.problem, files);
		return results.flat();
	}

	/** One try to download one file. Never rejects. */
	private async download(
		file: ResultFile,
		stem: string,
		options: DownloadOptions,
		stop: Signal,
	): Promise<IBinaryData | DownloadProblem> {
		const { context } = this.dependencies;
		const transfer = new Transfer({ ...this.dependencies, ...options, stop });
		try {
			const { contentLength, isEncoded } = await transfer.open(file.url, MAX_REDIRECTS);
			if (isEncoded) return new DownloadProblem('the file server sent it compressed');
			const { head, body } = await transfer.read();
			const { extension, mimeType } = typeOfDownload(head, file);
			const stored = await context.helpers.prepareBinaryData(body, `${stem}.${extension}`, mimeType);
			// This happens with an encoded file that n8n has decoded; a lost connection ends the stream with an error.
			if (contentLength !== undefined && transfer.received !== contentLength)
				return new DownloadProblem(`${transfer.received} bytes arrived instead of ${contentLength}`);
			return stored;
		} catch (error) {
			return transfer.problemOf(error) ?? storageProblem(error);
		} finally {
			transfer.close();
		}
	}
}

/** @throws DownloadProblem for a file that begins as another kind of file does. */
function typeOfDownload(
	head: Buffer,
	{ kind, name = '' }: ResultFile,
): Pick<FileType, 'extension' | 'mimeType'> {
	if (head.length === 0) throw new DownloadProblem('the file is empty');
	const type = fileTypeOf(head);
	if (type !== undefined) return type;
	const byName = typeByName(name);
	if (kind === 'file' && (!looksLikeWebPage(head) || /^html?$/.test(byName.extension))) return byName;
	const expected = nameKind(kind);
	throw new DownloadProblem(
		looksLikeText(head)
			? `the file server sent a web page or text instead of ${expected}`
			: `the file is not ${expected}`,
	);
}

function storageProblem(error: unknown): DownloadProblem {
	const reason = error instanceof Error && error.message !== '' ? ` (${error.message})` : '';
	return new DownloadProblem(`n8n could not store the file${reason}`);
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
		advice: `The ${what} is paid for and was not generated again. Download it soon with the operation “Get Result” and this request ID, or open the URL, because outputs may expire.${otherUrls}`,
		requestId,
	});
}
