import type { Sandbox } from '../../test/sandbox/sandbox';
import type { VariantName } from '../child';
import { against, quick } from '../options';
import { finishedRequests, measure, prepare, startSandbox, timingsOf } from '../processes';
import { spreadOf, spreadsOf, type Spread } from '../stats';
import { durationsOf, promptsOf } from '../workload';

/** CPU time and memory, waiting left out. */
const REPEATS = quick ? 1 : 5;
const ITEMS = quick ? 100 : 1000;
const GROWTH_ITEMS = quick ? [50, 100] : [250, 500, 1000, 2000];
const POLLS = quick ? 200 : 4000;
/** Jobs of 0.8 to 1.6 seconds: CPU time does not depend on how long one waits in between. */
const TIME_SCALE = 10;
/** Items done beforehand: in an n8n that has run for long, all code is compiled; in one that has just started, little is. */
const LONG_RUNNING = quick ? 50 : 1000;
const JUST_STARTED = 20;

/** CPU milliseconds of one poll, by what makes the call; one process after the other. */
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
export async function measureCost() {
	const loop = ['polls by n8n, every 2 s'] as const;
	const nodes =
		against === undefined ? (['this node'] as const) : (['this node', 'this node, before'] as const);
	return [
		...(await costsOf(['floor', 'the floor’s calls by n8n'], ITEMS, LONG_RUNNING)),
		...(await costsOf([...loop, ...nodes], ITEMS, LONG_RUNNING)),
		...(await costsOf([...loop, ...nodes], ITEMS, JUST_STARTED)),
	];
}

/** The same by the number of items; in an n8n that has just started, whose memory is still small. */
export async function measureGrowth() {
	const growth = [];
	for (const items of GROWTH_ITEMS) {
		growth.push(...(await costsOf(['this node'], items, JUST_STARTED, quick ? 1 : 2)));
	}
	return growth;
}

/** Each variant's figures over some rounds, and what one of its calls costs compared with one of the first variant. */
async function costsOf(variants: VariantName[], items: number, itemsBefore: number, repeats = REPEATS) {
	const rounds: Round[] = [];
	while (rounds.length < repeats) rounds.push(await runTogether(variants, items, itemsBefore));
	// Counted in a run of its own, because counting takes time.
	const counted = await runTogether(variants, items, itemsBefore, true);
	return variants.map((variant, index) => {
		const runs = rounds.map((round) => {
			const { cpuMsPerItem, rssGrowthMegabytes, pollsPerJob } = pick(round, index);
			const callOverFirst = cpuOfCall(pick(round, index)) / cpuOfCall(pick(round, 0));
			return { cpuMsPerItem, rssGrowthMegabytes, pollsPerJob, callOverFirst };
		});
		const { allocatedKilobytesPerItem } = pick(counted, index);
		return { variant, items, itemsBefore, ...spreadsOf(runs), allocatedKilobytesPerItem };
	});
}

type Round = Awaited<ReturnType<typeof runTogether>>;

/** An item's calls are its polls and one submit. */
function cpuOfCall({ cpuMsPerItem, pollsPerJob }: Round[number]): number {
	return cpuMsPerItem / (pollsPerJob + 1);
}

/**
 * One run of each variant, all at the same time: two processes on one core, or a busy host, slow a variant by up to a
 * half, and here they slow all alike. The sandbox is new: connections to one that had thousands lately cost more.
 */
async function runTogether(
	variants: VariantName[],
	items: number,
	itemsBefore: number,
	countAllocations = false,
) {
	const sandbox = await startSandbox();
	const durationsMs = durationsOf(items, 3).map((ms) => Math.round(ms / TIME_SCALE));
	const warmUp = promptsOf('warm-up', durationsOf(itemsBefore, 1, 1, 40));
	const task = { baseUrl: sandbox.url, concurrency: 100, timeScale: TIME_SCALE, warmUp, countAllocations };
	const runs = [];
	for (const variant of variants) {
		runs.push(await prepare({ variant, items: promptsOf(variant, durationsMs), ...task }));
	}
	const reports = await Promise.all(runs.map(async (run) => await run()));
	const figures = reports.map(({ cpuMs, rssGrowthBytes, allocatedBytes }, index) => ({
		cpuMsPerItem: cpuMs / items,
		rssGrowthMegabytes: rssGrowthBytes / 1e6,
		allocatedKilobytesPerItem: allocatedBytes / items / 1000,
		pollsPerJob: timingsOf(sandbox, variants[index] ?? '', durationsMs).pollsPerJob,
	}));
	await sandbox.close();
	return figures;
}

function pick<T>(list: T[], index: number): T {
	const value = list[index];
	if (value === undefined) throw new Error(`There is no measurement ${index}`);
	return value;
}
