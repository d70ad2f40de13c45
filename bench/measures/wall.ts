import { setTimeout as sleep } from 'node:timers/promises';

import type { Sandbox } from '../../test/sandbox/sandbox';
import type { VariantName } from '../child';
import { against, quick } from '../options';
import { prepare, SHORT_JOBS, timingsOf } from '../processes';
import { spreadsOf } from '../stats';
import { durationsOf, inOrderMs, lowerBoundMs, promptsOf } from '../workload';

/** Wall time, polls and lateness of whole runs. */

const NODES: VariantName[] = against === undefined ? ['this node'] : ['this node', 'this node, before'];
const LOOPS: VariantName[] = ['one by one, poll every 2 s', 'one by one, poll every 5 s'];
/** Between the starts of concurrent runs, so that their first submits do not coincide. */
const STAGGER_MS = quick ? 100 : 2_500;
/** With as many at once as items, a run's end depends on one poll: more runs, so that chance evens out. */
const MORE_RUNS = { runs: quick ? 1 : 7 };

const USUAL = { timeScale: quick ? 20 : 1, pollSeconds: 1, runs: quick ? 1 : 3 };

type Case = ReturnType<typeof aCase>;
function aCase(variant: VariantName, items: number, concurrency: number, more: Partial<typeof USUAL> = {}) {
	return { variant, items, concurrency, ...USUAL, ...more };
}

export const UP_TO_100 = [
	...[...NODES, 'floor' as const].flatMap((variant) => [
		aCase(variant, 1, 10, MORE_RUNS),
		aCase(variant, 10, 10, MORE_RUNS),
		aCase(variant, 100, 100, MORE_RUNS),
	]),
	...[1, 10].flatMap((items) => LOOPS.map((variant) => aCase(variant, items, 1))),
	...NODES.flatMap((node) => [aCase(node, 100, 10), aCase(node, 100, 10, { pollSeconds: 0.5 })]),
];
/** In batches, one after the other: all of them together would keep both cores busy, and be late because of that. */
export const THOUSAND = [
	[aCase('floor', 1000, 100)],
	...NODES.map((node) => [aCase(node, 1000, 100), aCase(node, 1000, 10, { timeScale: quick ? 50 : 5 })]),
];

/** Side by side: the runs mostly wait, and together leave the machine idle most of the time. */
export async function measureWall(sandbox: Sandbox, cases: Case[]) {
	const ready: Array<Awaited<ReturnType<typeof prepareRun>>> = [];
	// All are loaded before the first one starts.
	for (const one of cases) {
		for (let seed = 1; seed <= one.runs; seed++) ready.push(await prepareRun(sandbox, one, seed));
	}
	const started = ready.map(async (run, index) => {
		await sleep(index * STAGGER_MS);
		return await run();
	});
	const figures = await Promise.all(started);
	return cases.map((one) => ({ ...one, ...spreadsOf(figures.splice(0, one.runs)) }));
}

async function prepareRun(sandbox: Sandbox, one: Case, seed: number) {
	const { variant, items, concurrency, timeScale, pollSeconds } = one;
	const name = [variant, items, concurrency, pollSeconds, seed].join('-');
	const durationsMs = durationsOf(items, seed).map((ms) => Math.round(ms / timeScale));
	const prompts = promptsOf(name, durationsMs);
	const task = { baseUrl: sandbox.url, items: prompts, concurrency, timeScale, pollSeconds };
	const warmUp = LOOPS.includes(variant) ? [] : SHORT_JOBS;
	const run = await prepare({ variant, ...task, warmUp });
	return async () => {
		const { wallMs } = await run();
		return {
			overLongest: wallMs / Math.max(...durationsMs),
			overInOrder: wallMs / inOrderMs(durationsMs, concurrency),
			overBound: wallMs / lowerBoundMs(durationsMs, concurrency),
			...timingsOf(sandbox, name, durationsMs),
		};
	};
}
