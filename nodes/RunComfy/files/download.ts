import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { RunComfyError } from '../api/problems';
import type { AddressRules } from '../api/urls';
import { retry } from '../util/retry';
import { Slots } from '../util/slots';
import type { Clock, Random, Signal } from '../util/time';
import { listOf, shortUrl } from '../util/values';
import { outputFileStems } from './fileNames';
import { BYTES_PER_MB, endingOf, isSubstitute, typeOfFile } from './fileTypes';
import type { ResultFile } from './resultFiles';
import { CUT_OFF, DownloadProblem, MAX_FILES_TOGETHER, Transfer } from './transfer';

/** Parallel downloads per run: outputs are large, and more downloads would only share the same bandwidth. */
const MAX_DOWNLOADS = 4;
const MAX_REDIRECTS = 3;
/** Of one request. More are not downloaded: only their URLs are returned. */
const MAX_FILES = 500;
/** When no bytes arrive for this long, the connection counts as lost. */
export const DOWNLOAD_IDLE_MS = 30_000;

export interface DownloadDependencies {
	context: IExecuteFunctions;
	clock: Clock;
	random: Random;
	idleMs: number;
}

/** A file that could not be downloaded. */
export interface FailedFile extends ResultFile {
	/** A part of a sentence. */
	reason: string;
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
	 * Downloads all files of one item. One that fails does not take the others. All downloads have ended on return.
	 * @param signal aborts the downloads.
	 * @returns the stored files in the same order, and those that failed.
	 * @throws RunComfyError with the request ID and their URLs when none has come, because the result is paid for and can be
	 * downloaded again. Not for URLs of which neither key nor name says that they are files.
	 */
	async downloadAll(
		files: ResultFile[],
		options: DownloadOptions,
		signal: Signal,
	): Promise<{ stored: IBinaryData[]; failed: FailedFile[] }> {
		const { clock, random } = this.dependencies;
		const wanted = files.slice(0, MAX_FILES);
		const stems = outputFileStems(wanted, options.fileName);
		const total: Total = { room: MAX_FILES_TOGETHER * options.maxMegabytes * BYTES_PER_MB };
		const withRetries = async (file: ResultFile, stem = '') =>
			await retry(
				async () => await this.download(file, stem, options, total, signal),
				(result) =>
					result instanceof DownloadProblem && result.isTransient && !signal.aborted ? {} : undefined,
				{ random, pause: async (ms) => await clock.sleep(ms, signal) },
			);
		const results = await Promise.all(
			wanted.map(async (file, index) => ({
				file,
				result: await this.slots.use(async () => await withRetries(file, stems[index]), 1, signal),
			})),
		);
		const stored: IBinaryData[] = [];
		const failed: FailedFile[] = [];
		for (const { file, result } of results) {
			if (result instanceof DownloadProblem) failed.push({ ...file, reason: result.message });
			else stored.push(result);
		}
		const reason = `only ${MAX_FILES} files of a request are downloaded`;
		failed.push(...files.slice(MAX_FILES).map((file) => ({ ...file, reason })));
		const surest = failed.find(({ kind, name }) => kind !== 'file' || endingOf(name) !== undefined);
		if (surest !== undefined && stored.length === 0) throw downloadError(options.requestId, surest, files);
		return { stored, failed };
	}

	/** One try to download one file. Never rejects. */
	private async download(
		file: ResultFile,
		stem: string,
		options: DownloadOptions,
		total: Total,
		stop: Signal,
	): Promise<IBinaryData | DownloadProblem> {
		const { context } = this.dependencies;
		const transfer = new Transfer({ ...this.dependencies, ...options, ...total, stop });
		try {
			const { contentLength, isEncoded, hasEnd } = await transfer.open(file.url, MAX_REDIRECTS);
			if (isEncoded) return new DownloadProblem('the file server sent it compressed');
			const findProblem = (head: Buffer): DownloadProblem | undefined => {
				// This happens with an encoded file that n8n has decoded; a lost connection ends the stream with an error.
				const { bytes } = transfer.end;
				if (contentLength !== undefined && bytes !== contentLength)
					return new DownloadProblem(`${bytes} bytes arrived instead of ${contentLength}`);
				// Without a size, what n8n has decoded may have been truncated before.
				const isWhole = contentLength !== undefined || transfer.end.isWhole(head);
				if (isWhole === false) return new DownloadProblem(CUT_OFF, true);
				return hasEnd || isWhole === true
					? undefined
					: new DownloadProblem('nothing shows whether the file is complete', true);
			};
			const { head, body } = await transfer.read(findProblem);
			if (head.length === 0) return new DownloadProblem('the file is empty');
			if (isSubstitute(head, file.name, file.kind))
				return new DownloadProblem(
					'the file server sent a web page, an error text, or a program instead of the file',
				);
			const { extension, mimeType } = typeOfFile(head, file.name);
			const problem = Buffer.isBuffer(body) ? findProblem(head) : undefined;
			if (problem !== undefined) return problem;
			const data = await context.helpers.prepareBinaryData(body, `${stem}.${extension}`, mimeType);
			total.room -= transfer.end.bytes;
			return data;
		} catch (error) {
			return transfer.problemOf(error) ?? storageProblem(error);
		} finally {
			transfer.close();
		}
	}
}

/** How many bytes the files of a request may still have. */
interface Total {
	room: number;
}

function storageProblem(error: unknown): DownloadProblem {
	const reason = error instanceof Error && error.message !== '' ? ` (${error.message})` : '';
	return new DownloadProblem(`n8n could not store the file${reason}`);
}

function downloadError(
	requestId: string,
	{ kind, url, reason }: FailedFile,
	files: ResultFile[],
): RunComfyError {
	const what = kind === 'audio' ? 'audio file' : kind;
	const label = `${what.charAt(0).toUpperCase()}${what.slice(1)} URL`;
	const others = files.filter((file) => file.url !== url).map((file) => shortUrl(file.url));
	const otherUrls = others.length === 0 ? '' : ` The other files of this request: ${listOf(others, ' , ')}`;
	return new RunComfyError({
		message: `RunComfy request ${requestId} finished, but its ${what} could not be downloaded: ${reason}. ${label}: ${shortUrl(url)}`,
		advice: `The ${what} is paid for and was not generated again. Download it soon with the operation “Get Result” and this request ID, or open the URL, because outputs may expire.${otherUrls}`,
		requestId,
	});
}
