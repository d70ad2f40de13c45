import type { INodeProperties } from 'n8n-workflow';

import { endedProblem, RunComfyError, unknownStatusProblem } from '../api/problems';
import { awaitEnd, readDoneResult } from '../jobs/job';
import { lookOnce } from './look';
import type { ItemWork, Operation } from './operation';
import { optionsField } from './optionFields';
import { OptionsReader, readBoolean, readRequestId } from './parameters';
import { requestIdField } from './requestIdField';
import { DOWNLOAD_IMAGES, downloadFields, readDownloadWish, toFinishedOutput } from './results';

const waitField: INodeProperties = {
	displayName: 'Wait for Completion',
	name: 'waitForCompletion',
	type: 'boolean',
	default: true,
	description:
		'Whether to wait until the result is there. Without waiting, the state is handed on when it is not.',
};

/** The result of an earlier request: the way to resume after a timeout. Buys nothing and cancels nothing. */
export const getResult: Operation = {
	fields: [
		requestIdField,
		waitField,
		...downloadFields(DOWNLOAD_IMAGES),
		optionsField(['fileName', 'includeCost', 'maxConcurrency', 'maxImageSize', 'pollInterval', 'timeout']),
	],

	async prepare({ context }, itemIndex) {
		const requestId = readRequestId(context, itemIndex);
		const options = new OptionsReader(context, itemIndex);
		// The request may be of any model.
		const limits = options.waitLimits(false);
		const wait = readBoolean(context, itemIndex, 'waitForCompletion', 'Wait for Completion');
		const download = wait ? readDownloadWish(context, itemIndex, DOWNLOAD_IMAGES, options) : undefined;

		const work: ItemWork['run'] = async (tools) => {
			const { run } = tools;
			if (wait) {
				const end = await awaitEnd(run, { requestId, fresh: false }, limits);
				if (end.kind === 'ended') throw new RunComfyError(end.problem);
				return await toFinishedOutput(tools, end.result, { download });
			}
			const { client } = run.dependencies;
			const { status, phase, queuePosition, error, body } = await lookOnce(
				run,
				requestId,
				async (look) => await client.getResult(requestId, limits.includeCost, look),
			);
			if (phase === 'done') {
				return await toFinishedOutput(tools, readDoneResult(requestId, body, limits.needsFile), {});
			}
			if (phase === 'failed' || phase === 'cancelled') {
				throw new RunComfyError(endedProblem(requestId, status, error));
			}
			if (phase === 'unknown') throw new RunComfyError(unknownStatusProblem(requestId, status));
			return { json: { requestId, status, ...(queuePosition === undefined ? {} : { queuePosition }) } };
		};
		return { run: work };
	},
};
