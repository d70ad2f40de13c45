import type { IBinaryKeyData } from 'n8n-workflow';

import type { Downloader, DownloadOptions, FailedFile } from '../files/download';
import { outputFieldName } from '../files/fileNames';
import type { FileRules } from '../files/inputFile';
import type { ResultFile } from '../files/resultFiles';
import type { RunEnd } from '../jobs/types';
import { FieldError } from '../util/errors';
import { listOf, shortUrl } from '../util/values';
import type { Field, Item } from './item';
import type { Options } from './options';

/** The fields for downloading the files of a result, and the download itself. */

/** It is shown also where nothing is waited for: n8n loses fields that depend on a later one. */
const downloadFilesField: Field = {
	displayName: 'Download Files',
	name: 'downloadFiles',
	decides: false,
	type: 'boolean',
	default: false,
	description:
		'Whether to return the output files themselves, for a storage or email node, in addition to their URLs. The URLs may expire, so download what you want to keep.',
};

const outputFieldField: Field = {
	displayName: 'Put Output File in Field',
	name: 'binaryPropertyOutput',
	decides: false,
	type: 'string',
	required: true,
	default: 'data',
	placeholder: 'e.g. data',
	hint: 'The name of the output field to put the file in. Further files go to data_1, data_2, and so on.',
	displayOptions: { show: { downloadFiles: [true] } },
};

export const downloadFields = [downloadFilesField, outputFieldField];

/** Where the files of an item go, and which are accepted. */
export interface DownloadTarget extends Omit<DownloadOptions, 'requestId'> {
	/** The binary field of the first file. */
	fieldName: string;
}

/**
 * Reads these fields; undefined when no files are to be downloaded.
 * @throws FieldError.
 */
export function readDownloadTarget(
	item: Item,
	options: Options,
	{ maxMegabytes, allowLoopback }: FileRules,
): DownloadTarget | undefined {
	if (!item.boolean(downloadFilesField)) return undefined;
	const fieldName = item.filledText(outputFieldField);
	if (fieldName === '__proto__')
		throw new FieldError(outputFieldField.displayName, `cannot be “${fieldName}”`);
	return { fieldName, fileName: options.text('fileName'), maxMegabytes, allowLoopback };
}

/**
 * Downloads the files of a result into binary fields, without gaps where some have failed. A hint names those.
 * @param target undefined when no files are to be downloaded.
 * @throws RunComfyError when none has come, RunEndedError.
 */
export async function downloadFiles(
	{ downloader, hint }: { downloader: Downloader; hint(message: string): void },
	requestId: string,
	files: ResultFile[],
	target: DownloadTarget | undefined,
	run: RunEnd,
): Promise<{ binary?: IBinaryKeyData; failedFiles?: Array<Pick<FailedFile, 'url' | 'reason'>> }> {
	if (target === undefined || files.length === 0) return {};
	const { fieldName, ...options } = target;
	const { stored, failed } = await downloader.downloadAll(files, { requestId, ...options }, run.signal);
	run.throwIfEnded();
	const binary = Object.fromEntries(stored.map((file, index) => [outputFieldName(fieldName, index), file]));
	if (failed.length === 0) return { binary };
	const list = listOf(failed.map(({ url, reason }) => `${shortUrl(url)} (${reason})`));
	hint(
		`${failed.length} of ${files.length} files of RunComfy request ${requestId} could not be downloaded: ${list}. They are paid for. Download them soon with the operation “Get Result” and this request ID, or open the URLs, because outputs may expire.`,
	);
	return { binary, failedFiles: failed.map(({ url, reason }) => ({ url, reason })) };
}
