import type { IDataObject } from 'n8n-workflow';

import type { JobResult } from '../api/answers';
import { queryDeployment } from '../api/deploymentApi';
import type { FreeQuery } from '../api/http';
import { graphFactsOf } from '../deployments/graphFields';
import { readOutputs } from '../deployments/outputs';
import { downloadFiles, type DownloadTarget } from '../fields/downloads';
import { urlsByKind } from '../files/resultFiles';
import type { RunEnd } from '../jobs/types';
import { unlessAborted } from '../util/time';
import { omitUndefined } from '../util/values';
import type { OperationOutput, OperationTools } from './operation';

/** The output item of a finished request of a deployment. Keys without content are left out. */
export async function toDeploymentOutput(
	tools: Pick<OperationTools, 'downloader' | 'query' | 'hint'>,
	{ requestId, output, createdAt, finishedAt }: JobResult,
	deploymentId: string,
	download: DownloadTarget | undefined,
	run: RunEnd,
): Promise<OperationOutput> {
	// The early end of the run ends the wait for the workflow.
	const titles = await unlessAborted(titlesOf(tools.query, deploymentId), run.signal);
	run.throwIfEnded();
	const { files, texts, values } = readOutputs(output, titles);
	const { binary, failedFiles } = await downloadFiles(tools, requestId, files, download, run);
	const listed = files.map(({ kind: _kind, name: fileName, ...file }) => ({ ...file, fileName }));
	const filled = (list: unknown[]) => (list.length === 0 ? undefined : list);
	const json = omitUndefined({
		...urlsByKind(files),
		...{ files: filled(listed), texts: filled(texts), values: filled(values), failedFiles },
		requestId,
		deploymentId,
		status: 'succeeded',
		...{ createdAt, finishedAt, outputs: output },
	}) as IDataObject;
	return omitUndefined({ json, binary });
}

/** The titles of the nodes, by ID; empty when the workflow cannot be read. */
async function titlesOf(query: FreeQuery, deploymentId: string): Promise<ReadonlyMap<string, string>> {
	const reading = query((http) => queryDeployment(http, deploymentId));
	const { graph } = await reading.catch(() => ({ graph: undefined }));
	return graphFactsOf(graph ?? {}).titles;
}
