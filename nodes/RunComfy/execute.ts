import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { RunComfyClient } from './api/client';
import type { ModelPrice } from './api/models';
import { RunComfyError } from './api/problems';
import { Downloader } from './files/download';
import { readAccess } from './host/credential';
import { createLog, showHint } from './host/log';
import { errorRow, toNodeError } from './host/nodeErrors';
import { systemRuntime, type Runtime } from './host/runtime';
import { createSend } from './host/transport';
import { Ledger } from './jobs/ledger';
import { Purse } from './jobs/purse';
import { StoppedError } from './common/stoppedError';
import { Run, type ItemOutcome, type Log } from './jobs/run';
import { Catalogue } from './models/catalogue';
import { findOperation } from './operations';
import type { ItemWork, Operation, OperationOutput, OperationTools } from './operations/operation';
import { OptionsReader } from './operations/parameters';

/**
 * One run of the node: reads and checks all items, and only then lets anything be sent.
 * @returns the rows of the items, in their order: one for each, unless an operation lists something.
 * @throws NodeApiError.
 */
export async function executeRunComfy(
	context: IExecuteFunctions,
	runtime: Runtime = systemRuntime,
): Promise<INodeExecutionData[][]> {
	const items = context.getInputData();
	try {
		const outcomes = await executeItems(context, runtime, items.length);
		return [outcomes.flatMap((outcome, itemIndex) => toRows(context, outcome, itemIndex, items[itemIndex]))];
	} catch (error) {
		// Under “continue on fail” n8n would take a thrown error for success and hand on the input as the output.
		if (!context.continueOnFail() || error instanceof StoppedError)
			throw toNodeError(context.getNode(), error);
		return [items.map(({ json }, itemIndex) => errorRow(context.getNode(), error, itemIndex, json))];
	}
}

type Outcome = ItemOutcome<OperationOutput | OperationOutput[]>;

async function executeItems(context: IExecuteFunctions, runtime: Runtime, count: number): Promise<Outcome[]> {
	if (count === 0) return [];
	const { clock, random, callTimeouts, stopGraceMs, downloadIdleMs } = runtime;
	const continueOnFail = context.continueOnFail();
	const access = await readAccess(context);
	const operation = findOperation(context);
	const { spendingLimit, ...runOptions } = readRunOptions(context);
	const stopSignal = context.getExecutionCancelSignal();
	const log = createLog(context);
	const client = new RunComfyClient(
		access,
		createSend(context, clock, access.redact),
		clock.timeOfDay,
		callTimeouts,
	);
	const catalogue = new Catalogue({ client, clock, random, stopSignal });
	const tools = { context, access, random, catalogue };
	const works = await prepareAll(operation, tools, count, continueOnFail);
	const purse = await openPurse(tools, spendingLimit, works);
	for (const warning of purse?.warnings ?? []) tell(context, log, 'warn', warning);

	const ledger = new Ledger(context.getContext('node'), context.getWorkflowDataProxy(0).$runIndex as number);
	const run = new Run({
		client,
		clock,
		random,
		ledger,
		log,
		...(purse === undefined ? {} : { purse }),
		stopSignal,
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
			if (work === undefined || work instanceof Error) throw work;
			return await work.run({ run, downloader });
		});
		ended = 'returned';
		return outcomes;
	} finally {
		ledger.close(ended);
		if (purse !== undefined) tell(context, log, 'info', purse.report());
	}
}

/** Says something about the whole run, above its output and in the log. */
function tell(context: IExecuteFunctions, log: Log, level: 'info' | 'warn', sentence: string): void {
	log[level](`RunComfy: ${sentence}`);
	showHint(context, sentence, level === 'warn' ? 'warning' : 'info');
}

/**
 * The guard for the purse, with today's prices; undefined without a limit.
 * @throws RunComfyError when the limit cannot be kept, or does not pay for all items and none may fail by itself.
 */
async function openPurse(
	{ context, catalogue }: OperationTools,
	limitUsd: number | undefined,
	works: Array<ItemWork | Error>,
): Promise<Purse | undefined> {
	if (limitUsd === undefined) return undefined;
	const purchases = works.flatMap((work) => (work instanceof Error ? [] : (work.purchase ?? [])));
	const prices = new Map<string, ModelPrice>();
	for (const modelId of new Set(purchases.map((purchase) => purchase.modelId))) {
		prices.set(modelId, (await catalogue.getModel(modelId)).price);
	}
	const purse = new Purse(limitUsd, prices);
	const fault = purse.findFault(purchases, context.continueOnFail());
	if (fault !== undefined) throw new RunComfyError(fault);
	return purse;
}

/** The options that hold for the whole run are taken from the first item. */
function readRunOptions(context: IExecuteFunctions): {
	maxConcurrency: number;
	cancelOnStop: boolean;
	spendingLimit: number | undefined;
} {
	try {
		const options = new OptionsReader(context, 0);
		const { maxConcurrency } = options.numbers;
		const cancelOnStop = options.boolean('cancelOnStop', 'Cancel on Stop');
		return { maxConcurrency, cancelOnStop, spendingLimit: options.spendingLimit() };
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

function toRows(
	context: IExecuteFunctions,
	outcome: Outcome,
	itemIndex: number,
	item: INodeExecutionData | undefined,
): INodeExecutionData[] {
	if (!outcome.ok) return [errorRow(context.getNode(), outcome.error, itemIndex, item?.json ?? {})];
	return [outcome.value].flat().map((row) => ({ ...row, pairedItem: { item: itemIndex } }));
}
