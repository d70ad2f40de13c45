import { sleep } from 'n8n-workflow';

import { DEFAULT_CALL_TIMEOUTS, type CallTimeouts } from '../api/client';
import { DOWNLOAD_IDLE_MS } from '../files/download';
import type { Clock, Random } from '../jobs/clock';
import { STOP_GRACE_MS } from '../jobs/run';

/** What the node takes from the outside world besides n8n itself. */
export interface Runtime {
	clock: Clock;
	random: Random;
	callTimeouts: CallTimeouts;
	stopGraceMs: number;
	downloadIdleMs: number;
}

/**
 * Up to n8n-workflow 2.33 `sleep` cannot be aborted, and a node may not clear timers itself. Sleeping in slices, no
 * timer outlives a Stop by more than this.
 */
const SLICE_MS = 1_000;

async function sleepAbortable(ms: number, signal?: AbortSignal): Promise<void> {
	const end = Date.now() + ms;
	for (let left = ms; left > 0 && signal?.aborted !== true; left = end - Date.now()) {
		await sleepSlice(Math.min(left, SLICE_MS), signal);
	}
}

async function sleepSlice(ms: number, signal: AbortSignal | undefined): Promise<void> {
	if (signal === undefined) return await sleep(ms);
	let onAbort = () => {};
	const aborted = new Promise<void>((resolve) => {
		onAbort = resolve;
		signal.addEventListener('abort', onAbort, { once: true });
	});
	try {
		// From 2.34 on, `sleep` rejects on abort; to this caller both ways of ending are the same.
		await Promise.race([sleep(ms, signal).catch(() => {}), aborted]);
	} finally {
		signal.removeEventListener('abort', onAbort);
	}
}

export const systemRuntime: Runtime = {
	clock: { now: () => Date.now(), sleep: sleepAbortable },
	random: Math.random,
	callTimeouts: DEFAULT_CALL_TIMEOUTS,
	stopGraceMs: STOP_GRACE_MS,
	downloadIdleMs: DOWNLOAD_IDLE_MS,
};
