import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { RunComfyClient } from './api/client';
import { RunComfyError } from './api/problems';
import { StoppedError } from './common/stoppedError';
import { Deployments } from './deployments/deployments';
import { Downloader } from './files/download';
import { readAccess } from './host/credential';
import { createFingerprints, isUsedAsTool } from './host/fingerprint';
import { createLog, showHint } from './host/log';
import { errorItem, toNodeError } from './host/nodeErrors';
import { systemRuntime, type Runtime } from './host/runtime';
import { createSend } from './host/transport';
import { Budget, type ListedPrice } from './jobs/budget';
import { Ledger, type LedgerTurn } from './jobs/ledger';
import type { ItemOutcome, Log } from './jobs/run';
import { runTurn, stopTurn } from './jobs/runTurn';
import { Catalogue } from './models/catalogue';
import { findOperation } from './operations';
import type { ItemWork, Operation, OperationOutput, OperationTools } from './operations/shared/operation';
import { requestApisOf } from './operations/shared/endpoints';
import { readRunOptions, type RunOptions } from './operations/shared/options';

/**
 * One run of the node: reads and checks all items, and only then lets anything be sent.
 * @returns the output items, in the order of the input items: one for each, unless an operation lists something.
 * @throws NodeApiError.
 */
export async function executeRunComfy(
	context: IExecuteFunctions,
	runtime: Runtime = systemRuntime,
): Promise<INodeExecutionData[][]> {
	const items = context.getInputData();
	const node = context.getNode();
	try {
		const outcomes = await executeItems(context, runtime, items.length);
		return [outcomes.flatMap((outcome, itemIndex) => toOutputItems(context, outcome, itemIndex))];
	} catch (error) {
		// Under “continue on fail” n8n would take a thrown error for success and return the input as the output.
		if (!context.continueOnFail() || error instanceof StoppedError) throw toNodeError(node, error);
		return [items.map((item, itemIndex) => errorItem(node, error, itemIndex, item))];
	}
}

type Outcome = ItemOutcome<OperationOutput | OperationOutput[]>;

async function executeItems(context: IExecuteFunctions, runtime: Runtime, count: number): Promise<Outcome[]> {
	if (count === 0) return [];
	const { clock, random, callTimeouts, stopGraceMs } = runtime;
	const log = createLog(context);
	const stopSignal = context.getExecutionCancelSignal();
	const access = await readAccess(context);
	const operation = findOperation(context);
	const { spendingLimit, ...runOptions } = runOptionsOf(context);
	const continueOnFail = context.continueOnFail();
	const client = new RunComfyClient(
		access,
		createSend(context, clock, access.redact),
		clock.timeOfDay,
		callTimeouts,
	);
	const ledger = Ledger.of(context.getContext('node'));
	const runIndex = Number(context.getWorkflowDataProxy(0).$runIndex);
	const isTool = isUsedAsTool(context);
	const dependencies = {
		requestApiOf: requestApisOf(client),
		...{ clock, random, log, ledger, runIndex, isTool, stopSignal, continueOnFail, stopGraceMs },
		...runOptions,
	};
	// n8n runs the node once more when Stop comes between two tries, or while Retry On Fail is on.
	if (stopSignal?.aborted === true) await stopTurn(dependencies);
	const catalogue = new Catalogue({ client, clock, random, stopSignal });
	const deployments = new Deployments(catalogue);
	const tools = { context, access, random, client, catalogue, deployments };
	const downloader = openDownloader(context, runtime, access.isLoopback);
	const hint = (message: string) => showHint(context, message, 'warning');
	let budget: Budget | undefined;
	try {
		const works = await prepareAll(operation, tools, count, continueOnFail);
		const fingerprints = await fingerprintsOf(context, works);
		const openBudget = async (turn: LedgerTurn) => {
			budget = await openBudgetFor(context, turn, spendingLimit, works);
			for (const warning of budget?.warnings ?? []) notifyUser(context, log, 'warn', warning);
			return budget;
		};
		return await runTurn({ ...dependencies, fingerprints, openBudget }, count, async (run, itemIndex) => {
			const work = works[itemIndex];
			if (work === undefined || work instanceof Error) throw work;
			return await work.run({ run, downloader, hint });
		});
	} catch (error) {
		// Stop came while a model was read, before there was a run that could cancel anything.
		if (error instanceof StoppedError && !error.isReported) await stopTurn(dependencies);
		throw reasonOf(error);
	} finally {
		if (budget !== undefined) notifyUser(context, log, 'info', budget.report());
	}
}

/** The options that hold for the whole run; what is wrong with them is the first item's fault. */
function runOptionsOf(context: IExecuteFunctions): RunOptions {
	try {
		return readRunOptions(context);
	} catch (error) {
		throw toNodeError(context.getNode(), error, 0);
	}
}

function openDownloader(context: IExecuteFunctions, runtime: Runtime, allowLoopback: boolean): Downloader {
	const { clock, random, downloadIdleMs } = runtime;
	return new Downloader({ context, clock, random, allowLoopback, idleMs: downloadIdleMs });
}

/** What the items that submit something are recognized by in a retry. */
async function fingerprintsOf(
	context: IExecuteFunctions,
	works: Array<ItemWork | Error>,
): Promise<Map<number, string>> {
	const fingerprintOf = await createFingerprints(context);
	const fingerprints = new Map<number, string>();
	for (const [itemIndex, work] of works.entries()) {
		// An item whose fields are wrong in this try may still have a request from an earlier one.
		if (work instanceof Error || work.submits !== undefined)
			fingerprints.set(itemIndex, await fingerprintOf(itemIndex));
	}
	return fingerprints;
}

/** Says something about the whole run, above its output and in the log. */
function notifyUser(context: IExecuteFunctions, log: Log, level: 'info' | 'warn', sentence: string): void {
	log[level](`RunComfy: ${sentence}`);
	showHint(context, sentence, level === 'warn' ? 'warning' : 'info');
}

/**
 * The spending limit, with today's prices; undefined without one.
 * @throws RunComfyError when the limit cannot be kept, or does not pay for all items and none may fail by itself.
 */
async function openBudgetFor(
	context: IExecuteFunctions,
	turn: LedgerTurn,
	limitUsd: number | undefined,
	works: Array<ItemWork | Error>,
): Promise<Budget | undefined> {
	if (limitUsd === undefined) return undefined;
	const planned = works.flatMap((work) => (work instanceof Error ? [] : (work.submits ?? [])));
	const prices = new Map<string, ListedPrice>();
	for (const { endpointId, getPrice } of planned) {
		if (prices.has(endpointId)) continue;
		try {
			prices.set(endpointId, await getPrice());
		} catch (error) {
			// What earlier tries submitted is resumed in any case; without a price nothing else is submitted.
			if (error instanceof StoppedError || !turn.isRetry) throw reasonOf(error);
			prices.set(endpointId, {});
		}
	}
	const budget = new Budget(limitUsd, prices, turn.ledger);
	// In a retry each item asks for itself.
	const problem = turn.isRetry ? undefined : budget.findProblem(planned, context.continueOnFail());
	if (problem !== undefined) throw new RunComfyError(problem);
	return budget;
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
			const fault = reasonOf(error);
			if (!continueOnFail) throw toNodeError(tools.context.getNode(), fault, itemIndex);
			works.push(fault);
		}
	}
	return works;
}

function toOutputItems(
	context: IExecuteFunctions,
	outcome: Outcome,
	itemIndex: number,
): INodeExecutionData[] {
	if (!outcome.ok)
		return [errorItem(context.getNode(), outcome.error, itemIndex, context.getInputData()[itemIndex])];
	return [outcome.value].flat().map((item) => ({ ...item, pairedItem: { item: itemIndex } }));
}

function reasonOf(error: unknown): Error {
	return error instanceof Error ? error : new Error(String(error));
}
