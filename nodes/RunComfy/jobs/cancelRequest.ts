import { type BackoffRange, retry } from '../util/retry';
import type { Slots } from '../util/slots';
import type { Clock, Random } from '../util/time';
import { isNewRequest } from './job';
import type { CancelOutcome, LedgerEntry } from './ledger';
import type { RequestApi } from './types';

/** There are only seconds for all of them. */
const CANCEL_BACKOFF: BackoffRange = { firstMs: 250, longestMs: 1_000 };
/** One try; a cancel may be sent again, because it changes nothing the second time. */
const CANCEL_TRY_MS = 2_000;
/** Kept for a last try when the server asks for a pause that is longer than the time left. */
const LAST_TRY_MS = 1_000;

/**
 * Cancels one request that nobody waits for any more, as often as it takes until the deadline.
 * @param slots bound how many are sent at once; one that hangs gives its place to others between its tries.
 * @param deadline by the monotonic clock.
 */
export async function cancelRequest(
	{ clock, random }: { clock: Clock; random: Random },
	api: RequestApi,
	entry: Pick<LedgerEntry, 'submittedAt'>,
	requestId: string,
	slots: Slots,
	deadline: number,
): Promise<CancelOutcome> {
	let mayHaveWorked = false;
	const answer = await retry(
		async () =>
			await slots.use(async () => {
				const timeoutMs = Math.max(0, Math.min(CANCEL_TRY_MS, deadline - clock.now()));
				const reply = timeoutMs === 0 ? undefined : await api.cancel(requestId, { timeoutMs });
				if (reply?.kind === 'again' && !reply.tooMany) mayHaveWorked = true;
				return reply;
			}),
		(reply) => {
			const lastStart = Math.max(0, deadline - clock.now() - LAST_TRY_MS);
			if (reply?.kind === 'again') return { retryAfterMs: Math.min(reply.retryAfterMs ?? 0, lastStart) };
			const isUnknownYet = reply?.kind === 'notFound' && isNewRequest(entry.submittedAt, clock.timeOfDay());
			return isUnknownYet ? {} : undefined;
		},
		{
			clock,
			random,
			maxTries: Infinity,
			deadline,
			backoff: CANCEL_BACKOFF,
			pause: async (ms) => await clock.sleep(ms),
		},
	);
	if (answer?.kind !== 'outcome') return 'unknown';
	if (answer.outcome === 'cancelled') return 'cancelled';
	// [assumed] Seen in RunComfy's own clients: accepted, and carried out later.
	if (answer.outcome === 'cancellation_requested') return 'requested';
	// After a lost answer, “not cancellable” may mean that the first cancel has worked.
	return answer.outcome === 'not_cancellable' && !mayHaveWorked ? 'notCancellable' : 'unknown';
}
