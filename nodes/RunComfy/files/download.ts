import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { RunComfyError } from '../api/problems';
import type { AddressRules } from '../api/urls';
import { retry } from '../util/retry';
import { Slots } from '../util/slots';
import type { Clock, Random, Signal } from '../util/time';
import { outputFileStems } from './fileNames';
import { endingOf, isErrorText, isWhole, typeOfFile } from './fileTypes';
import type { ResultFile } from './resultFiles';
import { CUT_OFF, DownloadProblem, Transfer } from './transfer';

/** Parallel downloads per run: outputs are large, and more downloads would only share the same bandwidth. */
const MAX_DOWNLOADS = 4;
const MAX_REDIRECTS = 3;
/** When no bytes arrive for this long, the connection counts as lost. */
export const DOWNLOAD_IDLE_MS = 30_000;

export interface DownloadDependencies {
	context: IExecuteFunctions;
	clock: Clock;
	random: Random;
	idleMs: number;
}

/** A file that n8n has stored. */
interface StoredFile {
	data: IBinaryData;
	/** Undefined where nothing shows whether it has come to its end. */
	isWhole: true | undefined;
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
	 * @returns the stored files in the same order; those that failed; and the URLs of files that may not be complete.
	 * @throws RunComfyError with the request ID and all URLs when none has come, because the result is paid for and can be
	 * downloaded again. Not for URLs of which neither key nor name says that they are files.
	 */
	async downloadAll(
		files: ResultFile[],
		options: DownloadOptions,
		signal: Signal,
	): Promise<{ stored: IBinaryData[]; failed: FailedFile[]; unsure: string[] }> {
		const { clock, random } = this.dependencies;
		const stems = outputFileStems(files, options.fileName);
		const withRetries = async (file: ResultFile, stem = '') => {
			let tries = 0;
			const needsRetry = (result: StoredFile | DownloadProblem) =>
				result instanceof DownloadProblem ? result.isTransient : result.isWhole === undefined && tries < 2;
			return await retry(
				async () => {
					tries++;
					return await this.download(file, stem, options, signal);
				},
				(result) => (needsRetry(result) && !signal.aborted ? {} : undefined),
				{ random, pause: async (ms) => await clock.sleep(ms, signal) },
			);
		};
		const results = await Promise.all(
			files.map(async (file, index) => ({
				file,
				result: await this.slots.use(async () => await withRetries(file, stems[index]), 1, signal),
			})),
		);
		const stored: IBinaryData[] = [];
		const failed: FailedFile[] = [];
		const unsure: string[] = [];
		for (const { file, result } of results) {
			if (result instanceof DownloadProblem) {
				failed.push({ ...file, reason: result.message });
				continue;
			}
			stored.push(result.data);
			if (result.isWhole === undefined) unsure.push(file.url);
		}
		const surest = failed.find(({ kind, name }) => kind !== 'file' || endingOf(name) !== undefined);
		if (surest !== undefined && stored.length === 0) throw downloadError(options.requestId, surest, files);
		return { stored, failed, unsure };
	}

	/** One try to download one file. Never rejects. */
	private async download(
		file: ResultFile,
		stem: string,
		options: DownloadOptions,
		stop: Signal,
	): Promise<StoredFile | DownloadProblem> {
		const { context } = this.dependencies;
		const transfer = new Transfer({ ...this.dependencies, ...options, stop });
		try {
			const { contentLength, isEncoded, hasEnd } = await transfer.open(file.url, MAX_REDIRECTS);
			if (isEncoded) return new DownloadProblem('the file server sent it compressed');
			const { head, body } = await transfer.read();
			if (head.length === 0) return new DownloadProblem('the file is empty');
			if (isErrorText(head, file.name))
				return new DownloadProblem('the file server sent a web page or an error text instead of the file');
			const { extension, mimeType } = typeOfFile(head, file.name);
			const data = await context.helpers.prepareBinaryData(body, `${stem}.${extension}`, mimeType);
			// This happens with an encoded file that n8n has decoded; a lost connection ends the stream with an error.
			if (contentLength !== undefined && transfer.received !== contentLength)
				return new DownloadProblem(`${transfer.received} bytes arrived instead of ${contentLength}`);
			const whole = hasEnd || isWhole(head, transfer.tail, transfer.received);
			return whole === false ? new DownloadProblem(CUT_OFF, true) : { data, isWhole: whole };
		} catch (error) {
			return transfer.problemOf(error) ?? storageProblem(error);
		} finally {
			transfer.close();
		}
	}
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
	const others = files.map((file) => file.url).filter((other) => other !== url);
	const otherUrls = others.length === 0 ? '' : ` The other files of this request: ${others.join(' , ')}`;
	return new RunComfyError({
		message: `RunComfy request ${requestId} finished, but its ${what} could not be downloaded: ${reason}. ${label}: ${url}`,
		advice: `The ${what} is paid for and was not generated again. Download it soon with the operation “Get Result” and this request ID, or open the URL, because outputs may expire.${otherUrls}`,
		requestId,
	});
}
