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
import { backoffMs, FAULT_BACKOFF, nextPauseMs } from './schedule';
import type { Verdict } from './throttle';

/** How to wait for one job. Times in milliseconds. */
export interface WaitLimits {
	timeoutMs: number;
	/** The shortest pause between two looks. */
	pollIntervalMs: number;
	includeCost: boolean;
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
		const why = entry.state === 'inDoubt' ? entry.why : 'an earlier try did not learn the outcome';
		throw new RunComfyError(inDoubtProblem(why));
	}
	if (entry !== undefined) {
		const { requestId, seed } = entry;
		if (entry.state === 'submitted') run.purchases.bought(requestId, itemIndex);
		else run.purchases.done(requestId, itemIndex);
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
	return await submit(run, itemIndex, order);
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
		const pauseMs = backoffMs(++unreachable, FAULT_BACKOFF, random);
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
export type JobEnd = { kind: 'done'; result: JobResult } | { kind: 'ended'; problem: Problem };

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
			const end = endOf(run, requestId, look);
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
			pauseMs = Math.max(limits.pollIntervalMs, backoffMs(++faults, FAULT_BACKOFF, random));
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
): JobEnd | undefined {
	switch (look.phase) {
		case 'queued':
		case 'running':
			run.purchases.saw(requestId, look.phase);
			return undefined;
		case 'done':
			return { kind: 'done', result: readDoneResult(requestId, look.body) };
		case 'failed':
		case 'cancelled':
			run.purchases.gone(requestId);
			return { kind: 'ended', problem: endedProblem(requestId, look.status, look.error) };
		case 'unknown':
			throw new RunComfyError(unknownStatusProblem(requestId, look.status));
	}
}

/**
 * The result in the answer of a request that is done.
 * @throws RunComfyError when it holds no URL to hand on.
 */
export function readDoneResult(requestId: string, body: JsonObject): JobResult {
	const result = readResult(requestId, body);
	if (result.images.length === 0 && result.videos.length === 0) {
		throw new RunComfyError(noOutputProblem(requestId));
	}
	return result;
}

/**
 * Buys one item's job, or takes up what was bought, and waits for its result.
 * @throws as `buy` and `awaitEnd`, and RunComfyError when RunComfy reports that the request failed or was cancelled.
 */
export async function buyAndWait(run: Run, itemIndex: number, order: JobOrder): Promise<FinishedJob> {
	const { ledger } = run.dependencies;
	for (;;) {
		const known = ledger.find(itemIndex, order.fingerprint);
		const request = await buy(run, itemIndex, order);
		const seed = request.seed === undefined ? {} : { seed: request.seed };
		if (known?.state === 'finished') return { result: known.result, ...seed };
		const { requestId, fresh } = request;
		const end = await awaitEnd(run, request, order.limits, run.timesOf(order.modelId));
		if (end.kind === 'done') {
			const { result } = end;
			ledger.write(itemIndex, {
				state: 'finished',
				fingerprint: order.fingerprint,
				requestId,
				result,
				...seed,
			});
			run.purchases.done(requestId, itemIndex);
			return { result, ...seed };
		}
		ledger.forget(itemIndex);
		// One that an earlier try bought and that has ended badly since: this is the retry that may submit anew.
		if (fresh) throw new RunComfyError(end.problem);
	}
}
