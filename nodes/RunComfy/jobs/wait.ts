import type {
	Answer,
	PollAnswer,
	PolledState,
	PollOptions,
	RequestApi,
	JobResult,
	CallOptions,
	Phase,
} from '../api/answers';
import { cleanReason, nameRequest, RunComfyError, type Problem } from '../api/problems';
import { ERROR_BACKOFF, retry, retryPauseMs } from '../util/retry';
import type { Clock, Random } from '../util/time';
import type { AcceptedEntry } from './entry';
import type { Ledger } from './ledger';
import type { Pool } from './pool';
import { nextPauseMs, type JobTimes } from './schedule';
import type { Throttle } from './throttle';
import { isNewRequest, NEW_REQUEST_GRACE_MS, type Log, type WaitLimits } from './types';

export interface WaitTools {
	clock: Clock;
	random: Random;
	log: Log;
	pool: Pool;
	throttle: Throttle;
}

/** The least time that a poll is given, even at the end of the deadline. */
const MIN_POLL_MS = 1_000;
/** How long the last poll, at the deadline, may wait for its turn: others have theirs at the same time. */
const LAST_POLL_WAIT_MS = 5_000;
const LATE_COST_POLLS = 3;

/** What to wait for. */
export interface WaitedRequest {
	requestId: string;
	api: RequestApi;
	/** See `isNewRequest`. */
	submittedAt?: number | undefined;
	/** Of earlier jobs of the same kind, for a request that was submitted just now. */
	times?: Pick<JobTimes, 'add' | 'expected'> | undefined;
	/** Called with every state that a poll finds, before anything else happens. */
	onState?: (poll: PolledState) => void;
}

/** How a request ended at RunComfy. */
export type JobEnd =
	| { kind: 'finished'; result: JobResult }
	| { kind: 'failed' | 'cancelled'; problem: Problem; result: JobResult };

/**
 * What a state means for whoever waits: the end, or undefined while there is something to wait for.
 * @throws RunComfyError for a state that this node does not know.
 */
export function endOf(api: RequestApi, poll: PolledState): JobEnd | undefined {
	const { phase, status, result } = poll;
	const { requestId } = result;
	switch (phase) {
		case 'queued':
		case 'running':
			return undefined;
		case 'finished':
			return { kind: phase, result };
		case 'failed':
		case 'cancelled':
			return { kind: phase, problem: api.endedProblem(requestId, poll), result };
		case 'unknown':
			throw new RunComfyError(unknownStatusProblem(requestId, status));
	}
}

/**
 * Polls until a request has ended. Polls are free and survive every transient error until the deadline; the deadline
 * never cancels.
 * @throws RunComfyError with the request id when it cannot be found or time is up; RunEndedError.
 */
export async function waitForEnd(
	tools: WaitTools,
	request: WaitedRequest,
	limits: WaitLimits,
): Promise<JobEnd> {
	const { clock, random, log, pool } = tools;
	const { requestId, api, times, onState } = request;
	const startedAt = clock.now();
	const deadline = startedAt + limits.timeoutMs;
	// Measured from here, because the time of day may be set meanwhile.
	const isNew = isNewRequest(request.submittedAt, clock.timeOfDay());
	const newUntil = isNew ? startedAt + NEW_REQUEST_GRACE_MS : startedAt;
	const pauseAfter = (waitedMs: number) =>
		nextPauseMs(waitedMs, limits.pollIntervalMs, random, times?.expected);
	let pauseMs = times === undefined ? 0 : pauseAfter(0);
	let failures = 0;
	let lastPendingMs = 0;
	let lastPhase: Phase | undefined;
	let lastError: string | undefined;

	do {
		await pool.pause(Math.min(pauseMs, deadline - clock.now()));
		const timeoutMs = Math.max(MIN_POLL_MS, deadline - clock.now());
		const options = { includeCost: limits.includeCost, timeoutMs };
		const poll = await pollResult(tools, request, options, deadline + LAST_POLL_WAIT_MS);
		if (poll.kind === 'ok') {
			const { value: state } = poll;
			// Before anything else: Stop may have come while the answer was on its way.
			onState?.(state);
			const end = endOf(api, state);
			const waitedMs = clock.now() - startedAt;
			if (end?.kind === 'finished') times?.add(lastPendingMs, waitedMs);
			if (end !== undefined) return end;
			lastPendingMs = waitedMs;
			if (state.phase !== lastPhase) {
				const progress = api.describeProgress?.(state);
				const level = progress === undefined ? 'debug' : 'info';
				log[level](`RunComfy request ${requestId}: ${progress ?? state.phase}`);
			}
			lastPhase = state.phase;
			lastError = undefined;
			failures = 0;
			pauseMs = pauseAfter(waitedMs);
		} else {
			pool.throwIfEnded();
			const isLost = poll.kind === 'refused' && !(poll.problem.isNotFound === true && clock.now() < newUntil);
			if (isLost) throw new RunComfyError(poll.problem);
			lastError = poll.kind === 'transient' ? poll.why : 'it cannot be found yet';
			log.debug(`RunComfy request ${requestId}: ${lastError}`);
			// A Retry-After of “too many requests” is the throttle's to keep.
			const retryAfterMs = poll.kind === 'transient' && !poll.tooMany ? poll.retryAfterMs : undefined;
			const backoff = retryPauseMs(++failures, retryAfterMs, ERROR_BACKOFF, random);
			pauseMs = Math.max(limits.pollIntervalMs, backoff);
		}
	} while (clock.now() < deadline);
	throw new RunComfyError(timeoutProblem(requestId, limits.timeoutMs, lastPhase === 'running', lastError));
}

/**
 * One poll through the throttle, aborted when the run ends.
 * @param deadline until when it may wait for its turn.
 */
async function pollResult(
	{ pool, throttle }: Pick<WaitTools, 'pool' | 'throttle'>,
	{ requestId, api }: WaitedRequest,
	options: Omit<PollOptions, 'signal'>,
	deadline: number,
): Promise<PollAnswer> {
	const { signal } = pool;
	const poll = async () => await api.getResult(requestId, { ...options, signal });
	const answer = await throttle.call(poll, deadline);
	if (answer !== undefined) return answer;
	const why = 'it was held back by “too many requests”';
	return { kind: 'transient', why, tooMany: true, retryAfterMs: undefined };
}

/**
 * Waits for a request of the ledger, and keeps the ledger up to date.
 * @param isResumed whether an earlier try has submitted it.
 * @param asksForCost whether its cost is worth a few more polls.
 * @throws as `waitForEnd`.
 */
export async function waitForEntry(
	tools: WaitTools & { ledger: Ledger },
	entry: AcceptedEntry,
	api: RequestApi,
	limits: WaitLimits,
	{ isResumed, asksForCost }: { isResumed: boolean; asksForCost: boolean },
): Promise<JobEnd> {
	const { ledger } = tools;
	const { requestId, submittedAt, endpointId } = entry;
	const onState = ({ phase, result }: PolledState) => {
		if (phase === 'queued' || phase === 'running') ledger.move(entry, phase);
		else if (phase !== 'unknown') ledger.end(entry, phase, result, asksForCost);
	};
	const times = isResumed ? undefined : ledger.jobTimesOf(endpointId);
	const request = { requestId, api, submittedAt, times, onState };
	const end = await waitForEnd(tools, request, limits);
	if (entry.isCostPending === true) await askForCost({ ...tools, ledger }, entry, request, limits);
	return end;
}

/** The cost may come somewhat after the end [assumed]: with a spending limit it is asked for a few times more. */
async function askForCost(
	tools: WaitTools & { ledger: Ledger },
	entry: AcceptedEntry,
	request: WaitedRequest,
	{ pollIntervalMs, timeoutMs }: WaitLimits,
): Promise<void> {
	let cost: number | undefined;
	try {
		const deadline = tools.clock.now() + timeoutMs;
		for (let polls = 0; cost === undefined && polls < LATE_COST_POLLS; polls++) {
			await tools.pool.pause(pollIntervalMs);
			const poll = await pollResult(tools, request, { includeCost: true }, deadline);
			cost = poll.kind === 'ok' ? poll.value.result.cost : undefined;
		}
	} finally {
		tools.ledger.recordCost(entry, cost);
	}
}

/**
 * Makes a free call about a request, and repeats it after transient errors. RunComfy may need a moment until a new request
 * can be found [assumed], and how old this one is is not known: “not found” counts as transient.
 * @param problemOf what to say when it could not be made.
 * @throws RunComfyError; RunEndedError.
 */
export async function retryFree<T>(
	{ random, pool }: WaitTools,
	call: () => Promise<Answer<T>>,
	problemOf: (why: string) => Problem,
): Promise<T> {
	const answer = await retry(
		call,
		(given) => {
			if (given.kind === 'transient') return given;
			return given.kind === 'refused' && given.problem.isNotFound === true ? {} : undefined;
		},
		{ random, pause: async (ms) => await pool.pause(ms) },
	);
	if (answer.kind === 'ok') return answer.value;
	throw new RunComfyError(answer.kind === 'refused' ? answer.problem : problemOf(answer.why));
}

/**
 * Polls a request once; repeats the poll only as `retryFree` does.
 * @throws RunComfyError with the request ID; RunEndedError.
 */
export async function pollOnce(
	tools: WaitTools,
	requestId: string,
	poll: (options: CallOptions) => Promise<PollAnswer>,
): Promise<PolledState> {
	const { pool, throttle } = tools;
	const call = async () => {
		const answer = await throttle.call(async () => await poll({ signal: pool.signal }));
		pool.throwIfEnded();
		return answer;
	};
	return await retryFree(tools, call, (why) => ({
		message: `The status of RunComfy request ${requestId} could not be read: ${why}`,
		advice: 'Try again later. Reading the status is free and does not change the request.',
		requestId,
	}));
}

/** A state that this node does not know: waiting further could be waiting forever. */
function unknownStatusProblem(requestId: string, status: string): Problem {
	return {
		message: `${nameRequest(requestId)} reports a status that this node does not know: “${cleanReason(status) ?? '?'}”`,
		advice:
			'The request may still be running. Use the operation “Get Status” or “Get Result” with this request ID later. It was not submitted again.',
		requestId,
	};
}

/** The item's time is up. The job goes on, and so does what was paid for it. */
function timeoutProblem(
	requestId: string,
	timeoutMs: number,
	wasRunning: boolean,
	lastError?: string,
): Problem {
	const state = wasRunning ? 'It was running when last polled, was' : 'It was';
	const error = lastError === undefined ? '' : ` The last poll failed: ${lastError}.`;
	return {
		message: `${nameRequest(requestId)} was not finished after ${timeoutMs / 1000} seconds`,
		advice: `${state} not cancelled, and may still finish.${error} Fetch the result later with the operation “Get Result” and this request ID, or raise “Timeout (Seconds)”.`,
		requestId,
	};
}
