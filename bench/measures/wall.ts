import type { ContestantName, ContestantReport } from '../contestantChild';
import { jobsOf, prepareContestant, type ReadyContestant, type SandboxProcess } from '../processes';
import { mean, spreadOf, type Spread } from '../stats';
import { durationsOf, inOrderMs, lowerBoundMs } from '../workload';

/** One contestant with so many items; run once for each seed. */
export interface Cell {
	contestant: ContestantName;
	items: number;
	concurrency: number;
	timeScale: number;
	pollSeconds?: number;
	/** Instead of those of the whole measurement. */
	seeds?: number[];
}

export interface CellResult extends Cell {
	/** Wall time over the longest job. */
	overLongest: Spread;
	/** Wall time over that of the same slots in the items' order, with nobody ever late. */
	overInOrder: Spread;
	/** Wall time over a bound that no schedule can beat, not even one that knows all durations. */
	overBound: Spread;
	looksPerJob: Spread;
	/** Mean over the jobs, as a share of the mean duration. */
	lateness: Spread;
}

/**
 * Runs all cells for all seeds side by side: they mostly wait, and together leave the machine idle most of the time.
 * Nothing is measured before everything is loaded.
 */
export async function measureWall(
	sandbox: SandboxProcess,
	cells: Cell[],
	{ seeds, staggerMs }: { seeds: number[]; staggerMs: number },
	tell: (line: string) => void,
): Promise<CellResult[]> {
	const runs: Array<{ cell: Cell; run: string; durationsMs: number[]; ready: ReadyContestant }> = [];
	for (const cell of cells) {
		for (const seed of cell.seeds ?? seeds) {
			const { contestant, items, concurrency, timeScale, pollSeconds = 1 } = cell;
			const run = [contestant, items, concurrency, pollSeconds, seed].join('-');
			const durationsMs = durationsOf(items, seed).map((ms) => Math.round(ms / timeScale));
			const workload = { run, durationsMs };
			const task = { baseUrl: sandbox.url, workload, concurrency, timeScale, pollSeconds };
			runs.push({ cell, run, durationsMs, ready: await prepareContestant({ contestant, ...task }) });
		}
	}
	tell(`${runs.length} runs side by side`);
	const figures = await Promise.all(
		runs.map(async ({ cell, run, durationsMs, ready }, index) => {
			await new Promise((resolve) => setTimeout(resolve, index * staggerMs));
			const report = await ready.run();
			return { cell, ...(await figuresOf(sandbox, cell, run, durationsMs, report)) };
		}),
	);
	return cells.map((cell) => {
		const own = figures.filter((figure) => figure.cell === cell);
		return {
			...cell,
			overLongest: spreadOf(own.map(({ overLongest }) => overLongest)),
			overInOrder: spreadOf(own.map(({ overInOrder }) => overInOrder)),
			overBound: spreadOf(own.map(({ overBound }) => overBound)),
			looksPerJob: spreadOf(own.map(({ looksPerJob }) => looksPerJob)),
			lateness: spreadOf(own.map(({ lateness }) => lateness)),
		};
	});
}

async function figuresOf(
	sandbox: SandboxProcess,
	{ concurrency, contestant }: Cell,
	run: string,
	durationsMs: number[],
	{ wallMs }: ContestantReport,
) {
	const jobs = await jobsOf(sandbox, run);
	if (jobs.length !== durationsMs.length) throw new Error(`${run}: ${jobs.length} jobs`);
	const slots = contestant.startsWith('sequential') ? 1 : concurrency;
	return {
		overLongest: wallMs / Math.max(...durationsMs),
		overInOrder: wallMs / inOrderMs(durationsMs, slots),
		overBound: wallMs / lowerBoundMs(durationsMs, slots),
		looksPerJob: mean(jobs.map(({ looks, statusLooks }) => looks + statusLooks)),
		lateness: mean(jobs.map(({ deliveredAt = NaN, endsAt }) => deliveredAt - endsAt)) / mean(durationsMs),
	};
}
