import type { PollOptions } from '../api/client';
import { isTooDeep, type JsonObject } from '../api/json';
import { describeNoAnswer, type Problem, RunComfyError, unreachableProblem } from '../api/problems';
import type { JobResult, PollAnswer, SubmitAnswer } from '../api/responses';
import { FieldError } from '../util/errors';
import { backoffMs, ERROR_BACKOFF, retryPauseMs } from '../util/retry';
import type { LedgerEntry, Seeds } from './ledger';
import {
	neverAcceptedProblem,
	outcomeUnknownProblem,
	timeoutProblem,
	unknownStatusProblem,
} from './problems';
import { type Run, RunEndedError } from './run';
import { type JobTimes, nextPauseMs } from './schedule';
import type { Verdict } from './throttle';
import type { Endpoint, RequestApi } from './types';

/** How to wait for one job. Times in milliseconds. */
export interface WaitLimits {
	timeoutMs: number;
	/** The shortest pause between two polls. */
	pollIntervalMs: number;
	includeCost: boolean;
}

/** What is to be submitted for one item. */
export interface JobRequest {
	endpoint: Endpoint;
	/** Why it cannot be submitted now. What an earlier try has submitted is resumed all the same. */
	submitProblem?: Error;
	/** The body of the submit. Built when it is sent, and not kept, because it may hold files. */
	buildInput(): Promise<JsonObject>;
	/** About how large the body is. */
	inputBytes: number;
	/** The seeds in it, by the name of their input, to report them. */
	seeds?: Seeds | undefined;
	/** Whether its end is waited for. */
	waits: boolean;
	limits: WaitLimits;
	/** What is wrong with a finished result that holds nothing to return; undefined when there is something. */
	findOutputProblem(result: JobResult): Problem | undefined;
}

export interface FinishedJob {
	result: JobResult;
	/** What it was submitted to. */
	endpointId: string;
	seeds?: Seeds | undefined;
}

/** A request that RunComfy has accepted. */
type AcceptedEntry = LedgerEntry & { requestId: string };

/** RunComfy may need a moment until a new request can be found [assumed]; a 404 later than this is believed. */
const NEW_REQUEST_GRACE_MS = 15_000;
/** A call that cannot even be sent usually means a wrong address: not worth the whole deadline. */
const MAX_UNREACHABLE_TRIES = 4;
const LATE_COST_POLLS = 3;
/** The least time that a poll is given, even at the end of the deadline. */
const MIN_POLL_MS = 1_000;
/** How long the last poll, at the deadline, may wait for its turn: others have theirs at the same time. */
const LAST_POLL_WAIT_MS = 5_000;

/**
 * True while RunComfy may not know a request yet.
 * @param submittedAt, now by the time of day, which the ledger keeps for other processes. Their clocks may differ, and may
 * be set: a request is new for no longer than `NEW_REQUEST_GRACE_MS` before or after this moment.
 */
export function isNewRequest(submittedAt: number | undefined, now: number): boolean {
	return submittedAt !== undefined && Math.abs(now - submittedAt) < NEW_REQUEST_GRACE_MS;
}

/**
 * Submits or resumes an item's request, and does not wait for it.
 * @throws as `submitOrResume`.
 */
export async function submitJob(run: Run, itemIndex: number, request: JobRequest): Promise<AcceptedEntry> {
	const entry = await submitOrResume(run, itemIndex, request);
	// Others must not wait until its cost is known.
	run.dependencies.turn.ledger.setWaitedFor(entry, false);
	return entry;
}

/**
 * Makes sure that the item's request exists: resumes what an earlier try submitted, or submits.
 * The paid POST is sent again only when it was certainly not accepted (“too many requests”, or it never left this
 * machine).
 * @returns the item's entry in the ledger, with the id of its request.
 * @throws RunComfyError when nothing was submitted, or when that is not known; RunEndedError.
 */
async function submitOrResume(run: Run, itemIndex: number, request: JobRequest): Promise<AcceptedEntry> {
	const { turn } = run.dependencies;
	return await turn.atPlace(itemIndex, run.signal, async () => await submitOnce(run, itemIndex, request));
}

async function submitOnce(run: Run, itemIndex: number, request: JobRequest): Promise<AcceptedEntry> {
	const { turn, log } = run.dependencies;
	const known = turn.lookUp(itemIndex);
	if (known?.state === 'outcomeUnknown') {
		throw new RunComfyError(outcomeUnknownProblem(request.endpoint.requestsPage, known.why ?? ''));
	}
	if (known !== undefined && isAccepted(known)) {
		turn.ledger.setWaitedFor(known, true);
		log.info(
			`RunComfy request ${known.requestId} resumed for item ${itemIndex}; nothing was submitted again`,
		);
		return known;
	}
	for (const requestId of turn.abandonedIds(itemIndex)) {
		log.warn(
			`RunComfy request ${requestId} is not resumed: the input of item ${itemIndex}, or a field of the node, has changed since it was submitted`,
		);
	}
	return await submitNew(run, itemIndex, request);
}

/** True for a request that can be waited for, or has finished. */
function isAccepted(entry: LedgerEntry): entry is AcceptedEntry {
	const { state, requestId } = entry;
	return requestId !== undefined && (state === 'queued' || state === 'running' || state === 'finished');
}

async function submitNew(run: Run, itemIndex: number, request: JobRequest): Promise<AcceptedEntry> {
	const { turn, budget, onlyResumes } = run.dependencies;
	const { endpoint, waits, submitProblem } = request;
	const planned = { endpointId: endpoint.id, waits };
	run.throwIfEnded();
	if (submitProblem !== undefined) throw submitProblem;
	// As in a first try, where an item that cannot submit keeps the others from submitting.
	if (onlyResumes?.() === true) throw new RunEndedError();
	const entry =
		budget === undefined
			? turn.reserve(itemIndex, endpoint.id)
			: await budget.reserve(turn, itemIndex, planned, run.signal);
	run.throwIfEnded();
	if (entry === undefined) throw new Error('The wait for the spending limit ended too early');
	try {
		return await submit(run, entry, request);
	} finally {
		// Whatever ended it before the POST left, its reserved cost is free again at once.
		if (entry.state === 'reserved') turn.refused(entry);
	}
}

async function submit(run: Run, entry: LedgerEntry, request: JobRequest): Promise<AcceptedEntry> {
	const { clock, random, turn, log } = run.dependencies;
	const { itemIndex } = entry;
	const deadline = clock.now() + request.limits.timeoutMs;
	for (let unreachable = 0; ;) {
		const answer = await sendSubmit(run, entry, request, deadline);
		switch (answer.kind) {
			case 'accepted': {
				const { requestId } = answer;
				turn.accepted(entry, { requestId, seeds: request.seeds, submittedAt: clock.timeOfDay() });
				log.info(`RunComfy request ${requestId} submitted for item ${itemIndex}`);
				if (isAccepted(entry)) return entry;
				throw new Error(`The ledger could not record request ${requestId}`);
			}
			case 'outcomeUnknown': {
				turn.outcomeUnknown(entry, answer.why);
				const problem = outcomeUnknownProblem(
					request.endpoint.requestsPage,
					answer.why,
					answer.httpStatus,
					answer.requestId,
				);
				log.warn(`RunComfy, item ${itemIndex}: ${problem.message}`);
				throw new RunComfyError(problem);
			}
			case 'refused':
				turn.refused(entry);
				throw new RunComfyError(answer.problem);
			case 'busy':
				turn.notAccepted(entry);
				// The throttle already delays the next call; here only the item's own time counts.
				if (clock.now() + run.throttle.pauseLeftMs >= deadline)
					throw new RunComfyError(neverAcceptedProblem());
				break;
			case 'unreachable': {
				turn.notAccepted(entry);
				const pauseMs = backoffMs(++unreachable, ERROR_BACKOFF, random);
				if (unreachable >= MAX_UNREACHABLE_TRIES || clock.now() + pauseMs >= deadline)
					throw new RunComfyError(unreachableProblem(answer.error));
				log.debug(`RunComfy, item ${itemIndex}: ${describeNoAnswer(answer.error)}; trying again`);
				await run.pause(pauseMs);
			}
		}
	}
}

/**
 * One POST: its body exists only while it is sent, and all bodies together are bounded.
 * @param deadline until when it may wait for its turn.
 */
async function sendSubmit(
	run: Run,
	entry: LedgerEntry,
	request: JobRequest,
	deadline: number,
): Promise<SubmitAnswer> {
	const { clock, turn, budget } = run.dependencies;
	const { endpoint, inputBytes } = request;
	const late = { at: deadline, answer: { kind: 'busy', retryAfterMs: undefined } as const };
	run.throwIfEnded();
	return await run.submitBytes.use(async () => {
		// A large body may have had to wait for others.
		if (clock.now() >= deadline) return late.answer;
		return await run.call<SubmitAnswer>(
			async () => {
				const input = await request.buildInput();
				// Building it may have taken a while.
				run.throwIfEnded();
				if (isTooDeep(input)) throw new FieldError('Inputs', 'are nested too deeply');
				budget?.recheck(entry);
				turn.submitting(entry);
				return await run.withStopGracePeriod(async (signal) => await endpoint.submit(input, signal));
			},
			judgeSubmit,
			late,
		);
	}, inputBytes);
}

function judgeSubmit(answer: SubmitAnswer): Verdict {
	return answer.kind === 'busy' ? { tooMany: true, retryAfterMs: answer.retryAfterMs } : 'ok';
}

/** What the answer to a poll means for the throttle. */
export function judgePoll(answer: PollAnswer): Verdict {
	return answer.kind === 'again' && answer.tooMany
		? { tooMany: true, retryAfterMs: answer.retryAfterMs }
		: 'ok';
}

/** What to wait for. */
interface WaitedRequest {
	requestId: string;
	api: RequestApi;
	/** See `isNewRequest`. */
	submittedAt?: number | undefined;
	/** Of earlier jobs of the same kind, for a request that was submitted just now. */
	times?: Pick<JobTimes, 'add' | 'expected'> | undefined;
	/** Called with every state that a poll finds, before anything else happens. */
	onState?: (poll: PolledState) => void;
}

type PolledState = Extract<PollAnswer, { kind: 'state' }>;

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
export async function waitForEnd(run: Run, request: WaitedRequest, limits: WaitLimits): Promise<JobEnd> {
	const { clock, random, log } = run.dependencies;
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
	let lastStatus: string | undefined;
	let lastError: string | undefined;

	for (;;) {
		await run.pause(Math.min(Math.max(pauseMs, run.throttle.pauseLeftMs), deadline - clock.now()));
		if (run.throttle.pauseLeftMs > 0 && clock.now() >= deadline) break;
		const timeoutMs = Math.max(MIN_POLL_MS, deadline - clock.now());
		const poll = await pollResult(run, request, { includeCost: limits.includeCost, timeoutMs }, deadline);
		if (poll.kind === 'state') {
			// Before anything else: Stop may have come while the answer was on its way.
			onState?.(poll);
			const end = endOf(api, poll);
			const waitedMs = clock.now() - startedAt;
			if (end?.kind === 'finished') times?.add(lastPendingMs, waitedMs);
			if (end !== undefined) return end;
			lastPendingMs = waitedMs;
			if (poll.status !== lastStatus) {
				const progress = api.describeProgress?.(poll);
				const level = progress === undefined ? 'debug' : 'info';
				log[level](`RunComfy request ${requestId}: ${progress ?? poll.status}`);
			}
			lastStatus = poll.status;
			lastError = undefined;
			failures = 0;
			pauseMs = pauseAfter(waitedMs);
		} else {
			run.throwIfEnded();
			if (poll.kind === 'refused' || (poll.kind === 'notFound' && clock.now() >= newUntil))
				throw new RunComfyError(poll.problem);
			lastError = poll.kind === 'again' ? poll.why : 'it cannot be found yet';
			log.debug(`RunComfy request ${requestId}: ${lastError}`);
			// A Retry-After of “too many requests” is the throttle's to keep.
			const retryAfterMs = poll.kind === 'again' && !poll.tooMany ? poll.retryAfterMs : undefined;
			const backoff = retryPauseMs(++failures, retryAfterMs, ERROR_BACKOFF, random);
			pauseMs = Math.max(limits.pollIntervalMs, backoff);
		}
		if (clock.now() >= deadline) break;
	}
	throw new RunComfyError(timeoutProblem(requestId, limits.timeoutMs, lastStatus, lastError));
}

/**
 * One poll through the throttle, aborted when the run ends.
 * @param deadline until when it may wait for its turn.
 */
async function pollResult(
	run: Run,
	{ requestId, api }: WaitedRequest,
	options: Omit<PollOptions, 'signal'>,
	deadline: number,
): Promise<PollAnswer> {
	const { signal } = run;
	const late = { at: deadline + LAST_POLL_WAIT_MS, answer: NO_TURN };
	return await run.call(async () => await api.getResult(requestId, { ...options, signal }), judgePoll, late);
}

/** The answer to a poll that was not made, because “too many requests” held it back beyond the deadline. */
const NO_TURN: PollAnswer = {
	kind: 'again',
	why: 'it was held back by “too many requests”',
	tooMany: true,
	retryAfterMs: undefined,
};

/**
 * The result, once it is known to hold something to return.
 * @throws RunComfyError when it does not.
 */
export function requireOutput(
	result: JobResult,
	findOutputProblem: JobRequest['findOutputProblem'],
): JobResult {
	const problem = findOutputProblem(result);
	if (problem !== undefined) throw new RunComfyError(problem);
	return result;
}

/**
 * Runs one item's job: resumes or submits it, and waits for its result.
 * @throws as `submitOrResume` and `waitForEnd`, and RunComfyError when RunComfy reports that the request failed or was
 * cancelled, or when there is no output.
 */
export async function runJob(run: Run, itemIndex: number, request: JobRequest): Promise<FinishedJob> {
	const { turn } = run.dependencies;
	const { findOutputProblem } = request;
	for (;;) {
		const entry = await submitOrResume(run, itemIndex, request);
		const isResumed = turn.left.has(entry);
		try {
			const { seeds, endpointId } = entry;
			// What an earlier try has read is returned without a call; a result without output may have come late.
			if (entry.result !== undefined && findOutputProblem(entry.result) === undefined)
				return { result: entry.result, seeds, endpointId };
			const end = await waitForEntry(run, entry, request, isResumed);
			if (end.kind === 'finished')
				return {
					result: requireOutput(entry.result ?? end.result, findOutputProblem),
					...{ seeds, endpointId },
				};
			// A resumed request has failed: this try submits a new one.
			if (!isResumed) throw new RunComfyError(end.problem);
		} finally {
			turn.ledger.setWaitedFor(entry, false);
		}
	}
}

/** Waits for a request of the ledger, and keeps the ledger up to date. */
async function waitForEntry(
	run: Run,
	entry: AcceptedEntry,
	{ endpoint, limits }: JobRequest,
	isResumed: boolean,
): Promise<JobEnd> {
	const { turn, budget, requestApiOf } = run.dependencies;
	const { requestId, submittedAt } = entry;
	const onState = (poll: PolledState) => {
		const { phase, result } = poll;
		if (phase === 'queued' || phase === 'running') turn.polled(entry, phase);
		else if (phase !== 'unknown') turn.ended(entry, phase, result, budget !== undefined);
	};
	const times = isResumed ? undefined : turn.ledger.jobTimesOf(endpoint.id);
	// An expression may choose another model or deployment in a retry.
	const api = entry.endpointId === endpoint.id ? endpoint : requestApiOf(entry.endpointId);
	const request = { requestId, api, submittedAt, times, onState };
	const end = await waitForEnd(run, request, limits);
	if (entry.isCostPending === true) await askForCost(run, entry, api, limits);
	return end;
}

/** The cost may come somewhat after the end [assumed]: with a spending limit it is asked for a few times more. */
async function askForCost(
	run: Run,
	entry: AcceptedEntry,
	api: RequestApi,
	{ pollIntervalMs, timeoutMs }: WaitLimits,
): Promise<void> {
	const { requestId } = entry;
	const { turn } = run.dependencies;
	let cost: number | undefined;
	try {
		const deadline = run.dependencies.clock.now() + timeoutMs;
		for (let polls = 0; cost === undefined && polls < LATE_COST_POLLS; polls++) {
			await run.pause(pollIntervalMs);
			const poll = await pollResult(run, { requestId, api }, { includeCost: true }, deadline);
			cost = poll.kind === 'state' ? poll.result.cost : undefined;
		}
	} finally {
		turn.recordCost(entry, cost);
	}
}
