import type { Sandbox } from '../../test/sandbox/sandbox';
import type { VariantName } from '../child';
import { against, quick } from '../options';
import { finishedRequests, measure, SHORT_JOBS, timingsOf } from '../processes';
import { spreadOf, spreadsOf, type Spread } from '../stats';
import { durationsOf, promptsOf } from '../workload';

/** CPU time and memory, waiting left out: one process after the other, nothing beside it. */
const REPEATS = quick ? 1 : 3;
const ITEMS = quick ? 100 : 1000;
const GROWTH_ITEMS = quick ? [50, 100] : [250, 500, 1000, 2000];
const POLLS = quick ? 200 : 4000;
/** Jobs of 0.8 to 1.6 seconds: CPU time does not depend on how long one waits in between. */
const TIME_SCALE = 10;

/** CPU milliseconds of one poll, by what makes the call. */
export async function measureCalls(sandbox: Sandbox) {
	const [id = ''] = await finishedRequests(sandbox, 1);
	const polls = (count: number) => new Array<string>(count).fill(id);
	const task = { baseUrl: sandbox.url, items: polls(POLLS), concurrency: 20, warmUp: polls(300) };
	const costOfPoll = async (variant: VariantName): Promise<Spread> => {
		const costs: number[] = [];
		while (costs.length < REPEATS) costs.push((await measure({ variant, ...task })).cpuMs / POLLS);
		return spreadOf(costs);
	};
	return {
		undici: await costOfPoll('polls by undici'),
		fresh: await costOfPoll('polls by undici, new connections'),
		helper: await costOfPoll('polls by n8n'),
	};
}

/** CPU time and memory of an item. */
export async function measureCost(sandbox: Sandbox) {
	return {
		floor: await costOf(sandbox, 'floor'),
		callsOnly: await costOf(sandbox, 'the floor’s calls by n8n'),
		loop: await costOf(sandbox, 'polls by n8n, every 2 s'),
		node: await costOf(sandbox, 'this node'),
		...(against === undefined ? {} : { before: await costOf(sandbox, 'this node, before') }),
	};
}

/** The same by the number of items. */
export async function measureGrowth(sandbox: Sandbox) {
	const growth = [];
	for (const items of GROWTH_ITEMS) growth.push(await costOf(sandbox, 'this node', items, quick ? 1 : 2));
	return growth;
}

async function costOf(sandbox: Sandbox, variant: VariantName, items = ITEMS, repeats = REPEATS) {
	const durationsMs = durationsOf(items, 3).map((ms) => Math.round(ms / TIME_SCALE));
	const run = async (countAllocations: boolean) => {
		const name = `${variant}-${sandbox.jobs.length}`;
		const task = { baseUrl: sandbox.url, items: promptsOf(name, durationsMs), concurrency: 100 };
		const how = { timeScale: TIME_SCALE, warmUp: SHORT_JOBS, countAllocations };
		const report = await measure({ variant, ...task, ...how });
		return { ...report, ...timingsOf(sandbox, name, durationsMs) };
	};
	const timed: Array<Record<'cpuMsPerItem' | 'rssGrowthMegabytes' | 'pollsPerJob', number>> = [];
	while (timed.length < repeats) {
		const { cpuMs, rssGrowthBytes, pollsPerJob } = await run(false);
		timed.push({ cpuMsPerItem: cpuMs / items, rssGrowthMegabytes: rssGrowthBytes / 1e6, pollsPerJob });
	}
	// Counted in a run of its own, because counting takes time.
	const { allocatedBytes } = await run(true);
	return { variant, items, ...spreadsOf(timed), allocatedKilobytesPerItem: allocatedBytes / items / 1000 };
}
