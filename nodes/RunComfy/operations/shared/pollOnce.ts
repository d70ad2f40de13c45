import type { CallOptions } from '../../api/client';
import { RunComfyError } from '../../api/problems';
import type { PollAnswer } from '../../api/responses';
import { judgePoll } from '../../jobs/job';
import type { Run } from '../../jobs/run';
import { retry } from '../../util/retry';

/** A poll is free and most errors are transient, so it is repeated a few times. */
const MAX_TRIES = 4;

/**
 * Polls a request once; repeats the poll only after transient errors. RunComfy may need a moment until a new request can
 * be found [assumed], and how old this one is is not known: “not found” counts as transient.
 * @throws RunComfyError with the request ID; RunEndedError.
 */
export async function pollOnce(
	run: Run,
	requestId: string,
	poll: (options: CallOptions) => Promise<PollAnswer>,
): Promise<Extract<PollAnswer, { kind: 'state' }>> {
	const { signal } = run;
	const { clock, random } = run.dependencies;
	const answer = await retry(
		async () => {
			const polled = await run.call(async () => await poll({ signal }), judgePoll);
			run.throwIfEnded();
			return polled;
		},
		(polled) => (polled.kind === 'again' ? polled : polled.kind === 'notFound' ? {} : undefined),
		{ clock, random, maxTries: MAX_TRIES, pause: async (ms) => await run.pause(ms) },
	);
	if (answer.kind === 'state') return answer;
	if (answer.kind !== 'again') throw new RunComfyError(answer.problem);
	throw new RunComfyError({
		message: `The status of RunComfy request ${requestId} could not be read: ${answer.why}`,
		advice: 'Try again later. Reading the status is free and does not change the request.',
		requestId,
	});
}
