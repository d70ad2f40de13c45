import type { RequestApi } from '../api/answers';
import { requestIdOf, RunComfyError } from '../api/problems';
import { StoppedError, toError } from '../util/errors';
import { inParallel, Slots } from '../util/slots';
import { Breather, unlessAborted, type Random } from '../util/time';
import { Budget, plannedOf } from './budget';
import { Canceller } from './cancel';
import { isAccepted, type AcceptedEntry, type RequestIdentity } from './entry';
import type { Ledger } from './ledger';
import { Pool, settle, type PoolDependencies } from './pool';
import { reportOf } from './report';
import { outcomeUnknownProblem, submit, withInputAdvice, type SubmitTools } from './submit';
import { Throttle } from './throttle';
import { Turn } from './turn';
import {
	ItemFailedError,
	RunEndedError,
	type Handling,
	type ItemOutcome,
	type ItemSource,
	type JobRequest,
	type Log,
} from './types';
import { waitForEntry, type WaitTools } from './wait';

export interface RunDependencies extends PoolDependencies {
	random: Random;
	log: Log;
}

export interface SubmittingDependencies extends RunDependencies {
	ledger: Ledger;
	/** n8n's run index: the same in a retry. */
	runIndex: number;
	/** The requests of an endpoint of the ledger, which may be an entry of an earlier process. */
	requestApiOf: (endpointId: string) => RequestApi;
	/** Whether an early end cancels what RunComfy can still cancel. */
	cancelOnStop: boolean;
	/** How often n8n runs the node at most: more than once with Retry On Fail. A retry resumes what is running. */
	maxTries: number;
	/** In USD; undefined when the user has set no spending limit. */
	limitUsd: number | undefined;
}

/** What an item can submit, or why it cannot; undefined where there is a request to resume: its fields are not read. */
type Plan<H extends Handling> = ItemOutcome<JobRequest<H>> | undefined;

/** The bodies of all submits in flight together; a larger one is sent alone. */
const MAX_SUBMIT_BYTES = 32_000_000;
/** So many items are read at once: their files may be in a slow storage. */
const READ_AT_ONCE = 32;
/** After so long, reading gives n8n's event loop a turn. In milliseconds. */
const MAX_BUSY_MS = 10;

/**
 * Works on items that submit nothing.
 * @returns the items' outcomes, in their order.
 * @throws StoppedError, ItemFailedError.
 */
export async function runFreeItems<T>(
	dependencies: RunDependencies,
	count: number,
	work: (tools: WaitTools, itemIndex: number) => Promise<T>,
): Promise<Array<ItemOutcome<T>>> {
	const pool = new Pool(dependencies);
	const throttle = new Throttle(dependencies.clock, dependencies.random, pool.signal);
	const tools = { ...dependencies, pool, throttle };
	try {
		const order = Array.from({ length: count }, (_, itemIndex) => itemIndex);
		const { outcomes, failure } = await pool.forEach(order, async (index) => await work(tools, index));
		if (pool.stopped.aborted) throw new StoppedError('');
		if (failure !== undefined) throw new ItemFailedError(failure.itemIndex, failure.reason);
		return outcomes;
	} finally {
		pool.close();
	}
}

/**
 * One run of the node over items that submit requests: looks up what earlier tries have left, reads the fields of all
 * other items, checks them and the spending limit, and only then submits. What already runs comes first.
 * @param identities what the items' requests are known by, by item index.
 * @returns the items' outcomes, in their order.
 * @throws StoppedError, ItemFailedError; RunComfyError when the spending limit cannot be kept.
 */
export async function runItems<H extends Handling, T>(
	dependencies: SubmittingDependencies,
	identities: ReadonlyMap<number, RequestIdentity>,
	source: ItemSource<H, T>,
): Promise<Array<ItemOutcome<T>>> {
	const { clock, random, log, ledger, runIndex, continueOnFail, limitUsd, cancelOnStop } = dependencies;
	const pool = new Pool(dependencies);
	const throttle = new Throttle(clock, random, pool.signal);
	const wasStopped = pool.stopped.aborted;
	const turn = new Turn(ledger, runIndex, identities);
	const canceller = cancelOnStop ? new Canceller({ ...dependencies, pool, turn }) : undefined;
	const budget = limitUsd === undefined ? undefined : new Budget(limitUsd, ledger);
	const submitBytes = new Slots(MAX_SUBMIT_BYTES);
	const run = { ...dependencies, pool, throttle, turn, ledger, budget, submitBytes, source };
	let hasSucceeded = false;
	try {
		const plans = await readPlans(run);
		const isStopped = pool.signal.aborted;
		const blocked = isStopped || continueOnFail ? undefined : findBlocked(plans);
		// In a retry, the items that have requests are resumed first, and an error names these.
		if (blocked !== undefined && !turn.hasRequests) throw blocked;
		if (!isStopped) checkBudget(budget, plans, turn, run);
		const order = orderOf(plans, blocked !== undefined);
		const { outcomes, failure } = await pool.forEach(order, async (itemIndex) => {
			try {
				return await runItem(run, itemIndex, plans[itemIndex], blocked === undefined);
			} catch (error) {
				turn.reported.add(requestIdOf(error) ?? '');
				throw toError(error);
			}
		});
		await canceller?.finish();
		const ended = pool.stopped.aborted ? undefined : (failure ?? blocked);
		const requests = reportOf(turn, ended && { ...ended, requestId: requestIdOf(ended.reason) });
		const report = budget === undefined || requests === '' ? requests : `${requests} ${budget.report()}`;
		if (pool.stopped.aborted) {
			// n8n may run the node again after Stop. What an earlier try has reported is not reported again.
			if (!wasStopped || (canceller?.count ?? 0) > 0)
				log.warn(`RunComfy: stopped. ${report === '' ? 'Nothing had been submitted.' : report}`);
			throw new StoppedError(report);
		}
		if (ended !== undefined) {
			const { itemIndex, reason } = ended;
			if (report !== '') log.warn(`RunComfy: gave up after item ${itemIndex} failed. ${report}`);
			throw new ItemFailedError(itemIndex, reason, report, resumableOf(turn, itemIndex));
		}
		hasSucceeded = outcomes.every(({ ok }) => ok);
		return outcomes;
	} finally {
		turn.close(hasSucceeded);
		pool.close();
		if (budget !== undefined && turn.hasRequests) log.notify('info', budget.report());
	}
}

/** How to get at what the other items have submitted. A retry fails again where it cannot know an outcome. */
function resumableOf(turn: Turn, failed: number): ItemFailedError['resumable'] {
	const others = turn.ledger.entriesOf(turn).filter(({ itemIndex }) => itemIndex !== failed);
	if (!others.some(isAccepted)) return 'no';
	return turn.find(failed)?.state === 'outcomeUnknown' ? 'byHand' : 'byRetry';
}

interface RunOf<H extends Handling, T> extends SubmittingDependencies, SubmitTools {
	source: ItemSource<H, T>;
}

/** Looks at all items: those that have a request need no fields. Stop ends it. */
async function readPlans<H extends Handling, T>(run: RunOf<H, T>): Promise<Array<Plan<H>>> {
	const { clock, pool, turn, source } = run;
	const plans = Array.from({ length: source.count }, (): Plan<H> => undefined);
	const breather = new Breather(clock, MAX_BUSY_MS);
	const reading = inParallel(plans.keys(), READ_AT_ONCE, async (itemIndex) => {
		if (turn.find(itemIndex) !== undefined) return;
		await breather.breathe();
		if (!pool.signal.aborted) plans[itemIndex] = await readPlan(run, itemIndex);
	});
	await unlessAborted(reading, pool.signal);
	return plans;
}

async function readPlan<H extends Handling, T>(
	{ source, budget }: Pick<RunOf<H, T>, 'source' | 'budget'>,
	itemIndex: number,
): Promise<ItemOutcome<JobRequest<H>>> {
	return await settle(async () => {
		const request = await source.read(itemIndex);
		await budget?.readPrice(request);
		return request;
	});
}

/** The first item that can neither be resumed nor submit. */
function findBlocked<H extends Handling>(plans: Array<Plan<H>>): ItemFailedError | undefined {
	for (const [itemIndex, plan] of plans.entries())
		if (plan?.ok === false) return new ItemFailedError(itemIndex, plan.error);
	return undefined;
}

/** @throws RunComfyError when the limit does not pay for all items and a failed item ends the run. */
function checkBudget<H extends Handling>(
	budget: Budget | undefined,
	plans: Array<Plan<H>>,
	turn: Turn,
	{ log, continueOnFail }: Pick<RunDependencies, 'log' | 'continueOnFail'>,
): void {
	if (budget === undefined) return;
	// While fields were read, a parallel call of an agent may have submitted the same: its request costs nothing more.
	const planned = plans.flatMap((plan, itemIndex) =>
		plan?.ok === true && turn.lookUp(itemIndex) === undefined ? [plannedOf(plan.value)] : [],
	);
	// Once something has been submitted, the limit is checked for each item instead.
	const problem = turn.hasRequests ? undefined : budget.findProblem(planned, continueOnFail);
	if (problem !== undefined) throw new RunComfyError(problem);
	for (const warning of budget.warningsOf(planned)) log.notify('warn', warning);
}

/** What already runs at RunComfy comes first: others may have to wait until its cost is known. */
function orderOf<H extends Handling>(plans: Array<Plan<H>>, onlyResumes: boolean): number[] {
	const all = [...plans.keys()];
	const isResumed = (itemIndex: number) => plans[itemIndex] === undefined;
	return [...all.filter(isResumed), ...(onlyResumes ? [] : all.filter((index) => !isResumed(index)))];
}

/** A request that the item waits for, or has just submitted. */
interface Current<H extends Handling> {
	entry: AcceptedEntry;
	handling: H;
	/** Undefined for a resumed request: its fields have not been read. */
	request: JobRequest<H> | undefined;
}

/**
 * Resumes or submits an item's request, waits for it, and makes its output.
 * @param maySubmit false in a retry that ends with another item's error anyway.
 */
async function runItem<H extends Handling, T>(
	run: RunOf<H, T>,
	itemIndex: number,
	plan: Plan<H>,
	maySubmit: boolean,
): Promise<T> {
	const { turn, pool, budget, source, requestApiOf } = run;
	const { ledger } = turn;
	for (;;) {
		const { entry, handling, request } = await ledger.atPlace(
			turn.identityOf(itemIndex),
			pool.signal,
			async () => await resumeOrSubmit(run, itemIndex, plan, maySubmit),
		);
		try {
			const isResumed = turn.isLeft(entry);
			let result = handling.waits ? entry.result : undefined;
			// What an earlier try has read is returned without a call; a result without output may have come late.
			if (handling.waits && (result === undefined || source.findOutputProblem(result) !== undefined)) {
				const api = request?.endpoint ?? requestApiOf(entry.endpointId);
				const options = { isResumed, asksForCost: budget !== undefined };
				const end = await waitForEntry({ ...run, ledger }, entry, api, handling.limits, options);
				// A resumed request has failed: this try submits a new one.
				if (end.kind !== 'finished' && isResumed) continue;
				if (end.kind !== 'finished') throw new RunComfyError(withInputAdvice(end.problem, request));
				result = entry.result ?? end.result;
				const problem = source.findOutputProblem(result);
				if (problem !== undefined) throw new RunComfyError(problem);
			}
			const { requestId, endpointId, seeds, state } = entry;
			return await source.toOutput(
				itemIndex,
				{ requestId, endpointId, seeds, state, result },
				handling,
				pool,
			);
		} finally {
			ledger.setWaitedFor(entry, false);
		}
	}
}

/** Makes sure that the item's request exists: resumes what an earlier try, or a parallel call, has submitted, or submits. */
async function resumeOrSubmit<H extends Handling, T>(
	run: RunOf<H, T>,
	itemIndex: number,
	plan: Plan<H>,
	maySubmit: boolean,
): Promise<Current<H>> {
	const { turn, log, pool, source, requestApiOf } = run;
	const known = turn.lookUp(itemIndex);
	if (known?.state === 'outcomeUnknown') {
		const { requestsPage } = requestApiOf(known.endpointId);
		throw new RunComfyError(outcomeUnknownProblem(requestsPage, known.why ?? ''));
	}
	if (known !== undefined && isAccepted(known)) {
		const handling = source.readHandling(itemIndex, known.handling);
		turn.ledger.setWaitedFor(known, true);
		log.info(
			`RunComfy request ${known.requestId} resumed for item ${itemIndex}; nothing was submitted again`,
		);
		return { entry: known, handling, request: undefined };
	}
	// As in a first try, where an item that cannot submit keeps the others from submitting.
	if (!maySubmit) throw new RunEndedError();
	// A request to resume has failed: only now are the fields needed.
	const read = plan ?? (await readPlan(run, itemIndex));
	pool.throwIfEnded();
	if (!read.ok) throw toError(read.error);
	for (const { requestId = '' } of turn.ledger.findAbandoned(turn.identityOf(itemIndex))) {
		log.warn(
			`RunComfy request ${requestId} is not resumed: the input of item ${itemIndex}, or a field of the node, has changed since it was submitted`,
		);
	}
	const request = read.value;
	return { entry: await submit(run, itemIndex, request), handling: request.handling, request };
}
