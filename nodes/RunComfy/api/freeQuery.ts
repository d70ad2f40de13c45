import { StoppedError } from '../util/errors';
import { retry } from '../util/retry';
import type { Clock, Random, Signal } from '../util/time';
import type { RunComfyClient } from './client';
import { RunComfyError } from './problems';
import type { QueryAnswer } from './query';

/**
 * Makes a free query, and repeats it after transient errors.
 * @throws RunComfyError, StoppedError.
 */
export type FreeQuery = <T>(
	send: (client: RunComfyClient, signal: Signal | undefined) => Promise<QueryAnswer<T>>,
) => Promise<T>;

interface FreeQueryDependencies {
	client: RunComfyClient;
	clock: Clock;
	random: Random;
	/** n8n's Stop; undefined where the host has none. */
	stopSignal: Signal | undefined;
}

const MAX_TRIES = 4;

export function createFreeQuery({ client, clock, random, stopSignal }: FreeQueryDependencies): FreeQuery {
	return async (send) => {
		const answer = await retry(
			async () => {
				const received = await send(client, stopSignal);
				if (received.kind !== 'found' && stopSignal?.aborted === true) throw new StoppedError('', false);
				return received;
			},
			(received) => (received.kind === 'again' ? received : undefined),
			{ clock, random, maxTries: MAX_TRIES, pause: async (ms) => await clock.sleep(ms, stopSignal) },
		);
		if (answer.kind === 'found') return answer.value;
		if (answer.kind === 'refused') throw new RunComfyError(answer.problem);
		throw new RunComfyError({
			message: `${answer.what}: ${answer.why}`,
			advice: 'Nothing was submitted. Try again later.',
		});
	};
}
