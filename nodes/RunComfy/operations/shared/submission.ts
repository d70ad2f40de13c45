import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { omitUndefined } from '../../common/omitUndefined';
import { runJob, submitOrResume, type JobRequest, type WaitLimits } from '../../jobs/job';
import type { ItemWork } from './operation';
import { optionsField, type OptionName } from './optionFields';
import { OptionsReader, readBoolean } from './parameters';
import {
	downloadFields,
	readDownloadOptions,
	toFinishedOutput,
	type DownloadOptions,
	type OutputOptions,
} from './results';

/** How an item's request is submitted and what is returned for it, the same for every model. */

const OPTIONS: OptionName[] = [
	'cancelOnStop',
	'fileName',
	'includeCost',
	'maxConcurrency',
	'maxFileSize',
	'pollInterval',
	'spendingLimit',
	'timeout',
];

/** The fields of an operation that submits, after those of its model. */
export function submissionFields(moreOptions: OptionName[] = []): INodeProperties[] {
	return [
		{
			displayName: 'Wait for Completion',
			name: 'waitForCompletion',
			type: 'boolean',
			default: true,
			description:
				'Whether to wait until the result is there. Without waiting, the request ID is returned at once, and Get Result fetches the result later.',
		},
		...downloadFields,
		optionsField([...OPTIONS, ...moreOptions]),
	];
}

/** What these fields say. */
export interface SubmissionOptions {
	options: OptionsReader;
	limits: WaitLimits;
	/** Whether to wait for the result, or to return the request's id right after the submit. */
	wait: boolean;
	download: DownloadOptions | undefined;
}

/**
 * @param needsFile whether a result without the URL of a file is an error.
 * @throws FieldError.
 */
export function readSubmissionOptions(
	context: IExecuteFunctions,
	itemIndex: number,
	needsFile: boolean,
): SubmissionOptions {
	const options = new OptionsReader(context, itemIndex);
	const wait = readBoolean(context, itemIndex, 'waitForCompletion', 'Wait for Completion');
	return {
		options,
		limits: options.waitLimits(needsFile),
		wait,
		download: wait ? readDownloadOptions(context, itemIndex, options) : undefined,
	};
}

/** One item's request, and what to do with it. */
export interface Submission extends Pick<OutputOptions, 'download' | 'isAnyModel'> {
	wait: boolean;
	request: JobRequest;
}

/** The work of an item that submits a request. */
export function submissionWork(itemIndex: number, { wait, request, ...output }: Submission): ItemWork {
	return {
		submits: { modelId: request.modelId, waits: wait },
		run: async (tools) => {
			if (!wait) {
				const { requestId, seed } = await submitOrResume(tools.run, itemIndex, request);
				// The answer to a submit holds no state; a new request begins in the queue (documented).
				return { json: { requestId, status: 'in_queue', ...omitUndefined({ seed }) } };
			}
			const { result, seed } = await runJob(tools.run, itemIndex, request);
			return await toFinishedOutput(tools, result, { ...output, seed });
		},
	};
}
