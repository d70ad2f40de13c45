import type { JsonObject } from '../api/json';
import {
	describeNoAnswer,
	endedProblem,
	inDoubtProblem,
	neverAcceptedProblem,
	noOutputProblem,
	RunComfyError,
	timeoutProblem,
	unknownStatusProblem,
	unreachableProblem,
	type Problem,
} from '../api/problems';
import { readResult, type JobResult, type LookAnswer, type SubmitAnswer } from '../api/responses';
import type { JobTimes } from './jobTimes';
import type { Run } from './run';
import { backoffMs, ERROR_BACKOFF } from '../common/retry';
import { nextPauseMs } from './schedule';
import type { Verdict } from './throttle';

/** How to wait for one job. Times in milliseconds. */
export interface WaitLimits {
	timeoutMs: number;
	/** The shortest pause between two looks. */
	pollIntervalMs: number;
	includeCost: boolean;
	/** Whether a result must hold the URL of a file. Models that make something else put it into the output. */
	needsFile: boolean;
}

/** What is to be bought for one item, of whatever model. */
export interface JobOrder {
	modelId: string;
	/** The body of the submit. */
	input: JsonObject;
	/** The same for the same wish, and independent of a seed that was drawn for it. */
	fingerprint: string;
	/** The seed in `input`, to report it. */
	seed?: number;
	limits: WaitLimits;
}

/** A request that exists at RunComfy and is paid for. */
export interface BoughtRequest {
	requestId: string;
	seed?: number;
	/** True when this call submitted it; false when an earlier try did. */
	fresh: boolean;
}

export interface FinishedJob {
	result: JobResult;
	seed?: number;
}

/** RunComfy may need a moment until a new request can be looked up (assumed; a 404 later than this is believed). */
const NEW_REQUEST_GRACE_MS = 15_000;
/** A call that cannot even be sent usually means a wrong address: not worth the whole deadline. */
const MAX_UNREACHABLE_TRIES = 4;
const LATE_COST_LOOKS = 3;
/** The least that a look is given, even at the end of the deadline. */
const MIN_LOOK_MS = 1_000;

/**
 * Makes sure that the item's request exists: takes up the one that an earlier try bought, or submits. The paid POST is
 * sent again only when it was certainly not accepted (“too many requests”, or it never left this machine).
 * @throws RunComfyError when nothing was bought, or when it is not known; RunEndedError.
 */
export async function buy(run: Run, itemIndex: number, order: JobOrder): Promise<BoughtRequest> {
	const { ledger, log } = run.dependencies;
	const entry = ledger.find(itemIndex, order.fingerprint);
	if (entry?.state === 'submitting' || entry?.state === 'inDoubt') {
		run.purchases.inDoubt(itemIndex);
		run.purse?.adopt(itemIndex, order.modelId);
		run.purse?.settle(itemIndex, undefined, false);
		const why = entry.state === 'inDoubt' ? entry.why : 'an earlier try did not learn the outcome';
		throw new RunComfyError(inDoubtProblem(why));
	}
	if (entry !== undefined) {
		const { requestId, seed } = entry;
		if (entry.state === 'submitted') run.purchases.bought(requestId, itemIndex);
		else run.purchases.done(requestId, itemIndex);
		run.purse?.adopt(itemIndex, order.modelId);
		log.info(
			`RunComfy request ${requestId} taken up again for item ${itemIndex}; nothing was submitted anew`,
		);
		return { requestId, fresh: false, ...(seed === undefined ? {} : { seed }) };
	}
	const left = ledger.leftBehind(itemIndex, order.fingerprint);
	if (left !== undefined) {
		log.warn(
			`RunComfy request ${left} is left: the input of item ${itemIndex} has changed since it was submitted`,
		);
	}
	const { purse } = run;
	if (purse !== undefined) {
		await run.untilEnd(async (signal) => await purse.reserve(itemIndex, order.modelId, signal));
	}
	try {
		run.throwIfEnded();
		return await submit(run, itemIndex, order);
	} finally {
		// What the ledger knows nothing of was certainly not bought.
		const state = ledger.find(itemIndex, order.fingerprint)?.state;
		if (state === undefined) run.purse?.release(itemIndex);
		else if (state !== 'submitted') run.purse?.settle(itemIndex, undefined, false);
	}
}

async function submit(run: Run, itemIndex: number, order: JobOrder): Promise<BoughtRequest> {
	const { clock, random, ledger, log, client } = run.dependencies;
	const { fingerprint, seed } = order;
	const deadline = clock.now() + order.limits.timeoutMs;
	for (let unreachable = 0; ;) {
		run.throwIfEnded();
		const answer = await run.call(async () => {
			ledger.write(itemIndex, { state: 'submitting', fingerprint });
			return await run.shielded(async (signal) => await client.submit(order.modelId, order.input, signal));
		}, judgeSubmit);

		if (answer.kind === 'accepted') {
			const { requestId } = answer;
			const kept = { fingerprint, requestId, ...(seed === undefined ? {} : { seed }) };
			ledger.write(itemIndex, { state: 'submitted', ...kept });
			run.purchases.bought(requestId, itemIndex);
			log.info(`RunComfy request ${requestId} submitted for item ${itemIndex}`);
			return { requestId, fresh: true, ...(seed === undefined ? {} : { seed }) };
		}
		if (answer.kind === 'inDoubt') {
			const problem = inDoubtProblem(answer.why, answer.httpStatus);
			ledger.write(itemIndex, { state: 'inDoubt', fingerprint, why: answer.why });
			run.purchases.inDoubt(itemIndex);
			log.warn(`RunComfy, item ${itemIndex}: ${problem.message}`);
			throw new RunComfyError(problem);
		}
		ledger.forget(itemIndex);
		if (answer.kind === 'refused') throw new RunComfyError(answer.problem);
		if (answer.kind === 'busy') {
			// The throttle already holds back the next call; here only the item's own time counts.
			if (clock.now() + run.throttle.pauseLeftMs >= deadline) throw new RunComfyError(neverAcceptedProblem());
			continue;
		}
		const pauseMs = backoffMs(++unreachable, ERROR_BACKOFF, random);
		if (unreachable >= MAX_UNREACHABLE_TRIES || clock.now() + pauseMs >= deadline) {
			throw new RunComfyError(unreachableProblem(answer.error));
		}
		log.debug(`RunComfy, item ${itemIndex}: ${describeNoAnswer(answer.error)}; trying again`);
		await run.pause(pauseMs);
	}
}

function judgeSubmit(answer: SubmitAnswer): Verdict {
	return answer.kind === 'busy' ? { tooMany: true, retryAfterMs: answer.retryAfterMs } : 'ok';
}

/** How the throttle is to take the answer to a look. */
export function judgeLook(answer: LookAnswer): Verdict {
	return answer.kind === 'again' && answer.tooMany
		? { tooMany: true, retryAfterMs: answer.retryAfterMs }
		: 'ok';
}

/** How a request came to its end at RunComfy. */
export type JobEnd =
	{ kind: 'done'; result: JobResult } | { kind: 'ended'; problem: Problem; cost: number | undefined };

/**
 * Waits until a request is done and reads its result. Looks are free and survive every passing fault until the
 * deadline; the deadline never cancels.
 * @param times of earlier jobs of the same model; a job that was submitted just now is looked at, and learned from, by them.
 * @throws RunComfyError with the request id when it is not to be had or time is up; RunEndedError.
 */
export async function awaitEnd(
	run: Run,
	request: Omit<BoughtRequest, 'seed'>,
	limits: WaitLimits,
	times?: JobTimes,
): Promise<JobEnd> {
	const { clock, random, client, log } = run.dependencies;
	const { requestId } = request;
	const startedAt = clock.now();
	const deadline = startedAt + limits.timeoutMs;
	const known = request.fresh ? times : undefined;
	const pauseAfter = (waitedMs: number) =>
		nextPauseMs(waitedMs, limits.pollIntervalMs, random, known?.quietUntilMs);
	let pauseMs = request.fresh ? pauseAfter(0) : 0;
	let faults = 0;
	let lastUndoneMs = 0;
	let lastStatus: string | undefined;
	let lastFault: string | undefined;

	for (;;) {
		await run.pause(Math.min(Math.max(pauseMs, run.throttle.pauseLeftMs), deadline - clock.now()));
		if (run.throttle.pauseLeftMs > 0 && clock.now() >= deadline) break;
		const look = await run.call(
			async () =>
				await run.untilEnd(async (signal) => {
					const timeoutMs = Math.max(MIN_LOOK_MS, deadline - clock.now());
					return await client.getResult(requestId, limits.includeCost, { timeoutMs, signal });
				}),
			judgeLook,
		);
		run.throwIfEnded();

		if (look.kind === 'state') {
			const end = endOf(run, requestId, look, limits);
			const waitedMs = clock.now() - startedAt;
			if (end?.kind === 'done') known?.add(lastUndoneMs, waitedMs);
			if (end !== undefined) return end;
			lastUndoneMs = waitedMs;
			if (look.status !== lastStatus) log.debug(`RunComfy request ${requestId}: ${look.status}`);
			lastStatus = look.status;
			lastFault = undefined;
			faults = 0;
			pauseMs = pauseAfter(waitedMs);
		} else {
			const isNew = request.fresh && clock.now() - startedAt < NEW_REQUEST_GRACE_MS;
			if (look.kind === 'refused' || (look.kind === 'notFound' && !isNew))
				throw new RunComfyError(look.problem);
			lastFault = look.kind === 'again' ? look.why : 'it is not to be found yet';
			log.debug(`RunComfy request ${requestId}: ${lastFault}`);
			pauseMs = Math.max(limits.pollIntervalMs, backoffMs(++faults, ERROR_BACKOFF, random));
		}
		if (clock.now() >= deadline) break;
	}
	throw new RunComfyError(timeoutProblem(requestId, limits.timeoutMs, lastStatus, lastFault));
}

/** Undefined while there is something to wait for. */
function endOf(
	run: Run,
	requestId: string,
	look: Extract<LookAnswer, { kind: 'state' }>,
	limits: WaitLimits,
): JobEnd | undefined {
	switch (look.phase) {
		case 'queued':
		case 'running':
			run.purchases.saw(requestId, look.phase);
			return undefined;
		case 'done':
			return { kind: 'done', result: readDoneResult(requestId, look.body, limits.needsFile) };
		case 'failed':
		case 'cancelled':
			run.purchases.gone(requestId);
			return {
				kind: 'ended',
				problem: endedProblem(requestId, look.status, look.error),
				cost: readResult(requestId, look.body).cost,
			};
		case 'unknown':
			throw new RunComfyError(unknownStatusProblem(requestId, look.status));
	}
}

/**
 * The result in the answer of a request that is done.
 * @throws RunComfyError when it holds nothing to hand on.
 */
export function readDoneResult(requestId: string, body: JsonObject, needsFile: boolean): JobResult {
	const result = readResult(requestId, body);
	const hasFile = result.images.length + result.videos.length + result.audios.length > 0;
	const hasOutput = Object.values(result.output ?? {}).some((value) => value !== null && value !== '');
	if (!hasFile && (needsFile || !hasOutput)) throw new RunComfyError(noOutputProblem(requestId));
	return result;
}

/**
 * Buys one item's job, or takes up what was bought, and waits for its result.
 * @throws as `buy` and `awaitEnd`, and RunComfyError when RunComfy reports that the request failed or was cancelled.
 */
export async function buyAndWait(run: Run, itemIndex: number, order: JobOrder): Promise<FinishedJob> {
	try {
		for (;;) {
			const known = run.dependencies.ledger.find(itemIndex, order.fingerprint);
			const request = await buy(run, itemIndex, order);
			const result =
				known?.state === 'finished' ? known.result : await finish(run, itemIndex, order, request);
			if (result === undefined) continue;
			run.purse?.settle(itemIndex, result.cost, true);
			return { result, ...(request.seed === undefined ? {} : { seed: request.seed }) };
		}
	} finally {
		// However it ended: what was put aside for it is no longer open.
		run.purse?.settle(itemIndex, undefined, false);
	}
}

/** The result of a request; undefined when it has ended badly and may be submitted anew. */
async function finish(
	run: Run,
	itemIndex: number,
	{ fingerprint, limits, modelId }: JobOrder,
	request: BoughtRequest,
): Promise<JobResult | undefined> {
	const { ledger } = run.dependencies;
	const { requestId, fresh, seed } = request;
	const end = await awaitEnd(run, request, limits, run.timesOf(modelId));
	if (end.kind === 'done') {
		const keep = (result: JobResult) => {
			const kept = { fingerprint, requestId, result, ...(seed === undefined ? {} : { seed }) };
			ledger.write(itemIndex, { state: 'finished', ...kept });
			return result;
		};
		keep(end.result);
		run.purchases.done(requestId, itemIndex);
		return run.purse === undefined ? end.result : keep(await withLateCost(run, end.result, limits));
	}
	ledger.forget(itemIndex);
	run.purse?.settle(itemIndex, end.cost, false);
	// One that an earlier try bought and that has ended badly since: this is the retry that may submit anew.
	if (fresh) throw new RunComfyError(end.problem);
	return undefined;
}

/** The cost may come somewhat after the result [assumed]: who has to count it looks again, a few times. */
async function withLateCost(run: Run, result: JobResult, limits: WaitLimits): Promise<JobResult> {
	const { client } = run.dependencies;
	let cost = result.cost;
	for (let tries = 0; cost === undefined && tries < LATE_COST_LOOKS; tries++) {
		await run.pause(limits.pollIntervalMs);
		const look = await run.call(
			async () =>
				await run.untilEnd(async (signal) => await client.getResult(result.requestId, true, { signal })),
			judgeLook,
		);
		cost = look.kind === 'state' ? readResult(result.requestId, look.body).cost : undefined;
	}
	return cost === undefined ? result : { ...result, cost };
}
