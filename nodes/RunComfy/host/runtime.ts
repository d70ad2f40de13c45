import { sleep } from 'n8n-workflow';

import { DEFAULT_CALL_TIMEOUTS, type CallTimeouts } from '../api/client';
import { DOWNLOAD_IDLE_MS } from '../files/download';
import type { Clock, Random } from '../common/clock';
import { STOP_GRACE_MS } from '../jobs/run';

/** What the node uses besides n8n: time, randomness, and timeouts. Tests pass their own. */
export interface Runtime {
	clock: Clock;
	random: Random;
	callTimeouts: CallTimeouts;
	stopGraceMs: number;
	downloadIdleMs: number;
}

/** n8n-workflow's `sleep`: up to version 2.33 it ignores the signal; from 2.34 it rejects when the signal is aborted. */
type HostSleep = (ms: number, signal?: AbortSignal) => Promise<void>;

/**
 * A node may not clear timers itself, and old versions of n8n have no `sleep` that can be aborted. Sleeping in slices of
 * this length ends the last timer within this time after Stop.
 */
const SLICE_MS = 1_000;

/** Wraps the `sleep` of any version of n8n: the result ends as soon as the signal is aborted, and never rejects. */
export function abortableSleep(hostSleep: HostSleep): Clock['sleep'] {
	const sleepSlice = async (ms: number, signal: AbortSignal | undefined): Promise<void> => {
		if (signal === undefined) return await hostSleep(ms);
		let onAbort = () => {};
		const aborted = new Promise<void>((resolve) => {
			onAbort = resolve;
			signal.addEventListener('abort', onAbort, { once: true });
		});
		try {
			await Promise.race([hostSleep(ms, signal).catch(() => {}), aborted]);
		} finally {
			signal.removeEventListener('abort', onAbort);
		}
	};
	return async (ms, signal) => {
		const end = performance.now() + ms;
		for (let left = ms; left > 0 && signal?.aborted !== true; left = end - performance.now()) {
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
