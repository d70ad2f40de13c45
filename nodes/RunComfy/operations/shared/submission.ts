import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { omitUndefined } from '../../common/omitUndefined';
import { runJob, submitOrResume, type JobRequest, type WaitLimits } from '../../jobs/job';
import { downloadFields, readDownloadOptions, type DownloadOptions } from './downloads';
import { toFinishedOutput, type OutputOptions } from './finishedOutput';
import type { ItemWork } from './operation';
import { optionsField, type OptionName } from './optionFields';
import { OptionsReader } from './options';
import { readBoolean } from './parameters';

/** Submits an item's request and returns its output, for every model. */

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

/** The fields of an operation that submits, which follow the fields of the model. */
export function submissionFields(moreOptions: OptionName[] = []): INodeProperties[] {
	return [
		{
			displayName: 'Wait for Completion',
			name: 'waitForCompletion',
			type: 'boolean',
			default: true,
			description:
				'Whether to wait for the result. If off, the request ID is returned immediately, and Get Result fetches the result later.',
		},
		...downloadFields,
		optionsField([...OPTIONS, ...moreOptions]),
	];
}

/** The values of these fields. */
export interface SubmissionOptions {
	options: OptionsReader;
	limits: WaitLimits;
	/** Whether to wait for the result, or to return the request ID right after the submit. */
	wait: boolean;
	download: DownloadOptions | undefined;
}

/**
 * Reads the fields of `submissionFields`.
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

/** The request of one item, and how to return its output. */
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
				// The answer to a submit holds no status. A new request begins in the queue (documented).
				return { json: { requestId, status: 'in_queue', ...omitUndefined({ seed }) } };
			}
			const { result, seed } = await runJob(tools.run, itemIndex, request);
			return await toFinishedOutput(tools, result, { ...output, seed });
		},
	};
}
