import type { IExecuteFunctions, INode, INodeExecutionData } from 'n8n-workflow';

import { requestApisOf } from './api/deploymentApi';
import { createFreeQuery, Http } from './api/http';
import { Item } from './fields/item';
import { DEFAULT_RUN_OPTIONS, readRunOptions, readTimeoutMs, type RunOptions } from './fields/options';
import { Downloader } from './files/download';
import { Ledger } from './jobs/ledger';
import { runFreeItems, runItems } from './jobs/runItems';
import type { ItemOutcome } from './jobs/types';
import { readAccess } from './n8n/credential';
import { createIdentities, isUsedAsTool } from './n8n/identity';
import { createHint, createLog } from './n8n/log';
import { errorItem, toNodeError } from './n8n/nodeErrors';
import { createSend } from './n8n/request';
import { systemRuntime, type Runtime } from './n8n/runtime';
import { findOperation } from './operations';
import type { OperationOutput, OperationTools } from './operations/operation';
import { itemSource } from './operations/submission';
import { FieldError, StoppedError, toError } from './util/errors';

/** An agent's tool has one output: the agent would get nothing, not even a result that was paid for. */
const NO_ERROR_OUTPUT = new FieldError(
	'On Error',
	'cannot be “Continue (using error output)” where an AI agent uses the node as its tool',
	'Nothing was submitted. Set it to “Stop Workflow” or “Continue” in the settings of the tool: the agent gets nothing from an error output.',
);

type Outcome = ItemOutcome<OperationOutput | OperationOutput[]>;

/**
 * One run of the node.
 * @returns the output items, in the order of the input items: one for each, unless an operation lists something.
 * @throws NodeApiError.
 */
export async function executeRunComfy(
	context: IExecuteFunctions,
	runtime: Runtime = systemRuntime,
): Promise<INodeExecutionData[][]> {
	const items = context.getInputData();
	const node = context.getNode();
	if (isUsedAsTool(context) && node.onError === 'continueErrorOutput')
		throw toNodeError(node, NO_ERROR_OUTPUT);
	try {
		const outcomes = items.length === 0 ? [] : await executeItems(context, runtime, items.length);
		return [
			outcomes.flatMap((outcome, itemIndex) =>
				outcome.ok
					? [outcome.value].flat().map((item) => ({ ...item, pairedItem: { item: itemIndex } }))
					: [errorItem(node, outcome.error, itemIndex, items[itemIndex])],
			),
		];
	} catch (error) {
		// Under “continue on fail”, n8n would take a thrown error for success and return the input as the output.
		if (!context.continueOnFail() || error instanceof StoppedError) throw toNodeError(node, error);
		return [items.map((item, itemIndex) => errorItem(node, error, itemIndex, item))];
	}
}

async function executeItems(context: IExecuteFunctions, runtime: Runtime, count: number): Promise<Outcome[]> {
	const { clock, random, callTimeouts, stopGraceMs, downloadIdleMs } = runtime;
	const items = Array.from({ length: count }, (_, itemIndex) => new Item(context, itemIndex));
	const [first] = items as [Item];
	const operation = findOperation(first);
	const access = await readAccess(context);
	const http = new Http(access, createSend(context, clock, access.redact), clock.timeOfDay, callTimeouts);
	const stopSignal = context.getExecutionCancelSignal();
	const patienceMs = readTimeoutMs(first);
	const query = createFreeQuery({ http, clock, random, stopSignal, patienceMs });
	const hint = createHint(context);
	const tools: OperationTools = {
		...{ http, random, query, hint },
		downloader: new Downloader({ context, clock, random, idleMs: downloadIdleMs }),
		modelFiles: { allowLoopback: access.isLoopback },
		deploymentFiles: { allowLoopback: access.isPlatformLoopback },
		comfyOrgApiKey: access.comfyOrgApiKey,
	};
	const { problem, ...options } = runOptionsOf(first);
	const dependencies = {
		...{ clock, random, stopSignal, stopGraceMs, ...options },
		log: createLog(context, hint),
		continueOnFail: context.continueOnFail(),
	};
	if ('run' in operation) {
		if (problem !== undefined) throw problem;
		return await runFreeItems(dependencies, count, async (waitTools, itemIndex) => {
			return await operation.run({ ...tools, ...waitTools }, items[itemIndex] ?? first);
		});
	}
	const runIndex = Number(context.getWorkflowDataProxy(0).$runIndex);
	const submitting = {
		...dependencies,
		ledger: Ledger.of(context.getContext('node')),
		runIndex,
		requestApiOf: requestApisOf(http),
		maxTries: maxTriesOf(context.getNode()),
	};
	const identities = await createIdentities(context, runIndex, operation.fields, count);
	return await runItems(submitting, identities, itemSource(operation, tools, items, problem));
}

/** As n8n counts: from 2 to 5, and 3 where the user has set nothing. */
function maxTriesOf({ retryOnFail, maxTries }: INode): number {
	return retryOnFail === true ? Math.min(5, Math.max(2, maxTries || 3)) : 1;
}

/** When an option of the run is wrong, nothing is submitted, and defaults serve what earlier tries have submitted. */
function runOptionsOf(first: Item): RunOptions & { problem?: Error } {
	try {
		return readRunOptions(first);
	} catch (error) {
		return { ...DEFAULT_RUN_OPTIONS, problem: toError(error) };
	}
}
