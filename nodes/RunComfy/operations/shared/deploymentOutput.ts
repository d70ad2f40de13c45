import type { IDataObject } from 'n8n-workflow';

import type { JobResult } from '../../api/responses';
import type { Deployments } from '../../deployments/deployments';
import { type OutputFile, type OutputKind, readOutputs } from '../../deployments/outputs';
import type { ResultFile } from '../../files/download';
import { isDetectable } from '../../files/fileTypes';
import { unlessAborted } from '../../util/time';
import { omitUndefined } from '../../util/values';
import { downloadFiles, type DownloadOptions } from './downloads';
import type { OperationOutput, WorkTools } from './operation';

/** Where a request of a deployment ran, and how its output is returned. */
export interface DeploymentOutputOptions {
	deploymentId: string;
	/** Of the nodes, by ID. */
	titles: ReadonlyMap<string, string>;
	download: DownloadOptions | undefined;
}

/** The output item of a finished request of a deployment. */
export async function toDeploymentOutput(
	tools: WorkTools,
	{ requestId, output, createdAt, finishedAt }: JobResult,
	{ deploymentId, titles, download }: DeploymentOutputOptions,
): Promise<OperationOutput> {
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
		tools.hint(
			`RunComfy request ${requestId} has no saved output. Previews are only in “outputs”; for files, the workflow needs a node that saves them, such as Save Image.`,
		);
	}
	if (download === undefined || files.length === 0) return { json };
	return { json, binary: await downloadFiles(tools, requestId, files.map(toResultFile), download) };
}

/** The titles of a deployment's nodes, by ID; empty when its workflow cannot be read. The end of the run ends the wait. */
export async function readTitles(
	{ run }: WorkTools,
	deployments: Deployments,
	deploymentId: string,
): Promise<ReadonlyMap<string, string>> {
	const titles = await unlessAborted(deployments.titles(deploymentId), run.signal);
	run.throwIfEnded();
	return titles ?? new Map<string, string>();
}

/** A name such as `mesh.glb` says that the contents cannot be detected, whatever channel the file is in. */
function toResultFile({ url, kind, fileName }: OutputFile): ResultFile {
	const hasExtension = /\.[a-z0-9]+$/i.test(fileName);
	return { url, name: fileName, kind: hasExtension && !isDetectable(fileName) ? 'file' : kind };
}
