import { isJsonObject } from '../api/json';
import { downloadFields, readDownloadTarget } from '../fields/downloads';
import type { Field, Item } from '../fields/item';
import { DEPLOYMENT_OPTIONS, OPTIONS, Options, optionsField, type OptionName } from '../fields/options';
import type { ItemSource, SubmittedJob, WaitLimits } from '../jobs/types';
import type { OperationOutput, OperationTools, RequestHandling, SubmittingOperation } from './operation';

/** What all operations that submit have in common. */

/** The options of whatever waits for a result. */
export const RESULT_OPTIONS: OptionName[] = [
	'fileName',
	'maxConcurrency',
	'maxFileSize',
	'pollInterval',
	'timeout',
];
const COMMON_OPTIONS: OptionName[] = [...RESULT_OPTIONS, 'cancelOnStop', 'sendFilesAs'];
/** RunComfy reports costs only for models. */
const MODEL_OPTIONS: OptionName[] = ['expectedCost', 'includeCost', 'spendingLimit'];

export const waitField: Field = {
	displayName: 'Wait for Completion',
	name: 'waitForCompletion',
	decides: false,
	type: 'boolean',
	default: true,
	description:
		'Whether to wait for the result. If off, the request ID is returned immediately, and Get Result fetches the result and its files later.',
};

/** The options of an operation that submits to a model. */
export function modelOptions(...moreOptions: OptionName[]): Field {
	return optionsField([...COMMON_OPTIONS, ...MODEL_OPTIONS, ...moreOptions]);
}

/** The fields of an operation that submits to a model, which follow the fields of the model. */
export function submissionFields(): Field[] {
	return [...downloadFields, waitField, modelOptions()];
}

/** As `submissionFields`, for an operation that submits to a deployment. */
export function deploymentSubmissionFields(): Field[] {
	const options = optionsField([...COMMON_OPTIONS, 'randomizeSeeds', 'webhookUrl'], DEPLOYMENT_OPTIONS);
	return [...downloadFields, waitField, options];
}

/**
 * Reads how to wait.
 * @param defaults those of models, or of deployments.
 * @throws FieldError.
 */
export function readWaitLimits(options: Options, defaults: typeof OPTIONS): WaitLimits {
	return {
		timeoutMs: options.number(defaults.timeout) * 1_000,
		pollIntervalMs: options.number(defaults.pollInterval) * 1_000,
		// The spending limit needs the cost.
		includeCost: options.boolean(defaults.includeCost) || options.isAdded(defaults.spendingLimit),
	};
}

/**
 * Reads what the user expects an item to cost, in USD.
 * @throws FieldError.
 */
export function readExpectedUsd(options: Options): number | undefined {
	return options.isAdded(OPTIONS.expectedCost) ? options.number(OPTIONS.expectedCost) : undefined;
}

/**
 * Reads how to wait for an item's request, and what to return of it.
 * @throws FieldError.
 */
export function readHandling(
	item: Item,
	options: Options,
	defaults: typeof OPTIONS,
	allowLoopback: boolean,
): RequestHandling {
	const waits = item.boolean(waitField);
	const limits = readWaitLimits(options, defaults);
	// An invalid size is a mistake, even where no file is sent or downloaded.
	options.number(defaults.maxFileSize);
	const download = waits ? readDownloadTarget(item, options, allowLoopback) : undefined;
	return { waits, limits, download };
}

/**
 * As `readHandling`, for a request that has been paid for. It never fails: where a field cannot be read now, the fields
 * count as they were when it was submitted.
 */
function readHandlingAgain(
	item: Item,
	saved: unknown,
	defaults: typeof OPTIONS,
	allowLoopback: boolean,
): RequestHandling {
	try {
		return readHandling(item, new Options(item), defaults, allowLoopback);
	} catch {
		if (isHandling(saved)) return saved;
		const { timeout, pollInterval, includeCost } = defaults;
		return {
			waits: true,
			limits: {
				timeoutMs: timeout.default * 1_000,
				pollIntervalMs: pollInterval.default * 1_000,
				includeCost: includeCost.default,
			},
		};
	}
}

/** True for what this version of the node has saved; it comes from n8n's database. */
function isHandling(value: unknown): value is RequestHandling {
	if (!isJsonObject(value) || typeof value.waits !== 'boolean' || !isJsonObject(value.limits)) return false;
	const { timeoutMs, pollIntervalMs, includeCost } = value.limits;
	if (![timeoutMs, pollIntervalMs].every(Number.isFinite) || typeof includeCost !== 'boolean') return false;
	const { download } = value;
	return (
		download === undefined ||
		(isJsonObject(download) &&
			typeof download.fieldName === 'string' &&
			typeof download.fileName === 'string' &&
			typeof download.maxMegabytes === 'number' &&
			typeof download.allowLoopback === 'boolean')
	);
}

/**
 * The items of an operation that submits, as the queue needs them.
 * @param problem of the whole run: then no item can submit, and what earlier tries have submitted is resumed all the same.
 */
export function itemSource(
	operation: SubmittingOperation,
	tools: OperationTools,
	items: Item[],
	problem: Error | undefined,
): ItemSource<RequestHandling, OperationOutput> {
	const itemAt = (itemIndex: number): Item => {
		const item = items[itemIndex];
		if (item === undefined) throw new Error(`There is no item ${itemIndex}`);
		return item;
	};
	const { defaults } = operation;
	const { allowLoopback } = defaults === OPTIONS ? tools.modelFiles : tools.deploymentFiles;
	return {
		count: items.length,
		read: async (itemIndex) => {
			if (problem !== undefined) throw problem;
			return await operation.read(tools, itemAt(itemIndex));
		},
		readHandling: (itemIndex, saved) => readHandlingAgain(itemAt(itemIndex), saved, defaults, allowLoopback),
		findOutputProblem: operation.findOutputProblem,
		toOutput: async (_itemIndex, job, handling, run) => {
			const { result } = job;
			const seeds = operation.reportSeeds(job.seeds ?? {});
			if (result === undefined) return { json: { ...statusOf(job), ...seeds } };
			const { json, ...files } = await operation.toOutput(tools, { ...job, result }, handling, run);
			return { json: { ...json, ...seeds }, ...files };
		},
	};
}

/** RunComfy's words. The answer to a submit holds none; a new request begins in the queue (documented). */
const STATUSES = new Map([
	['running', 'in_progress'],
	['finished', 'succeeded'],
]);

function statusOf({ requestId, state }: SubmittedJob): { requestId: string; status: string } {
	return { requestId, status: STATUSES.get(state) ?? 'in_queue' };
}
