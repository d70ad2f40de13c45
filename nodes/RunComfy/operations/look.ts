import type { LookOptions } from '../api/client';
import { RunComfyError } from '../api/problems';
import type { LookAnswer } from '../api/responses';
import { judgeLook } from '../jobs/job';
import type { Run } from '../jobs/run';
import { backoffMs, ERROR_BACKOFF } from '../common/retry';

/** A single look is still worth a few tries: it is free, and most faults pass. */
const MAX_TRIES = 4;

/**
 * One look at a request, repeated only after passing faults.
 * @throws RunComfyError with the request id; RunEndedError.
 */
export async function lookOnce(
	run: Run,
	requestId: string,
	look: (options: LookOptions) => Promise<LookAnswer>,
): Promise<Extract<LookAnswer, { kind: 'state' }>> {
	const { random } = run.dependencies;
	for (let tries = 1; ; tries++) {
		const answer = await run.call(
			async () => await run.untilEnd(async (signal) => await look({ signal })),
			judgeLook,
		);
		run.throwIfEnded();
		if (answer.kind === 'state') return answer;
		if (answer.kind !== 'again') throw new RunComfyError(answer.problem);
		if (tries >= MAX_TRIES) {
			throw new RunComfyError({
				kind: 'unavailable',
				message: `RunComfy request ${requestId} could not be looked at: ${answer.why}`,
				advice: 'Looking is free and changes nothing: try again later.',
				requestId,
			});
		}
		await run.pause(backoffMs(tries, ERROR_BACKOFF, random));
	}
}
