import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { RunComfyClient } from './api/client';
import { Downloader } from './files/download';
import { readAccess } from './host/credential';
import { createLog } from './host/log';
import { errorRow, toNodeError } from './host/nodeErrors';
import { systemRuntime, type Runtime } from './host/runtime';
import { createSend } from './host/transport';
import { Ledger } from './jobs/ledger';
import { Run, StoppedError, type ItemOutcome } from './jobs/run';
import { findOperation } from './operations';
import type { ItemWork, Operation, OperationOutput, OperationTools } from './operations/operation';
import { OptionsReader } from './operations/parameters';

/**
 * One run of the node: reads and checks all items, and only then lets anything be sent.
 * @returns one row for each item, in their order.
 * @throws NodeApiError.
 */
export async function executeRunComfy(
	context: IExecuteFunctions,
	runtime: Runtime = systemRuntime,
): Promise<INodeExecutionData[][]> {
	const items = context.getInputData();
	try {
		const outcomes = await executeItems(context, runtime, items.length);
		return [outcomes.map((outcome, itemIndex) => toRow(context, outcome, itemIndex, items[itemIndex]))];
	} catch (error) {
		// Under “continue on fail” n8n would take a thrown error for success and hand on the input as the output.
		if (!context.continueOnFail() || error instanceof StoppedError)
			throw toNodeError(context.getNode(), error);
		return [items.map(({ json }, itemIndex) => errorRow(context.getNode(), error, itemIndex, json))];
	}
}

async function executeItems(
	context: IExecuteFunctions,
	runtime: Runtime,
	count: number,
): Promise<Array<ItemOutcome<OperationOutput>>> {
	if (count === 0) return [];
	const { clock, random, callTimeouts, stopGraceMs, downloadIdleMs } = runtime;
	const continueOnFail = context.continueOnFail();
	const access = await readAccess(context);
	const operation = findOperation(context);
	const runOptions = readRunOptions(context);
	const works = await prepareAll(operation, { context, access, random }, count, continueOnFail);

	const ledger = new Ledger(context.getContext('node'), context.getWorkflowDataProxy(0).$runIndex as number);
	const run = new Run({
		client: new RunComfyClient(
			access.baseUrl,
			createSend(context, clock, access.conceal),
			clock.now,
			callTimeouts,
		),
		clock,
		random,
		ledger,
		log: createLog(context),
		stopSignal: context.getExecutionCancelSignal(),
		...runOptions,
		continueOnFail,
		stopGraceMs,
	});
	const downloader = new Downloader({
		context,
		clock,
		random,
		allowLoopback: access.isLoopback,
		idleMs: downloadIdleMs,
	});
	let ended: 'thrown' | 'returned' = 'thrown';
	try {
		const outcomes = await run.forEachItem(count, async (itemIndex) => {
			const work = works[itemIndex];
			if (typeof work !== 'function') throw work;
			return await work({ run, downloader });
		});
		ended = 'returned';
		return outcomes;
	} finally {
		ledger.close(ended);
	}
}

/** The options that hold for the whole run are taken from the first item. */
function readRunOptions(context: IExecuteFunctions): { maxConcurrency: number; cancelOnStop: boolean } {
	try {
		const options = new OptionsReader(context, 0);
		const { maxConcurrency } = options.numbers;
		return { maxConcurrency, cancelOnStop: options.boolean('cancelOnStop', 'Cancel on Stop') };
	} catch (error) {
		throw toNodeError(context.getNode(), error, 0);
	}
}

/** The work of every item, or what is wrong with its fields. Without “continue on fail” the first fault ends it all. */
async function prepareAll(
	operation: Operation,
	tools: OperationTools,
	count: number,
	continueOnFail: boolean,
): Promise<Array<ItemWork | Error>> {
	const works: Array<ItemWork | Error> = [];
	for (let itemIndex = 0; itemIndex < count; itemIndex++) {
		try {
			works.push(await operation.prepare(tools, itemIndex));
		} catch (error) {
			const fault = error instanceof Error ? error : new Error(String(error));
			if (!continueOnFail) throw toNodeError(tools.context.getNode(), fault, itemIndex);
			works.push(fault);
		}
	}
	return works;
}

function toRow(
	context: IExecuteFunctions,
	outcome: ItemOutcome<OperationOutput>,
	itemIndex: number,
	item: INodeExecutionData | undefined,
): INodeExecutionData {
	if (outcome.ok) return { ...outcome.value, pairedItem: { item: itemIndex } };
	return errorRow(context.getNode(), outcome.error, itemIndex, item?.json ?? {});
}
