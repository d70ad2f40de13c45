import type { IBinaryKeyData, IExecuteFunctions } from 'n8n-workflow';

import type { DownloadOptions as FileOptions, ResultFile } from '../../files/download';
import { outputFieldName } from '../../files/fileNames';
import type { Field } from '../../n8n/identity';
import { FieldError } from '../../util/errors';
import type { WorkTools } from './operation';
import type { OptionsReader } from './options';
import { orError, readBoolean, type ReadField, readFilledText } from './parameters';

/** The fields for downloading the files of a result, and the download itself. */

const DEFAULT_FIELD = 'data';

export const downloadFields: Field[] = [
	{
		displayName: 'Download Files',
		name: 'downloadFiles',
		decides: false,
		type: 'boolean',
		default: false,
		description:
			'Whether to return the output files themselves, for a storage or email node, in addition to their URLs. The URLs may expire, so download what you want to keep.',
		displayOptions: { show: { waitForCompletion: [true] } },
	},
	{
		displayName: 'Put Output File in Field',
		name: 'binaryPropertyOutput',
		decides: false,
		type: 'string',
		required: true,
		default: DEFAULT_FIELD,
		placeholder: 'e.g. data',
		hint: 'The name of the output field to put the file in. Further files go to data_1, data_2, and so on.',
		displayOptions: { show: { waitForCompletion: [true], downloadFiles: [true] } },
	},
];

export interface DownloadOptions extends Omit<FileOptions, 'requestId'> {
	fieldName: string;
}

/**
 * Reads the download fields; undefined when no files are to be downloaded.
 * @throws FieldError, unless a default stands for what is wrong.
 */
export function readDownloadOptions(
	context: IExecuteFunctions,
	itemIndex: number,
	options: OptionsReader,
	allowLoopback: boolean,
	readField: ReadField = orError,
): DownloadOptions | undefined {
	const downloads = () => readBoolean(context, itemIndex, 'downloadFiles', 'Download Files');
	if (!readField(downloads, false)) return undefined;
	const fieldName = readField(() => readFieldName(context, itemIndex), DEFAULT_FIELD);
	return {
		fieldName,
		fileName: options.fileName() ?? '',
		maxMegabytes: options.maxFileSize,
		allowLoopback,
	};
}

function readFieldName(context: IExecuteFunctions, itemIndex: number): string {
	const label = 'Put Output File in Field';
	const fieldName = readFilledText(context, itemIndex, 'binaryPropertyOutput', label);
	if (fieldName === '__proto__') throw new FieldError(label, `cannot be “${fieldName}”`);
	return fieldName;
}

/**
 * Downloads the files of a result into binary fields.
 * @throws RunComfyError, RunEndedError.
 */
export async function downloadFiles(
	{ run, downloader }: WorkTools,
	requestId: string,
	files: ResultFile[],
	{ fieldName, ...options }: DownloadOptions,
): Promise<IBinaryKeyData> {
	const stored = await downloader.downloadAll(files, { requestId, ...options }, run.signal);
	run.throwIfEnded();
	const binary: IBinaryKeyData = {};
	for (const [index, file] of stored.entries()) binary[outputFieldName(fieldName, index)] = file;
	return binary;
}
