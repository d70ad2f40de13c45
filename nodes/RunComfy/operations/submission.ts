import { isJsonObject } from '../api/json';
import type { AddressRules } from '../api/urls';
import { readDownloadTarget } from '../fields/downloads';
import { readFileRules } from '../fields/files';
import type { Field, Item } from '../fields/item';
import { OPTIONS, Options, type OptionName } from '../fields/options';
import type { ItemSource, SubmittedJob } from '../jobs/types';
import type {
	OperationOutput,
	OperationTools,
	RequestHandling,
	Submission,
	SubmittingOperation,
} from './operation';

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
export const MODEL_OPTIONS: OptionName[] = [
	...COMMON_OPTIONS,
	'expectedCost',
	'includeCost',
	'spendingLimit',
];
export const RUN_DEPLOYMENT_OPTIONS: OptionName[] = [...COMMON_OPTIONS, 'randomizeSeeds', 'webhookUrl'];

export const waitField: Field = {
	displayName: 'Wait for Completion',
	name: 'waitForCompletion',
	decides: false,
	type: 'boolean',
	default: true,
	description:
		'Whether to wait for the result. If off, the request ID is returned immediately, and Get Result fetches the result and its files later.',
};

/**
 * Reads what every operation that waits for a result has: its options, how to wait, and what to return.
 * @param all the options of models, or of deployments.
 * @throws FieldError.
 */
export function readSubmission(item: Item, all: typeof OPTIONS, addresses: AddressRules): Submission {
	const options = new Options(item, all);
	const fileRules = readFileRules(options, addresses);
	const waits = item.boolean(waitField);
	const limits = {
		timeoutMs: options.number('timeout') * 1_000,
		pollIntervalMs: options.number('pollInterval') * 1_000,
		// The spending limit needs the cost.
		includeCost: options.boolean('includeCost') || options.isAdded('spendingLimit'),
	};
	const download = waits ? readDownloadTarget(item, options, fileRules) : undefined;
	return { options, fileRules, handling: { waits, limits, download } };
}

/** How a request is handled whose fields cannot be read now: as when it was submitted. */
function handlingAsSaved(
	saved: unknown,
	{ timeout, pollInterval, includeCost }: typeof OPTIONS,
): RequestHandling {
	if (isHandling(saved)) return saved;
	return {
		waits: true,
		limits: {
			timeoutMs: timeout.default * 1_000,
			pollIntervalMs: pollInterval.default * 1_000,
			includeCost: includeCost.default,
		},
	};
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
	const addresses = operation.options === OPTIONS ? tools.modelFiles : tools.deploymentFiles;
	const readCommon = (itemIndex: number) => readSubmission(itemAt(itemIndex), operation.options, addresses);
	return {
		count: items.length,
		read: async (itemIndex) => {
			if (problem !== undefined) throw problem;
			const submission = readCommon(itemIndex);
			const request = await operation.read(tools, itemAt(itemIndex), submission);
			return { ...request, handling: submission.handling };
		},
		// The request has been paid for, so a field that cannot be read now must not fail it.
		readHandling: (itemIndex, saved) => {
			try {
				return readCommon(itemIndex).handling;
			} catch {
				return handlingAsSaved(saved, operation.options);
			}
		},
		findOutputProblem: operation.findOutputProblem,
		toOutput: async (_itemIndex, job, handling, run) => {
			const { result, seeds: sent = {} } = job;
			const seeds = operation.reportSeeds?.(sent) ?? sent;
			if (result === undefined) return { json: { ...statusOf(job), ...seeds } };
			const { json, ...files } = await operation.toOutput(tools, { ...job, result }, handling, run);
			// The seeds stand after the status.
			const entries = Object.entries(json).flatMap((entry) =>
				entry[0] === 'status' ? [entry, ...Object.entries(seeds)] : [entry],
			);
			return { json: Object.fromEntries(entries), ...files };
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
