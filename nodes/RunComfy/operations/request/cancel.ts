import type { CancelAnswer, RequestApi } from '../../api/answers';
import { pollOnce, retryFree, type WaitTools } from '../../jobs/wait';
import type { FreeOperation } from '../operation';
import { readRequest, requestFields } from '../requestFields';

const CANCELLED = 'cancelled';
const NOT_CANCELLABLE = 'not_cancellable';

/** Cancels a request that is queued, or of a deployment also running, and reports whether it was cancelled. */
export const cancel: FreeOperation = {
	name: 'Cancel',
	action: 'Cancel request',
	description:
		'Cancel a request that is still queued. A running request can be cancelled only if it belongs to a ComfyUI deployment.',
	fields: requestFields,

	async run(tools, item) {
		const { requestId, api } = readRequest(tools, item);
		const outcome = await cancelOnce(tools, api, requestId);
		return { json: { requestId, cancelled: outcome === CANCELLED, outcome } };
	},
};

/**
 * @returns RunComfy's word for the outcome.
 * @throws RunComfyError with the request ID; RunEndedError.
 */
async function cancelOnce(tools: WaitTools, api: RequestApi, requestId: string): Promise<string> {
	const { pool, throttle } = tools;
	let tries = 0;
	const ok = (value: string): CancelAnswer => ({ kind: 'ok', value });
	const call = async (): Promise<CancelAnswer> => {
		tries++;
		const sent = await throttle.call(async () => await api.cancel(requestId));
		pool.throwIfEnded();
		if (sent.kind === 'refused') return sent;
		// When the answer to a cancel was lost, it may have worked: then the repeated one finds nothing to cancel.
		if (sent.kind === 'ok' && (tries === 1 || sent.value !== NOT_CANCELLABLE)) return sent;
		const poll = await pollOnce(tools, requestId, async (options) => await api.getStatus(requestId, options));
		if (poll.phase === 'cancelled') return ok(CANCELLED);
		const canBeCancelled = poll.phase === 'queued' || (poll.phase === 'running' && api.cancelsRunning);
		return !canBeCancelled || sent.kind === 'ok' ? ok(NOT_CANCELLABLE) : sent;
	};
	return await retryFree(tools, call, (why) => ({
		message: `RunComfy request ${requestId} could not be cancelled: ${why}`,
		advice: 'It is still queued or running. Run this operation again.',
		requestId,
	}));
}
