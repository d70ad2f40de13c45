import { RunComfyError } from '../api/problems';
import { phaseOf } from '../api/responses';
import { backoffMs, ERROR_BACKOFF } from '../common/retry';
import { lookOnce } from './look';
import type { ItemWork, Operation } from './operation';
import { readRequestId } from './parameters';
import { requestIdField } from './requestIdField';

const MAX_TRIES = 3;
const CANCELLED = 'cancelled';
const NOT_CANCELLABLE = 'not_cancellable';

/** Cancels a queued request, and says truthfully when that was not possible. */
export const cancel: Operation = {
	fields: [requestIdField],

	async prepare({ context }, itemIndex) {
		const requestId = readRequestId(context, itemIndex);
		const work: ItemWork['run'] = async ({ run }) => {
			const { client, random } = run.dependencies;
			const toOutput = (outcome: string) => ({
				json: { requestId, cancelled: outcome === CANCELLED, outcome },
			});
			for (let tries = 1; ; tries++) {
				run.throwIfEnded();
				const answer = await run.call(
					async () => await client.cancel(requestId),
					() => 'ok',
				);
				if (answer.kind === 'refused') throw new RunComfyError(answer.problem);
				if (answer.kind === 'outcome') {
					// A cancel whose answer got lost may have worked: then the repeated one finds nothing to cancel.
					if (tries === 1 || answer.outcome !== NOT_CANCELLABLE) return toOutput(answer.outcome);
				}
				const { phase } = await lookOnce(
					run,
					requestId,
					async (look) => await client.getStatus(requestId, look),
				);
				if (phase === phaseOf(CANCELLED)) return toOutput(CANCELLED);
				if (phase !== 'queued' || answer.kind === 'outcome') return toOutput(NOT_CANCELLABLE);
				if (tries >= MAX_TRIES) {
					throw new RunComfyError({
						kind: 'unavailable',
						message: `RunComfy request ${requestId} could not be cancelled: ${answer.why}`,
						advice: 'It is still queued. Run this operation again.',
						requestId,
					});
				}
				await run.pause(backoffMs(tries, ERROR_BACKOFF, random));
			}
		};
		return { run: work };
	},
};
