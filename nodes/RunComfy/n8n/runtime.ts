import { sleep } from 'n8n-workflow';

import { type CallTimeouts, DEFAULT_CALL_TIMEOUTS } from '../api/http';
import { DOWNLOAD_IDLE_MS } from '../files/download';
import { STOP_GRACE_MS } from '../jobs/pool';
import type { Clock, Random, Signal } from '../util/time';

/** What the node uses besides n8n: time, randomness, and timeouts. Tests pass their own. */
export interface Runtime {
	clock: Clock;
	random: Random;
	callTimeouts: CallTimeouts;
	stopGraceMs: number;
	downloadIdleMs: number;
}

/** A node may not clear timers, so Stop leaves one behind. Sleeping in slices ends it within this time. */
const SLICE_MS = 1_000;

/** n8n-workflow's `sleep`, made to end as soon as a signal is aborted. */
export function abortableSleep(hostSleep: (ms: number) => Promise<void>): Clock['sleep'] {
	const sleepSlice = async (ms: number, signal: Signal): Promise<void> =>
		await new Promise((resolve) => {
			const done = () => {
				signal.removeEventListener('abort', done);
				resolve();
			};
			signal.addEventListener('abort', done);
			void hostSleep(ms).then(done);
		});
	return async (ms, signal) => {
		if (signal === undefined) return await hostSleep(ms);
		const end = performance.now() + ms;
		// A timer may end a little early; the rest is not worth another one.
		for (let left = ms; left > 0 && !signal.aborted; left = Math.trunc(end - performance.now())) {
			await sleepSlice(Math.min(left, SLICE_MS), signal);
		}
	};
}

export const systemRuntime: Runtime = {
	clock: { now: () => performance.now(), timeOfDay: () => Date.now(), sleep: abortableSleep(sleep) },
	random: Math.random,
	callTimeouts: DEFAULT_CALL_TIMEOUTS,
	stopGraceMs: STOP_GRACE_MS,
	downloadIdleMs: DOWNLOAD_IDLE_MS,
};
