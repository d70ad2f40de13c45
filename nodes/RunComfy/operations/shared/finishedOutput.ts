import type { IDataObject } from 'n8n-workflow';

import { isJsonObject } from '../../api/json';
import type { JobResult } from '../../api/responses';
import { omitUndefined } from '../../common/omitUndefined';
import type { ResultFile } from '../../files/download';
import type { FileKind } from '../../files/fileTypes';
import { downloadFiles, type DownloadOptions } from './downloads';
import type { OperationOutput, WorkTools } from './operation';

/** What an output item contains in addition to the result. */
export interface OutputOptions {
	seed?: number | undefined;
	download?: DownloadOptions | undefined;
	/** For any model: adds the first URL of any kind, and the whole output as RunComfy reported it. */
	isAnyModel?: boolean;
}

/** The output item of a finished job. Keys without a value are left out. */
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
			`Some URLs in the output of RunComfy request ${result.requestId} were not downloaded, because it is not known whether they are files: ${result.otherUrls.join(', ')}`,
		);
	}
	return download === undefined || files.length === 0
		? { json }
		: { json, binary: await downloadFiles(tools, result.requestId, files, download) };
}

function filesOf({ images, videos, audios }: JobResult): ResultFile[] {
	const all = (kind: FileKind, urls: string[]) => urls.map((url) => ({ url, kind }));
	return [...all('image', images), ...all('video', videos), ...all('audio', audios)];
}

function toJson(result: JobResult, { seed, isAnyModel = false }: OutputOptions): IDataObject {
	const { requestId, image, images, video, videos, audio, audios, output, otherUrls, ...facts } = result;
	const { cost, createdAt, finishedAt } = facts;
	const [first] = filesOf(result);
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
			seed,
			cost,
			createdAt,
			finishedAt,
			output: isAnyModel || isUnusual ? (output as IDataObject | undefined) : undefined,
		}),
	};
}
