import type { IDataObject } from 'n8n-workflow';

import type { JobResult } from '../api/answers';
import { readOutputs, type OutputFile, type OutputKind } from '../deployments/outputs';
import { downloadFiles, type DownloadTarget } from '../fields/downloads';
import type { ResultFile } from '../files/download';
import { isDetectable } from '../files/fileTypes';
import type { RunEnd } from '../jobs/types';
import { unlessAborted } from '../util/time';
import { omitUndefined } from '../util/values';
import type { OperationOutput, OperationTools } from './operation';

/** The output item of a finished request of a deployment. */
export async function toDeploymentOutput(
	{ downloader, deployments, hint }: Pick<OperationTools, 'downloader' | 'deployments' | 'hint'>,
	{ requestId, output, createdAt, finishedAt }: JobResult,
	deploymentId: string,
	download: DownloadTarget | undefined,
	run: RunEnd,
): Promise<OperationOutput> {
	// The early end of the run ends the wait for the workflow.
	const titles = await unlessAborted(deployments.titles(deploymentId), run.signal);
	run.throwIfEnded();
	const { files, texts } = readOutputs(output, titles);
	const urlsOf = (kind: OutputKind) => files.filter((file) => file.kind === kind).map(({ url }) => url);
	const [images, videos, audios] = [urlsOf('image'), urlsOf('video'), urlsOf('audio')];
	const url = [...images, ...videos, ...audios, ...urlsOf('file')][0];
	const json: IDataObject = {
		requestId,
		deploymentId,
		status: 'succeeded',
		...omitUndefined({ url }),
		images,
		videos,
		audios,
		files: files.map(({ kind: _kind, ...file }) => ({ ...file })),
		texts,
		outputs: output as IDataObject,
		...omitUndefined({ createdAt, finishedAt }),
	};
	if (files.length === 0 && texts.length === 0) {
		hint(
			`RunComfy request ${requestId} has no saved output. Previews are only in “outputs”; for files, the workflow needs a node that saves them, such as Save Image.`,
		);
	}
	if (download === undefined || files.length === 0) return { json };
	return { json, binary: await downloadFiles(downloader, requestId, files.map(toResultFile), download, run) };
}

/** A name such as `mesh.glb` says that the contents cannot be detected, whatever channel the file is in. */
function toResultFile({ url, kind, fileName }: OutputFile): ResultFile {
	const hasExtension = /\.[a-z0-9]+$/i.test(fileName);
	return { url, name: fileName, kind: hasExtension && !isDetectable(fileName) ? 'file' : kind };
}
