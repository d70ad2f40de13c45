import type { IDataObject } from 'n8n-workflow';

import type { JobResult } from '../api/answers';
import { isJsonObject } from '../api/json';
import { GENERATIONS_PAGE, nameRequest, type Problem } from '../api/problems';
import { downloadFiles, type DownloadTarget } from '../fields/downloads';
import { type FileKind, nameKind } from '../files/fileTypes';
import { findFiles, urlsByKind } from '../files/resultFiles';
import type { RunEnd } from '../jobs/types';
import { isEmpty, listOf, omitUndefined, shortUrl } from '../util/values';
import type { OperationOutput, OperationTools } from './operation';

/**
 * The output item of a finished request to a model. Keys without content are left out.
 * @param needed the kind of file that the model always makes; a file of unknown kind counts as one.
 */
export async function toModelOutput(
	tools: Pick<OperationTools, 'downloader' | 'hint'>,
	{ requestId, output, cost, createdAt, finishedAt }: JobResult,
	download: DownloadTarget | undefined,
	run: RunEnd,
	needed?: FileKind,
): Promise<OperationOutput> {
	const files = findFiles(output, needed);
	const { binary, failedFiles } = await downloadFiles(tools, requestId, files, download, run);
	const urls = new Set(files.map(({ url }) => url));
	const json = omitUndefined({
		...urlsByKind(files),
		text: textOf(output, urls),
		failedFiles,
		requestId,
		status: 'succeeded',
		...{ cost, createdAt, finishedAt },
		output: files.length === 0 || holdsMore(output, urls) ? output : undefined,
	}) as IDataObject;
	return omitUndefined({ json, binary });
}

/** The text that a model has made: the output itself, or its `text` [assumed]. */
function textOf(output: unknown, urls: ReadonlySet<string>): string | undefined {
	const text = isJsonObject(output) ? output.text : output;
	return typeof text === 'string' && !isEmpty(text) && !urls.has(text) ? text : undefined;
}

/** The keys whose values are in the item's own keys (documented: image, images, video, videos). */
const FILE_KEY = /^(url|images?|videos?|audios?)$/;

/** Whether a result says more than which files there are. */
function holdsMore(value: unknown, urls: ReadonlySet<string>): boolean {
	if (Array.isArray(value)) return value.some((part) => holdsMore(part, urls));
	if (!isJsonObject(value)) return !isEmpty(value) && !(typeof value === 'string' && urls.has(value));
	return Object.entries(value).some(([key, part]) => !FILE_KEY.test(key) || holdsMore(part, urls));
}

/**
 * What is wrong with a finished result that cannot be returned. An empty one can, unless the model always makes a file.
 * @param needed the kind of that file.
 */
export function findModelOutputProblem(
	{ requestId, output }: JobResult,
	needed?: FileKind,
): Problem | undefined {
	const files = findFiles(output, needed);
	const isFine = needed === undefined ? output !== undefined : files.some(({ kind }) => kind === needed);
	if (isFine) return undefined;
	const list = listOf(files.map(({ url }) => shortUrl(url)));
	const urls = list === '' ? '' : ` Its output holds these addresses: ${list}.`;
	return {
		message: `${nameRequest(requestId)} finished, but its result holds ${needed === undefined ? 'nothing' : `no URL of ${nameKind(needed)}`}`,
		advice: `Check ${GENERATIONS_PAGE} for the file, and try the operation “Get Result” with this request ID later.${urls} It was not submitted again.`,
		requestId,
	};
}
