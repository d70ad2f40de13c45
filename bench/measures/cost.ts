import type { ContestantName } from '../contestantChild';
import { jobsOf, runContestant, type SandboxProcess } from '../processes';
import { mean, spreadOf, type Spread } from '../stats';
import { durationsOf } from '../workload';

/** What the work itself costs the machine, waiting left out: one process after the other, nothing beside it. */
export interface CostResult {
	contestant: ContestantName;
	items: number;
	cpuMsPerItem: Spread;
	rssGrowthMegabytes: Spread;
	looksPerJob: Spread;
	/** Counted in runs of their own, because counting takes time. */
	allocatedKilobytesPerItem?: Spread;
}

const CONCURRENCY = 100;
/** Jobs of 0.8 to 1.6 seconds: CPU time does not depend on how long one waits in between. */
const TIME_SCALE = 10;

export async function measureCost(
	sandbox: SandboxProcess,
	contestant: ContestantName,
	items: number,
	repeats: number,
	countAllocations: boolean,
): Promise<CostResult> {
	const durationsMs = durationsOf(items, 3).map((ms) => Math.round(ms / TIME_SCALE));
	const once = async (counting: boolean, repeat: number) => {
		const run = `cost-${contestant}-${items}-${counting ? 'counting' : 'timing'}-${repeat}`;
		const task = { baseUrl: sandbox.url, concurrency: CONCURRENCY, timeScale: TIME_SCALE, pollSeconds: 1 };
		const workload = { run, durationsMs };
		const report = await runContestant({ contestant, ...task, workload, countAllocations: counting });
		const jobs = await jobsOf(sandbox, run);
		return { ...report, looksPerJob: mean(jobs.map(({ looks }) => looks)) };
	};
	const timed = [];
	const counted: number[] = [];
	for (let repeat = 0; repeat < repeats; repeat++) {
		timed.push(await once(false, repeat));
	}
	if (countAllocations) counted.push((await once(true, 0)).allocatedBytes ?? NaN);
	return {
		contestant,
		items,
		cpuMsPerItem: spreadOf(timed.map(({ cpuMs }) => cpuMs / items)),
		rssGrowthMegabytes: spreadOf(timed.map(({ rssGrowthBytes }) => rssGrowthBytes / 1_000_000)),
		looksPerJob: spreadOf(timed.map(({ looksPerJob }) => looksPerJob)),
		...(counted.length === 0
			? {}
			: { allocatedKilobytesPerItem: spreadOf(counted.map((bytes) => bytes / items / 1000)) }),
	};
}
