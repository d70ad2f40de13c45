import { RunComfyError } from '../../api/problems';
import type { CancelAnswer } from '../../api/responses';
import type { Run } from '../../jobs/run';
import type { RequestApi } from '../../jobs/types';
import { retry } from '../../util/retry';
import type { Operation } from '../shared/operation';
import { pollOnce } from '../shared/pollOnce';
import { readRequest, requestFields } from '../shared/requestFields';

const MAX_TRIES = 4;
const CANCELLED = 'cancelled';
const NOT_CANCELLABLE = 'not_cancellable';

/** Cancels a request that is queued, or of a deployment also running, and reports whether it was cancelled. */
export const cancel: Operation = {
	fields: requestFields,

	async prepare(tools, itemIndex) {
		const { requestId, api } = readRequest(tools, itemIndex);
		return {
			run: async ({ run }) => {
				const outcome = await cancelOnce(run, api, requestId);
				return { json: { requestId, cancelled: outcome === CANCELLED, outcome } };
			},
		};
	},
};

/**
 * @returns RunComfy's word for the outcome.
 * @throws RunComfyError with the request ID; RunEndedError.
 */
async function cancelOnce(run: Run, api: RequestApi, requestId: string): Promise<string> {
	const { clock, random } = run.dependencies;
	let tries = 0;
	const answer = await retry(
		async () => {
			tries++;
			const sent = await run.call(
				async () => await api.cancel(requestId),
				({ kind, ...rest }: CancelAnswer & { tooMany?: boolean; retryAfterMs?: number | undefined }) =>
					kind === 'again' && rest.tooMany === true
						? { tooMany: true, retryAfterMs: rest.retryAfterMs }
						: 'ok',
			);
			if (sent.kind === 'refused') throw new RunComfyError(sent.problem);
			// A new request may not be found yet.
			if (sent.kind === 'notFound') return sent;
			// When the answer to a cancel was lost, it may have worked: then the repeated one finds nothing to cancel.
			if (sent.kind === 'outcome' && (tries === 1 || sent.outcome !== NOT_CANCELLABLE)) return sent;
			const { phase } = await pollOnce(
				run,
				requestId,
				async (options) => await api.getStatus(requestId, options),
			);
			if (phase === 'cancelled') return { kind: 'outcome', outcome: CANCELLED } as const;
			const canBeCancelled = phase === 'queued' || (phase === 'running' && api.cancelsRunning);
			const isOver = !canBeCancelled || sent.kind === 'outcome';
			return isOver ? ({ kind: 'outcome', outcome: NOT_CANCELLABLE } as const) : sent;
		},
		(sent) => (sent.kind === 'again' ? sent : sent.kind === 'notFound' ? {} : undefined),
		{ clock, random, maxTries: MAX_TRIES, pause: async (ms) => await run.pause(ms) },
	);
	if (answer.kind === 'outcome') return answer.outcome;
	if (answer.kind === 'notFound') throw new RunComfyError(answer.problem);
	throw new RunComfyError({
		message: `RunComfy request ${requestId} could not be cancelled: ${answer.why}`,
		advice: 'It is still queued or running. Run this operation again.',
		requestId,
	});
}
