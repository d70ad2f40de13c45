import type { IBinaryKeyData, IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { JobResult } from '../api/responses';
import { outputFieldName } from '../files/fileNames';
import { readBoolean, readFilledText, type OptionsReader } from './parameters';
import type { OperationOutput, WorkTools } from './operation';

/** A finished job as a row, and the fields that decide whether its images come along as files. */

export const downloadFields: INodeProperties[] = [
	{
		displayName: 'Download Images',
		name: 'downloadImages',
		type: 'boolean',
		default: false,
		description:
			'Whether to hand on the finished images as files, for a storage or e-mail node, in addition to their URLs. Outputs may expire, so download what you want to keep.',
		displayOptions: { show: { waitForCompletion: [true] } },
	},
	{
		displayName: 'Put Output File in Field',
		name: 'binaryPropertyOutput',
		type: 'string',
		required: true,
		default: 'data',
		placeholder: 'e.g. data',
		hint: 'The name of the output field to put the file in. Further images go to data_1, data_2 and so on.',
		displayOptions: { show: { waitForCompletion: [true], downloadImages: [true] } },
	},
];

export interface DownloadWish {
	fieldName: string;
	fileName: string;
	maxMegabytes: number;
}

/** What the user wants to have downloaded; undefined when nothing. */
export function readDownloadWish(
	context: IExecuteFunctions,
	itemIndex: number,
	options: OptionsReader,
): DownloadWish | undefined {
	if (!readBoolean(context, itemIndex, 'downloadImages', 'Download Images')) return undefined;
	return {
		fieldName: readFilledText(context, itemIndex, 'binaryPropertyOutput', 'Put Output File in Field'),
		fileName: options.fileName(),
		maxMegabytes: options.numbers.maxImageSize,
	};
}

/** The row of a finished job; keys that RunComfy gave nothing for are left out. */
export async function toFinishedOutput(
	{ run, downloader }: WorkTools,
	result: JobResult,
	seed: number | undefined,
	wish: DownloadWish | undefined,
): Promise<OperationOutput> {
	const { requestId, image, images, video, videos, cost, createdAt, finishedAt } = result;
	const json = {
		requestId,
		status: 'succeeded',
		...(image === undefined ? {} : { image }),
		images,
		...(video === undefined ? {} : { video }),
		...(videos.length === 0 ? {} : { videos }),
		...(seed === undefined ? {} : { seed }),
		...(cost === undefined ? {} : { cost }),
		...(createdAt === undefined ? {} : { createdAt }),
		...(finishedAt === undefined ? {} : { finishedAt }),
	};
	if (wish === undefined || images.length === 0) return { json };
	const { fieldName, fileName, maxMegabytes } = wish;
	const files = await Promise.all(
		images.map(async (url, index) => {
			const order = { url, requestId, index, fileName, maxMegabytes };
			return await run.untilEnd(async (signal) => await downloader.download(order, signal));
		}),
	);
	run.throwIfEnded();
	const binary: IBinaryKeyData = {};
	for (const [index, file] of files.entries()) binary[outputFieldName(fieldName, index)] = file;
	return { json, binary };
}
