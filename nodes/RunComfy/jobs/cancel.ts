import type { CancelAnswer, RequestApi } from '../api/answers';
import { retry, type BackoffRange } from '../util/retry';
import type { Clock, Random } from '../util/time';
import { isAlive, type CancelOutcome, type LedgerEntry } from './entry';
import type { Pool } from './pool';
import type { Turn } from './turn';
import { isNewRequest } from './types';

export interface CancelTools {
	clock: Clock;
	random: Random;
	pool: Pool;
	turn: Turn;
	/** The requests of an endpoint of the ledger, which may be an entry of an earlier process. */
	requestApiOf: (endpointId: string) => RequestApi;
	/** How often n8n runs the node at most. A retry resumes what is running. */
	maxTries: number;
	/** How long cancels may take after the early end of a run. In milliseconds. */
	stopGraceMs: number;
}

/** There are only seconds for all of them. */
const CANCEL_BACKOFF: BackoffRange = { firstMs: 250, longestMs: 1_000 };
/** One try; a cancel may be sent again, because it changes nothing the second time. */
const CANCEL_TRY_MS = 2_000;
/** Kept for a last try when the server asks for a pause that is longer than the time left. */
const LAST_TRY_MS = 1_000;
/** A request whose id arrives at the end of the grace period still gets a cancel. */
const MIN_CANCEL_MS = 1_000;

/** Cancels what a run leaves behind at RunComfy when it ends early: each request once, and at once. */
export class Canceller {
	private readonly cancelling = new Map<string, Promise<void>>();

	/** How many requests it has tried to cancel. */
	get count(): number {
		return this.cancelling.size;
	}

	constructor(private readonly tools: CancelTools) {
		const { signal, stopped } = tools.pool;
		for (const ended of [signal, stopped]) ended.addEventListener('abort', () => this.cancelAll());
		if (signal.aborted) this.cancelAll();
	}

	/** Nothing of the run is under way any more: cancels what came in late, and waits for all answers. */
	async finish(): Promise<void> {
		for (let known = -1; known < this.cancelling.size;) {
			this.cancelAll();
			known = this.cancelling.size;
			// Stop may come meanwhile, and cancels more.
			await Promise.all(this.cancelling.values());
		}
	}

	private cancelAll(): void {
		const { turn, pool, clock, stopGraceMs } = this.tools;
		if (!pool.signal.aborted) return;
		const deadline = Math.max(pool.endedAt + stopGraceMs, clock.now() + MIN_CANCEL_MS);
		// Stop also ends what an earlier try has left, and this one has not resumed.
		const entries = pool.stopped.aborted ? turn.ledger.entriesOf(turn) : turn.current.values();
		for (const entry of entries) {
			const { requestId } = entry;
			if (requestId === undefined || this.cancelling.has(requestId) || !this.shouldCancel(entry)) continue;
			this.cancelling.set(requestId, this.cancel(entry, requestId, deadline));
		}
	}

	private shouldCancel(entry: LedgerEntry): boolean {
		const { turn, pool, requestApiOf, maxTries } = this.tools;
		if (!isAlive(entry) || entry.cancelOutcome !== undefined) return false;
		const isStopped = pool.stopped.aborted;
		// A timeout does not cancel: the item's error has told the user so.
		if (!isStopped && turn.reported.has(entry.requestId ?? '')) return false;
		if (entry.state === 'queued') return true;
		const isResumed = turn.number < maxTries && !isStopped;
		return requestApiOf(entry.endpointId).cancelsRunning && !isResumed;
	}

	private async cancel(entry: LedgerEntry, requestId: string, deadline: number): Promise<void> {
		const { turn, requestApiOf } = this.tools;
		const { ledger } = turn;
		const outcome = await cancelRequest(
			this.tools,
			requestApiOf(entry.endpointId),
			entry,
			requestId,
			deadline,
		);
		if (outcome === 'cancelled') ledger.move(entry, 'cancelled');
		// A parallel call of an agent may have cancelled the same request before.
		else if (isAlive(entry)) ledger.move(entry, entry.state, { cancelOutcome: outcome });
	}
}

/**
 * Cancels one request that nobody waits for any more, as often as it takes until the deadline. One that hangs gives its
 * place to others between its tries.
 * @param deadline by the monotonic clock.
 */
async function cancelRequest(
	{ clock, random, turn }: Pick<CancelTools, 'clock' | 'random' | 'turn'>,
	api: RequestApi,
	entry: LedgerEntry,
	requestId: string,
	deadline: number,
): Promise<CancelOutcome | 'cancelled'> {
	let mayHaveWorked = false;
	const sendOnce = async (): Promise<CancelAnswer | undefined> => {
		const timeoutMs = Math.max(0, Math.min(CANCEL_TRY_MS, deadline - clock.now()));
		const reply = timeoutMs === 0 ? undefined : await api.cancel(requestId, { timeoutMs });
		if (reply?.kind === 'transient' && !reply.tooMany) mayHaveWorked = true;
		return reply;
	};
	const answer = await retry(
		async () => await turn.ledger.cancelSlots.use(sendOnce),
		(reply) => {
			const lastStart = Math.max(0, deadline - clock.now() - LAST_TRY_MS);
			if (reply?.kind === 'transient') return { retryAfterMs: Math.min(reply.retryAfterMs ?? 0, lastStart) };
			const isUnknown = reply?.kind === 'refused' && reply.problem.isNotFound === true;
			return isUnknown && isNewRequest(entry.submittedAt, clock.timeOfDay()) ? {} : undefined;
		},
		{
			random,
			maxTries: Infinity,
			backoff: CANCEL_BACKOFF,
			// At the deadline, the next try ends it without a call.
			pause: async (ms) => await clock.sleep(Math.min(ms, deadline - clock.now())),
		},
	);
	if (answer?.kind !== 'ok') return 'unknown';
	if (answer.value === 'cancelled') return 'cancelled';
	// [assumed] Seen in RunComfy's own clients: accepted, and carried out later.
	if (answer.value === 'cancellation_requested') return 'requested';
	// After a lost answer, “not cancellable” may mean that the first cancel has worked.
	return answer.value === 'not_cancellable' && !mayHaveWorked ? 'notCancellable' : 'unknown';
}
