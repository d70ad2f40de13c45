import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { RunComfyClient } from './api/client';
import { createFreeQuery } from './api/freeQuery';
import { RunComfyError } from './api/problems';
import { Deployments } from './deployments/deployments';
import { Downloader } from './files/download';
import { Budget, type ListedPrice } from './jobs/budget';
import { Ledger, type LedgerTurn } from './jobs/ledger';
import type { ItemOutcome, Log, Run } from './jobs/run';
import { runTurn, stopTurn } from './jobs/runTurn';
import { Catalog } from './models/catalog';
import { readAccess } from './n8n/credential';
import { createLog, showHint } from './n8n/log';
import { errorItem, toNodeError } from './n8n/nodeErrors';
import { createSend } from './n8n/request';
import { type Runtime, systemRuntime } from './n8n/runtime';
import { findOperation } from './operations';
import { requestApisOf } from './operations/shared/endpoints';
import type { OperationOutput, PlannedSubmit } from './operations/shared/operation';
import { readRunOptions, type RunOptions } from './operations/shared/options';
import { orDefault } from './operations/shared/parameters';
import { PreparedItems } from './preparedItems';
import { StoppedError, toError } from './util/errors';

/**
 * One run of the node: reads and checks the fields of all items before anything is submitted.
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
		// Under “continue on fail”, n8n would take a thrown error for success and return the input as the output.
		if (!context.continueOnFail() || error instanceof StoppedError) throw toNodeError(node, error);
		return [items.map((item, itemIndex) => errorItem(node, error, itemIndex, item))];
	}
}

type Outcome = ItemOutcome<OperationOutput | OperationOutput[]>;

/** What a run needs, before any item is looked at. */
async function setUp(context: IExecuteFunctions, runtime: Runtime) {
	const { clock, random, callTimeouts, stopGraceMs } = runtime;
	const access = await readAccess(context);
	const { spendingLimit, optionsProblem, ...runOptions } = runOptionsOf(context);
	const send = createSend(context, clock, access.redact);
	const client = new RunComfyClient(access, send, clock.timeOfDay, callTimeouts);
	const stopSignal = context.getExecutionCancelSignal();
	const dependencies = {
		...{ clock, random, stopGraceMs, stopSignal, ...runOptions },
		requestApiOf: requestApisOf(client),
		log: createLog(context),
		ledger: Ledger.of(context.getContext('node')),
		runIndex: Number(context.getWorkflowDataProxy(0).$runIndex),
		continueOnFail: context.continueOnFail(),
		retriesOnFail: context.getNode().retryOnFail === true,
	};
	const query = createFreeQuery({ client, clock, random, stopSignal });
	const tools = {
		...{ context, access, random, client, query },
		catalog: new Catalog(query),
		deployments: new Deployments(query),
	};
	return { dependencies, tools, spendingLimit, optionsProblem };
}

async function executeItems(context: IExecuteFunctions, runtime: Runtime, count: number): Promise<Outcome[]> {
	if (count === 0) return [];
	const { dependencies, tools, spendingLimit, optionsProblem } = await setUp(context, runtime);
	const { log, stopSignal, continueOnFail } = dependencies;
	// After Stop, n8n runs the node once more if Retry On Fail is on.
	if (stopSignal?.aborted === true) await stopTurn(dependencies);
	const downloader = openDownloader(context, runtime);
	const hint = createHint(context);
	let budget: Budget | undefined;
	/** Whether a retry ends with the error of an item that it can neither resume nor submit. */
	let endsWithError = false;
	try {
		const prepared = await PreparedItems.read(findOperation(context), tools, count, optionsProblem);
		const identities = await prepared.identities(dependencies.runIndex);
		const openBudget = async (turn: LedgerTurn) => {
			// In a retry, the items that have requests are resumed first, and an error names these.
			const mayEndLater = turn.hasRequests || continueOnFail;
			const assertCanSubmit = () => {
				const blocked = mayEndLater ? undefined : prepared.findBlocked(turn);
				if (blocked !== undefined) throw toNodeError(context.getNode(), ...blocked);
			};
			assertCanSubmit();
			if (spendingLimit !== undefined) {
				const prices = await prepared.readPrices(turn.ledger);
				assertCanSubmit();
				budget = openBudgetFor(spendingLimit, prices, turn, prepared.submits, continueOnFail);
			}
			for (const warning of budget?.warnings ?? []) notifyUser(context, log, 'warn', warning);
			endsWithError = !continueOnFail && prepared.findBlocked(turn) !== undefined;
			return budget;
		};
		const runItem = async (run: Run, itemIndex: number) => {
			const work = prepared.workOf(run.dependencies.turn, itemIndex);
			return await work.run({ run, downloader, hint });
		};
		const onlyResumes = () => endsWithError;
		const hooks = { openBudget, onlyResumes };
		return await runTurn({ ...dependencies, ...hooks, identities }, count, runItem);
	} catch (error) {
		// Stop came while a model was being read. No run existed yet that could cancel the requests of earlier tries.
		if (error instanceof StoppedError && !error.isReported) await stopTurn(dependencies);
		throw toError(error);
	} finally {
		if (budget !== undefined) notifyUser(context, log, 'info', budget.report());
	}
}

/**
 * The options that apply to the whole run. When they are wrong, nothing is submitted, and defaults serve to resume or
 * cancel what earlier tries have submitted.
 */
function runOptionsOf(context: IExecuteFunctions): RunOptions & { optionsProblem?: Error } {
	try {
		return readRunOptions(context);
	} catch (error) {
		return { ...readRunOptions(context, orDefault), optionsProblem: toError(error) };
	}
}

function openDownloader(context: IExecuteFunctions, runtime: Runtime): Downloader {
	const { clock, random, downloadIdleMs } = runtime;
	return new Downloader({ context, clock, random, idleMs: downloadIdleMs });
}

/** Shows a warning above the node's output: each only once. */
function createHint(context: IExecuteFunctions): (message: string) => void {
	const shown = new Set<string>();
	return (message) => {
		if (!shown.has(message)) showHint(context, message, 'warning');
		shown.add(message);
	};
}

/** Shows a sentence about the whole run above its output, and logs it. */
function notifyUser(context: IExecuteFunctions, log: Log, level: 'info' | 'warn', sentence: string): void {
	log[level](`RunComfy: ${sentence}`);
	showHint(context, sentence, level === 'warn' ? 'warning' : 'info');
}

/**
 * The budget for the spending limit.
 * @throws RunComfyError when the limit cannot be kept, or when it does not pay for all items and a failed item ends the run.
 */
function openBudgetFor(
	limitUsd: number,
	prices: ReadonlyMap<string, ListedPrice>,
	turn: LedgerTurn,
	submits: ReadonlyMap<number, PlannedSubmit>,
	continueOnFail: boolean,
): Budget {
	const budget = new Budget(limitUsd, prices, turn.ledger);
	const planned = [...submits].flatMap(([itemIndex, one]) => (turn.find(itemIndex) === undefined ? one : []));
	// Once something has been submitted, the limit is checked for each item instead.
	const problem = turn.hasRequests ? undefined : budget.findProblem(planned, continueOnFail);
	if (problem !== undefined) throw new RunComfyError(problem);
	return budget;
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
