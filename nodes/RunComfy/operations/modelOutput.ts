import type { IDataObject } from 'n8n-workflow';

import type { JobResult } from '../api/answers';
import { isJsonObject } from '../api/json';
import { GENERATIONS_PAGE, nameRequest, type Problem } from '../api/problems';
import { downloadFiles, type DownloadTarget } from '../fields/downloads';
import type { ResultFile } from '../files/download';
import type { FileKind } from '../files/fileTypes';
import type { RunEnd } from '../jobs/types';
import { readOutput, type JobOutput } from '../models/output';
import { omitUndefined } from '../util/values';
import type { OperationOutput, OperationTools } from './operation';

/** What an output item contains in addition to the result. */
export interface OutputOptions {
	download?: DownloadTarget | undefined;
	/** For any model: adds the first URL of any kind, and the whole output as RunComfy reported it. */
	isAnyModel?: boolean;
}

/** The output item of a finished request to a model. Keys without a value are left out. */
export async function toModelOutput(
	{ downloader, hint }: Pick<OperationTools, 'downloader' | 'hint'>,
	result: JobResult,
	options: OutputOptions,
	run: RunEnd,
): Promise<OperationOutput> {
	const found = readOutput(result.output);
	const json = toJson(result, found, options);
	const { download } = options;
	const files = filesOf(found);
	if (download !== undefined && found.otherUrls.length > 0) {
		hint(
			`Some URLs in the output of RunComfy request ${result.requestId} were not downloaded, because it is not known whether they are files: ${found.otherUrls.join(', ')}`,
		);
	}
	if (download === undefined || files.length === 0) return { json };
	return { json, binary: await downloadFiles(downloader, result.requestId, files, download, run) };
}

function filesOf({ images, videos, audios }: JobOutput): ResultFile[] {
	const all = (kind: FileKind, urls: string[]) => urls.map((url) => ({ url, kind }));
	return [...all('image', images), ...all('video', videos), ...all('audio', audios)];
}

function toJson(
	{ requestId, output, cost, createdAt, finishedAt }: JobResult,
	found: JobOutput,
	{ isAnyModel = false }: OutputOptions,
): IDataObject {
	const { image, images, video, videos, audio, audios, otherUrls } = found;
	const [first] = filesOf(found);
	// Otherwise, output outside of the documented fields would be lost.
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
			cost,
			createdAt,
			finishedAt,
			output: isAnyModel || isUnusual ? (output as IDataObject | undefined) : undefined,
		}),
	};
}

/** True for an empty value, and for a list or an object that holds only empty values. */
function isBlank(value: unknown): boolean {
	if (value === undefined || value === null || value === '') return true;
	return typeof value === 'object' && Object.values(value).every(isBlank);
}

/**
 * What is wrong with a finished result that holds nothing to return.
 * @param needsFile whether it must hold the URL of a file. Models that make something else put it into the output.
 */
export function findModelOutputProblem(
	{ requestId, output }: JobResult,
	needsFile: boolean,
): Problem | undefined {
	const found = readOutput(output);
	if (filesOf(found).length > 0 || (!needsFile && !isBlank(output))) return undefined;
	const { otherUrls } = found;
	const urls = otherUrls.length === 0 ? '' : ` Its output holds these addresses: ${otherUrls.join(', ')}.`;
	return {
		message: `${nameRequest(requestId)} finished, but its result holds no URL of a file`,
		advice: `Check ${GENERATIONS_PAGE} for the file, and try the operation “Get Result” with this request ID later.${urls} It was not submitted again.`,
		requestId,
	};
}
