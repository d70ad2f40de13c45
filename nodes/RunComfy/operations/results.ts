import type { IBinaryKeyData, IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { JobResult } from '../api/responses';
import type { ResultFile } from '../files/download';
import { outputFieldName } from '../files/fileNames';
import type { FileKind } from '../files/fileTypes';
import { readBoolean, readFilledText, type OptionsReader } from './parameters';
import type { OperationOutput, WorkTools } from './operation';

/** A finished job as an output item, and the fields that decide whether its files come along. */

/** The switch that asks for the files; its name is part of saved workflows. */
export interface DownloadSwitch {
	name: string;
	label: string;
}

export const DOWNLOAD_IMAGES: DownloadSwitch = { name: 'downloadImages', label: 'Download Images' };
export const DOWNLOAD_FILES: DownloadSwitch = { name: 'downloadFiles', label: 'Download Files' };

export function downloadFields({ name, label }: DownloadSwitch): INodeProperties[] {
	const what = name === DOWNLOAD_IMAGES.name ? 'images' : 'images, videos and audio';
	return [
		{
			displayName: label,
			name,
			type: 'boolean',
			default: false,
			description: `Whether to hand on the finished ${what} as files, for a storage or e-mail node, in addition to their URLs. Outputs may expire, so download what you want to keep.`,
			displayOptions: { show: { waitForCompletion: [true] } },
		},
		{
			displayName: 'Put Output File in Field',
			name: 'binaryPropertyOutput',
			type: 'string',
			required: true,
			default: 'data',
			placeholder: 'e.g. data',
			hint: 'The name of the output field to put the file in. Further files go to data_1, data_2 and so on.',
			displayOptions: { show: { waitForCompletion: [true], [name]: [true] } },
		},
	];
}

export interface DownloadOptions {
	fieldName: string;
	fileName: string;
	maxMegabytes: number;
}

/** How to download the files of a result; undefined when they are not wanted. */
export function readDownloadOptions(
	context: IExecuteFunctions,
	itemIndex: number,
	{ name, label }: DownloadSwitch,
	options: OptionsReader,
): DownloadOptions | undefined {
	if (!readBoolean(context, itemIndex, name, label)) return undefined;
	return {
		fieldName: readFilledText(context, itemIndex, 'binaryPropertyOutput', 'Put Output File in Field'),
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
	return download === undefined || files.length === 0
		? { json }
		: { json, binary: await downloadAll(tools, result.requestId, files, download) };
}

function filesOf({ images, videos, audios }: JobResult): ResultFile[] {
	const all = (kind: FileKind, urls: string[]) => urls.map((url) => ({ url, kind }));
	return [...all('image', images), ...all('video', videos), ...all('audio', audios)];
}

function toJson(result: JobResult, { seed, isAnyModel = false }: OutputOptions): IDataObject {
	const { requestId, image, images, video, videos, audio, audios, output, cost, createdAt, finishedAt } =
		result;
	const [first] = filesOf(result);
	return {
		requestId,
		status: 'succeeded',
		...(isAnyModel && first !== undefined ? { url: first.url } : {}),
		...(image === undefined ? {} : { image }),
		images,
		...(video === undefined ? {} : { video }),
		...(videos.length === 0 && !isAnyModel ? {} : { videos }),
		...(audio === undefined ? {} : { audio }),
		...(audios.length === 0 && !isAnyModel ? {} : { audios }),
		...(seed === undefined ? {} : { seed }),
		...(cost === undefined ? {} : { cost }),
		...(createdAt === undefined ? {} : { createdAt }),
		...(finishedAt === undefined ? {} : { finishedAt }),
		// A result without a file would otherwise come without what it is.
		...((isAnyModel || first === undefined) && output !== undefined ? { output: output as IDataObject } : {}),
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
