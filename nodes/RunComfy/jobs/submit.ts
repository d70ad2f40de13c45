import { describeNoAnswer, RunComfyError, unreachableProblem, type Problem } from '../api/problems';
import { toError } from '../util/errors';
import { backoffMs, ERROR_BACKOFF } from '../util/retry';
import type { Slots } from '../util/slots';
import { plannedOf, type Budget } from './budget';
import { isAccepted, type AcceptedEntry, type LedgerEntry } from './entry';
import type { Turn } from './turn';
import { RunEndedError, type JobRequest } from './types';
import type { WaitTools } from './wait';

export interface SubmitTools extends WaitTools {
	turn: Turn;
	/** Undefined when the user has set no spending limit. */
	budget: Budget | undefined;
	/** Bounds the memory of request bodies. */
	submitBytes: Slots;
}

/** A call that cannot even be sent usually means a wrong address: not worth the whole deadline. */
const MAX_UNSENT_TRIES = 4;

/**
 * Submits an item's request. The paid POST is sent again only when it was certainly not accepted (“too many requests”, or
 * it never left this machine).
 * @returns the item's entry in the ledger, with the id of its request.
 * @throws RunComfyError when nothing was submitted, or when that is not known; RunEndedError.
 */
export async function submit(
	tools: SubmitTools,
	itemIndex: number,
	request: JobRequest,
): Promise<AcceptedEntry> {
	const { pool, turn, budget } = tools;
	for (;;) {
		pool.throwIfEnded();
		const entry =
			budget === undefined
				? turn.reserve(itemIndex, request.endpoint.id)
				: await budget.reserve(turn, itemIndex, plannedOf(request), pool.signal);
		if (entry === undefined) throw new RunEndedError();
		try {
			pool.throwIfEnded();
			return await post(tools, entry, request);
		} catch (error) {
			// It waits for its share of the limit again, and holds nothing meanwhile.
			if (!(error instanceof NoLongerPaidForError)) throw toError(error);
		} finally {
			// Whatever ended it before the POST left, its reserved cost is free again at once.
			if (entry.state === 'reserved') turn.ledger.move(entry, 'refused');
		}
	}
}

/** What was reserved is no longer within the limit. */
class NoLongerPaidForError extends Error {}

async function post(tools: SubmitTools, entry: LedgerEntry, request: JobRequest): Promise<AcceptedEntry> {
	const { clock, random, log, pool, throttle, turn, budget, submitBytes } = tools;
	const { ledger } = turn;
	const { endpoint, handling, inputBytes, seeds } = request;
	const { itemIndex } = entry;
	const send = async (deadline = clock.now() + handling.limits.timeoutMs) => {
		const input = await request.buildInput();
		// Building it may have taken a while.
		pool.throwIfEnded();
		if (budget?.stillPaysFor(entry) === false) throw new NoLongerPaidForError();
		ledger.move(entry, 'submitting', { handling });
		const answer = await pool.withStopGracePeriod(
			async (signal) => await endpoint.submit(input, { signal, mayLeave: () => !pool.signal.aborted }),
		);
		return { ...answer, deadline };
	};
	// An item's time begins when it is its turn for the first time.
	let until: number | undefined;
	for (let unsent = 0; ;) {
		const call = async () => await throttle.call(async () => await send(until), until ?? Infinity);
		const answer = await submitBytes.use(call, inputBytes);
		if (answer === undefined) throw new RunComfyError(neverAcceptedProblem());
		const { deadline } = answer;
		until = deadline;
		switch (answer.kind) {
			case 'ok': {
				const requestId = answer.value;
				ledger.move(entry, 'queued', { requestId, seeds, submittedAt: clock.timeOfDay() });
				log.info(`RunComfy request ${requestId} submitted for item ${itemIndex}`);
				if (isAccepted(entry)) return entry;
				throw new Error(`The ledger could not record request ${requestId}`);
			}
			case 'unknown': {
				ledger.move(entry, 'outcomeUnknown', { why: answer.why });
				const problem = outcomeUnknownProblem(endpoint.requestsPage, answer.why, answer);
				log.warn(`RunComfy, item ${itemIndex}: ${problem.message}`);
				throw new RunComfyError(problem);
			}
			case 'refused':
				ledger.move(entry, 'refused');
				// It may be refused because the run ended before it left.
				pool.throwIfEnded();
				throw new RunComfyError(withInputAdvice(answer.problem, request));
			case 'unsent': {
				ledger.move(entry, 'reserved');
				const pauseMs = backoffMs(++unsent, ERROR_BACKOFF, random);
				if (unsent >= MAX_UNSENT_TRIES || clock.now() + pauseMs >= deadline)
					throw new RunComfyError(unreachableProblem(answer.error));
				log.debug(`RunComfy, item ${itemIndex}: ${describeNoAnswer(answer.error)}; trying again`);
				await pool.pause(pauseMs);
				break;
			}
			case 'transient':
				ledger.move(entry, 'reserved');
				// The throttle delays the next call; here only the item's own time counts.
				if (clock.now() + throttle.pauseLeftMs >= deadline) throw new RunComfyError(neverAcceptedProblem());
		}
	}
}

/** Adds what else may be the cause when RunComfy refuses an input, or fails because of it. */
export function withInputAdvice(problem: Problem, request: JobRequest | undefined): Problem {
	const { inputAdvice } = request ?? {};
	if (inputAdvice === undefined || problem.mayBeInput !== true) return problem;
	return { ...problem, advice: `${inputAdvice} Otherwise: ${problem.advice}` };
}

/**
 * A submit whose outcome is unknown: the request may exist and cost money, so it is never sent again.
 * @param requestsPage where a person can see whether it exists.
 */
export function outcomeUnknownProblem(
	requestsPage: string,
	cause: string,
	{ httpStatus, requestId }: Pick<Problem, 'httpStatus' | 'requestId'> = {},
): Problem {
	return {
		message: `It is not known whether RunComfy accepted this request: ${cause}. It was not sent again, so that you do not pay twice`,
		advice:
			`Check ${requestsPage}. If the result is there, fetch it with the operation “Get Result” and its request ID. ` +
			'If it is not, run this item again in a new execution.',
		...(httpStatus === undefined ? {} : { httpStatus }),
		...(requestId === undefined ? {} : { requestId }),
	};
}

/** RunComfy kept saying “too many requests” until the deadline: nothing was accepted. */
function neverAcceptedProblem(): Problem {
	return {
		message: 'Nothing was submitted: RunComfy kept answering “too many requests” until the timeout',
		advice: 'Nothing was paid for. Lower “Max Concurrency”, raise “Timeout (Seconds)”, or run again later.',
		httpStatus: 429,
	};
}
