import type { IDataObject } from 'n8n-workflow';

import type { JobResult } from '../../api/responses';
import { type JobRequest, runJob, submitJob, type WaitLimits } from '../../jobs/job';
import type { RequestState, Seeds } from '../../jobs/ledger';
import { modelEndpoint } from '../../models/endpoint';
import { allowsLoopbackFiles } from '../../n8n/credential';
import type { Field } from '../../n8n/identity';
import { omitUndefined } from '../../util/values';
import { downloadFields, type DownloadOptions, readDownloadOptions } from './downloads';
import { findOutputProblem, type OutputOptions, toFinishedOutput } from './finishedOutput';
import type { ItemWork, OperationOutput, OperationTools, PlannedSubmit, WorkTools } from './operation';
import { DEPLOYMENT_OPTIONS, type OptionName, optionsField } from './optionFields';
import { OptionsReader } from './options';
import { orDefault, orError, readBoolean, type ReadField } from './parameters';

/** Submits an item's request and returns its output. */

const OPTIONS: OptionName[] = [
	'cancelOnStop',
	'fileName',
	'maxConcurrency',
	'maxFileSize',
	'pollInterval',
	'timeout',
];
/** RunComfy reports costs only for models. */
const MODEL_OPTIONS: OptionName[] = ['includeCost', 'spendingLimit'];

const waitFields: Field[] = [
	{
		displayName: 'Wait for Completion',
		name: 'waitForCompletion',
		decides: false,
		type: 'boolean',
		default: true,
		description:
			'Whether to wait for the result. If off, the request ID is returned immediately, and Get Result fetches the result later.',
	},
	...downloadFields,
];

/** The fields of an operation that submits, which follow the fields of the model. */
export function submissionFields(moreOptions: OptionName[] = []): Field[] {
	return [...waitFields, optionsField([...OPTIONS, ...MODEL_OPTIONS, ...moreOptions])];
}

/** As `submissionFields`, for an operation that submits to a deployment. */
export function deploymentSubmissionFields(): Field[] {
	return [...waitFields, optionsField([...OPTIONS, 'randomizeSeeds'], DEPLOYMENT_OPTIONS)];
}

/** The values of these fields. */
export interface SubmissionOptions {
	options: OptionsReader;
	limits: WaitLimits;
	/** Whether to wait for the result, or to return the request ID right after the submit. */
	waits: boolean;
	download: DownloadOptions | undefined;
}

/**
 * Reads the fields of `submissionFields`.
 * @throws FieldError, unless a default stands for what is wrong.
 */
export function readSubmissionOptions(
	{ context, access }: Pick<OperationTools, 'context' | 'access'>,
	itemIndex: number,
	isDeployment = false,
	readField: ReadField = orError,
): SubmissionOptions {
	const options = new OptionsReader(context, itemIndex, isDeployment, readField);
	const allowLoopback = allowsLoopbackFiles(access, isDeployment);
	const waits = readField(
		() => readBoolean(context, itemIndex, 'waitForCompletion', 'Wait for Completion'),
		true,
	);
	return {
		options,
		limits: options.waitLimits(),
		waits,
		download: waits ? readDownloadOptions(context, itemIndex, options, allowLoopback, readField) : undefined,
	};
}

/** As `readSubmissionOptions`, for an item that is only resumed. */
export function readResumeOptions(
	tools: Pick<OperationTools, 'context' | 'access'>,
	itemIndex: number,
	isDeployment = false,
): SubmissionOptions {
	return readSubmissionOptions(tools, itemIndex, isDeployment, orDefault);
}

/** The request of one item, and how to return its output. */
export interface Submission {
	request: JobRequest;
	getPrice: PlannedSubmit['getPrice'];
	/** What the output reports of the seeds that were sent. */
	reportSeeds(seeds: Seeds): IDataObject;
	/**
	 * The output of a finished request.
	 * @param endpointId what it was submitted to: in a retry, an expression may choose another model or deployment.
	 */
	toOutput(tools: WorkTools, result: JobResult, endpointId: string): Promise<OperationOutput>;
}

/** RunComfy's words. The answer to a submit holds none; a new request begins in the queue (documented). */
const STATUSES = new Map<RequestState, string>([
	['running', 'in_progress'],
	['finished', 'succeeded'],
]);

/** The part of a request that says what is submitted. */
export type RequestContent = Pick<JobRequest, 'submitProblem' | 'buildInput' | 'inputBytes'>;

/** Of an item that is only resumed. */
export function noContent(submitProblem: Error): RequestContent {
	const fail = async () => await Promise.reject(submitProblem);
	return { submitProblem, buildInput: fail, inputBytes: 0 };
}

/** The work of an item that submits a request. */
export function submissionWork(
	itemIndex: number,
	{ request, getPrice, reportSeeds, toOutput }: Submission,
): ItemWork {
	return {
		submits: { endpointId: request.endpoint.id, waits: request.waits, getPrice },
		run: async (tools) => {
			if (!request.waits) {
				const { requestId, state, seeds = {} } = await submitJob(tools.run, itemIndex, request);
				const status = STATUSES.get(state) ?? 'in_queue';
				return { json: { requestId, status, ...reportSeeds(seeds) } };
			}
			const { result, seeds = {}, endpointId } = await runJob(tools.run, itemIndex, request);
			const { json, ...files } = await toOutput(tools, result, endpointId);
			return { json: { ...json, ...reportSeeds(seeds) }, ...files };
		},
	};
}

/** What the output of a model holds besides its files, and which of them are downloaded. */
interface ModelSubmission extends Pick<OutputOptions, 'download' | 'isAnyModel'> {
	modelId: string;
	request: Omit<JobRequest, 'endpoint' | 'seeds' | 'findOutputProblem'>;
	seed: number | undefined;
	/** Whether a result without the URL of a file is an error. */
	needsFile: boolean;
}

/** The work of an item that submits a request to a model. */
export function modelWork(
	{ client, catalog }: OperationTools,
	itemIndex: number,
	{ modelId, request, seed, needsFile, ...output }: ModelSubmission,
): ItemWork {
	return submissionWork(itemIndex, {
		request: {
			...request,
			endpoint: modelEndpoint(client, modelId),
			seeds: omitUndefined({ seed }),
			findOutputProblem: (result) => findOutputProblem(result, needsFile),
		},
		getPrice: async () => (await catalog.getModel(modelId)).price,
		reportSeeds: (seeds) => seeds,
		toOutput: async (tools, result) => await toFinishedOutput(tools, result, output),
	});
}
