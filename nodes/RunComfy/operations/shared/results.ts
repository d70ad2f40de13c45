import type { IBinaryKeyData, IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { isJsonObject } from '../../api/json';
import { FieldError } from '../../common/fieldError';
import type { JobResult } from '../../api/responses';
import { omitUndefined } from '../../common/omitUndefined';
import type { ResultFile } from '../../files/download';
import { outputFieldName } from '../../files/fileNames';
import type { FileKind } from '../../files/fileTypes';
import { readBoolean, readFilledText, type OptionsReader } from './parameters';
import type { OperationOutput, WorkTools } from './operation';

/** A finished job as an output item, and the fields that decide whether its files come along. */

export const downloadFields: INodeProperties[] = [
	{
		displayName: 'Download Files',
		name: 'downloadFiles',
		type: 'boolean',
		default: false,
		description:
			'Whether to return the images, videos, and audio as files, for a storage or e-mail node, in addition to their URLs. The URLs may expire, so download what you want to keep.',
		displayOptions: { show: { waitForCompletion: [true] } },
	},
	{
		displayName: 'Put Output File in Field',
		name: 'binaryPropertyOutput',
		type: 'string',
		required: true,
		default: 'data',
		placeholder: 'e.g. data',
		hint: 'The name of the output field to put the file in. Further files go to data_1, data_2, and so on.',
		displayOptions: { show: { waitForCompletion: [true], downloadFiles: [true] } },
	},
];

export interface DownloadOptions {
	fieldName: string;
	fileName: string;
	maxMegabytes: number;
}

/** How to download the files of a result; undefined when they are not wanted. */
export function readDownloadOptions(
	context: IExecuteFunctions,
	itemIndex: number,
	options: OptionsReader,
): DownloadOptions | undefined {
	if (!readBoolean(context, itemIndex, 'downloadFiles', 'Download Files')) return undefined;
	const label = 'Put Output File in Field';
	const fieldName = readFilledText(context, itemIndex, 'binaryPropertyOutput', label);
	if (fieldName === '__proto__') throw new FieldError(label, 'cannot be this name');
	return {
		fieldName,
		fileName: options.fileName() ?? '',
		maxMegabytes: options.maxFileSize,
	};
}

/** What an output item is to hold besides the result itself. */
export interface OutputOptions {
	seed?: number | undefined;
	download?: DownloadOptions | undefined;
	/** Of any model: the first URL of whatever kind, and everything that RunComfy reported. */
	isAnyModel?: boolean;
}

/** The output item of a finished job; keys that RunComfy gave nothing for are left out. */
export async function toFinishedOutput(
	tools: WorkTools,
	result: JobResult,
	options: OutputOptions,
): Promise<OperationOutput> {
	const json = toJson(result, options);
	const { download } = options;
	const files = filesOf(result);
	if (download !== undefined && result.otherUrls.length > 0) {
		tools.hint(
			`Some addresses in the output of RunComfy request ${result.requestId} were not downloaded, because it is not known whether they are files: ${result.otherUrls.join(', ')}`,
		);
	}
	return download === undefined || files.length === 0
		? { json }
		: { json, binary: await downloadAll(tools, result.requestId, files, download) };
}

function filesOf({ images, videos, audios }: JobResult): ResultFile[] {
	const all = (kind: FileKind, urls: string[]) => urls.map((url) => ({ url, kind }));
	return [...all('image', images), ...all('video', videos), ...all('audio', audios)];
}

function toJson(result: JobResult, { seed, isAnyModel = false }: OutputOptions): IDataObject {
	const { requestId, image, images, video, videos, audio, audios, output, otherUrls, ...facts } = result;
	const { cost, createdAt, finishedAt } = facts;
	const [first] = filesOf(result);
	// What the documented fields do not hold would otherwise be lost.
	const isUnusual = first === undefined || otherUrls.length > 0 || !isJsonObject(output);
	return {
		requestId,
		status: 'succeeded',
		images,
		...omitUndefined({
			url: isAnyModel ? first?.url : undefined,
			image,
			video,
			videos: videos.length === 0 && !isAnyModel ? undefined : videos,
			audio,
			audios: audios.length === 0 && !isAnyModel ? undefined : audios,
			seed,
			cost,
			createdAt,
			finishedAt,
			output: isAnyModel || isUnusual ? (output as IDataObject | undefined) : undefined,
		}),
	};
}

async function downloadAll(
	{ run, downloader }: WorkTools,
	requestId: string,
	files: ResultFile[],
	{ fieldName, fileName, maxMegabytes }: DownloadOptions,
): Promise<IBinaryKeyData> {
	const options = { requestId, fileName, maxMegabytes };
	const stored = await run.abortable(async (signal) => await downloader.downloadAll(files, options, signal));
	run.throwIfEnded();
	const binary: IBinaryKeyData = {};
	for (const [index, file] of stored.entries()) binary[outputFieldName(fieldName, index)] = file;
	return binary;
}
