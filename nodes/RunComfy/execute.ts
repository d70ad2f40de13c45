import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { RunComfyClient } from './api/client';
import { RunComfyError } from './api/problems';
import type { Clock } from './common/clock';
import { StoppedError } from './common/stoppedError';
import { toError } from './common/toError';
import { Deployments } from './deployments/deployments';
import { Downloader } from './files/download';
import { readAccess, type Access } from './host/credential';
import { createFingerprints, isUsedAsTool } from './host/fingerprint';
import { createLog, showHint } from './host/log';
import { errorItem, toNodeError } from './host/nodeErrors';
import { systemRuntime, type Runtime } from './host/runtime';
import { createSend } from './host/transport';
import { readStaticData, requestStoreOf, saveRequestStore, writeStaticData } from './host/staticData';
import { Budget, type ListedPrice } from './jobs/budget';
import { JobTimesStore } from './jobs/jobTimes';
import { Ledger, type LedgerTurn } from './jobs/ledger';
import { RunEndedError, type ItemOutcome, type Log } from './jobs/run';
import { reportReuse, Reuse } from './jobs/reuse';
import { runTurn, stopTurn } from './jobs/runTurn';
import { Catalog } from './models/catalog';
import { findOperation } from './operations';
import type {
	ItemWork,
	Operation,
	OperationOutput,
	OperationTools,
	PlannedSubmit,
} from './operations/shared/operation';
import { requestApisOf } from './operations/shared/endpoints';
import { readRunOptions, type RunOptions } from './operations/shared/options';
import { orDefault } from './operations/shared/parameters';

const MS_PER_HOUR = 3_600_000;

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

async function executeItems(context: IExecuteFunctions, runtime: Runtime, count: number): Promise<Outcome[]> {
	if (count === 0) return [];
	const { clock, random, callTimeouts, stopGraceMs } = runtime;
	const log = createLog(context);
	const stopSignal = context.getExecutionCancelSignal();
	const access = await readAccess(context);
	const { spendingLimit, reuseHours, optionsProblem, ...runOptions } = runOptionsOf(context);
	const continueOnFail = context.continueOnFail();
	const retriesOnFail = context.getNode().retryOnFail === true;
	const client = new RunComfyClient(
		access,
		createSend(context, clock, access.redact),
		clock.timeOfDay,
		callTimeouts,
	);
	const ledger = Ledger.of(context.getContext('node'));
	const runIndex = Number(context.getWorkflowDataProxy(0).$runIndex);
	const isTool = isUsedAsTool(context);
	const jobTimes = new JobTimesStore(readStaticData(context, 'jobTimes'));
	const reuse = openReuse(context, clock, access, reuseHours);
	const dependencies = {
		requestApiOf: requestApisOf(client),
		...{
			clock,
			random,
			log,
			ledger,
			jobTimes,
			reuse,
			runIndex,
			isTool,
			stopSignal,
			continueOnFail,
			retriesOnFail,
			stopGraceMs,
		},
		...runOptions,
	};
	// After Stop, n8n runs the node once more if Retry On Fail is on.
	if (stopSignal?.aborted === true) await stopTurn(dependencies);
	const operation = findOperation(context);
	const catalog = new Catalog({ client, clock, random, stopSignal });
	const deployments = new Deployments(catalog);
	const reusesResults = reuse !== undefined;
	const tools = { context, access, random, client, catalog, deployments, reusesResults };
	const downloader = openDownloader(context, runtime);
	const hint = (message: string) => showHint(context, message, 'warning');
	let budget: Budget | undefined;
	let reused: string | undefined;
	/** Whether a retry ends with the error of an item that it cannot resume. */
	let endsWithError = false;
	try {
		const works = await prepareAll(operation, tools, count, optionsProblem);
		const fingerprints = await fingerprintsOf(context, works);
		const openBudget = async (turn: LedgerTurn) => {
			// In a retry, the items that have requests are resumed first, and an error names these.
			const mayEndLater = turn.hasRequests || continueOnFail;
			const assertCanSubmit = () => {
				const blocked = mayEndLater ? undefined : findBlocked(turn, works);
				if (blocked !== undefined) throw toNodeError(context.getNode(), ...blocked);
			};
			assertCanSubmit();
			await reuse?.assignAll(turn, submitsOf(works), stopSignal);
			if (spendingLimit !== undefined) {
				const prices = await readPrices(turn.ledger, works);
				assertCanSubmit();
				budget = openBudgetFor(spendingLimit, prices, turn, works, continueOnFail);
			}
			for (const warning of budget?.warnings ?? []) notifyUser(context, log, 'warn', warning);
			endsWithError = !continueOnFail && findBlocked(turn, works) !== undefined;
			return budget;
		};
		const workOf = (turn: LedgerTurn, itemIndex: number): ItemWork => {
			const work = works[itemIndex];
			const known = turn.find(itemIndex);
			if (work instanceof Error && known !== undefined && operation.resume !== undefined)
				return operation.resume(tools, itemIndex, known.endpointId, work);
			if (work === undefined || work instanceof Error) throw work;
			// As in a first try, nothing is submitted then.
			if (endsWithError && known === undefined) throw new RunEndedError();
			return work;
		};
		const onClose = (turn: LedgerTurn) => {
			reused = reportReuse(turn);
		};
		return await runTurn(
			{ ...dependencies, fingerprints, openBudget, onClose },
			count,
			async (run, itemIndex) => await workOf(run.dependencies.turn, itemIndex).run({ run, downloader, hint }),
		);
	} catch (error) {
		// Stop came while a model was being read. No run existed yet that could cancel the requests of earlier tries.
		if (error instanceof StoppedError && !error.isReported) await stopTurn(dependencies);
		throw toError(error);
	} finally {
		if (jobTimes.isChanged) writeStaticData(context, 'jobTimes', jobTimes.toJson());
		if (reuse !== undefined) saveRequestStore(context, reuse.store);
		if (reused !== undefined) notifyUser(context, log, 'info', reused);
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

/** Undefined when the user has not added the option “Reuse Results (Hours)”. */
function openReuse(
	context: IExecuteFunctions,
	clock: Clock,
	{ baseUrl, platformBaseUrl }: Access,
	hours: number | undefined,
): Reuse | undefined {
	if (hours === undefined) return undefined;
	const credentialIds = Object.values(context.getNode().credentials ?? {}).map(({ id }) => id);
	return new Reuse({
		store: requestStoreOf(context),
		clock,
		account: JSON.stringify([baseUrl, platformBaseUrl, credentialIds]),
		executionId: context.getExecutionId(),
		maxAgeMs: hours * MS_PER_HOUR,
	});
}

function openDownloader(context: IExecuteFunctions, runtime: Runtime): Downloader {
	const { clock, random, downloadIdleMs } = runtime;
	return new Downloader({ context, clock, random, idleMs: downloadIdleMs });
}

/** The fingerprints of the items that submit something, by item index. A retry recognizes its items by them. */
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

/** The first item that cannot submit, and has no request that could be resumed, with what is wrong. */
function findBlocked(turn: LedgerTurn, works: Array<ItemWork | Error>): [Error, number] | undefined {
	for (const [itemIndex, work] of works.entries()) {
		if (work instanceof Error && turn.find(itemIndex) === undefined) return [work, itemIndex];
	}
	return undefined;
}

/** What the items submit, by item index. Those that cannot submit now are left out. */
function submitsOf(works: Array<ItemWork | Error>): Map<number, PlannedSubmit> {
	const submits = new Map<number, PlannedSubmit>();
	for (const [itemIndex, work] of works.entries()) {
		if (work instanceof Error || work.submits === undefined) continue;
		submits.set(itemIndex, work.submits);
	}
	return submits;
}

/** Shows a sentence about the whole run above its output, and logs it. */
function notifyUser(context: IExecuteFunctions, log: Log, level: 'info' | 'warn', sentence: string): void {
	log[level](`RunComfy: ${sentence}`);
	showHint(context, sentence, level === 'warn' ? 'warning' : 'info');
}

/**
 * The current prices of what the items submit. Where a price cannot be read, nothing is submitted: the error takes the
 * place of the items' work.
 * @throws StoppedError.
 */
async function readPrices(
	ledger: Ledger,
	works: Array<ItemWork | Error>,
): Promise<ReadonlyMap<string, ListedPrice>> {
	const prices = new Map<string, ListedPrice>();
	for (const [itemIndex, { endpointId, getPrice }] of submitsOf(works)) {
		try {
			prices.set(endpointId, await getPrice());
		} catch (error) {
			if (error instanceof StoppedError) throw toError(error);
			// A cost that RunComfy has reported will do.
			if (ledger.highestCostUsd(endpointId) === undefined) works[itemIndex] = toError(error);
		}
	}
	return prices;
}

/**
 * The budget for the spending limit.
 * @throws RunComfyError when the limit cannot be kept, or when it does not pay for all items and a failed item ends the run.
 */
function openBudgetFor(
	limitUsd: number,
	prices: ReadonlyMap<string, ListedPrice>,
	turn: LedgerTurn,
	works: Array<ItemWork | Error>,
	continueOnFail: boolean,
): Budget {
	const budget = new Budget(limitUsd, prices, turn.ledger);
	const planned = [...submitsOf(works)].flatMap(([itemIndex, one]) =>
		turn.find(itemIndex) === undefined ? one : [],
	);
	// Once something has been submitted, the limit is checked for each item instead.
	const problem = turn.hasSubmitted ? undefined : budget.findProblem(planned, continueOnFail);
	if (problem !== undefined) throw new RunComfyError(problem);
	return budget;
}

/**
 * Reads the fields of all items.
 * @param problem of the whole run.
 * @returns the work of each item, or why it cannot submit.
 * @throws StoppedError.
 */
async function prepareAll(
	operation: Operation,
	tools: OperationTools,
	count: number,
	problem: Error | undefined,
): Promise<Array<ItemWork | Error>> {
	if (problem !== undefined) return Array<Error>(count).fill(problem);
	const works: Array<ItemWork | Error> = [];
	for (let itemIndex = 0; itemIndex < count; itemIndex++) {
		try {
			works.push(await operation.prepare(tools, itemIndex));
		} catch (error) {
			// Stop ends the run, whatever the node does on errors.
			if (error instanceof StoppedError) throw toError(error);
			works.push(toError(error));
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
