import type { CallWay } from './callsChild';
import type { CostResult } from './measures/cost';
import type { DownloadsResult } from './measures/downloads';
import type { HandBuiltResult } from './measures/handBuilt';
import type { SchedulePoint } from './measures/schedules';
import type { StartResult } from './measures/start';
import type { Cell, CellResult } from './measures/wall';
import { drawCost, drawGrowth, drawSchedules, drawWall, type WallPoint } from './plots';
import { show, type Spread } from './stats';

/** Everything that one run has measured. */
export interface Figures {
	machine: { cpu: string; cores: number; gigabytes: number; node: string; n8n: string; date: string };
	seeds: number[];
	wall: CellResult[];
	handBuilt: HandBuiltResult[];
	schedules: SchedulePoint[];
	calls: Record<CallWay, Spread>;
	cost: Record<'floor' | 'callsOnly' | 'node', CostResult>;
	growth: CostResult[];
	start: StartResult;
	downloads: DownloadsResult;
}

const NAMES: Record<Cell['contestant'], string> = {
	runComfyNode: 'this node',
	floor: 'floor: undici that knows each end',
	sequential2s: 'one by one, look every 2 s',
	sequential5s: 'one by one, look every 5 s',
	callsOnly: 'n8n’s request alone',
};
const HAND_NAMES: Record<HandBuiltResult['shape'], string> = {
	oneByOne: 'by hand in n8n, Loop Over Items',
	together: 'by hand in n8n, all items together',
};

function nameOf({ contestant, concurrency }: Cell): string {
	return contestant === 'runComfyNode' && concurrency === 100
		? 'this node, 100 at once'
		: contestant === 'runComfyNode'
			? 'this node, 10 at once'
			: NAMES[contestant];
}

/** The pictures by file name. */
export async function drawFigures(figures: Figures): Promise<Record<string, string>> {
	const points: WallPoint[] = figures.wall
		.filter(({ pollSeconds }) => pollSeconds === 1)
		.flatMap((cell) => {
			const point = { items: cell.items, overLongest: cell.overLongest.median };
			const names = [nameOf(cell)];
			// Up to ten items, ten at once and a hundred at once are the same.
			if (cell.contestant === 'runComfyNode' && cell.items <= 10) names.push('this node, 100 at once');
			return names
				.filter((name) => !(cell.contestant === 'floor' && cell.items === 1000) || name === '')
				.map((contestant) => ({ contestant, ...point }));
		});
	for (const { shape, items, overLongest } of figures.handBuilt) {
		points.push({ contestant: HAND_NAMES[shape], items, overLongest });
	}
	const wallOrder = [
		'this node, 100 at once',
		'this node, 10 at once',
		NAMES.floor,
		NAMES.sequential2s,
		NAMES.sequential5s,
		HAND_NAMES.oneByOne,
	];
	const scheduleOrder = [
		'this node, later jobs of a run',
		'this node, first jobs of a run',
		'same pause always',
		'pauses grow by 3 %',
		'pauses grow by 15 %',
	];
	const { floor, callsOnly, node } = figures.cost;
	const base = floor.cpuMsPerItem.median;
	const { helperOfNode, ownOfNode } = shareOfNode(figures);
	return {
		wall: await drawWall(
			points.filter(({ contestant }) => wallOrder.includes(contestant)),
			wallOrder,
		),
		schedules: await drawSchedules(figures.schedules, scheduleOrder),
		cost: await drawCost([
			{ who: 'floor (2 calls)', part: 'the floor', cpuMs: base },
			{ who: 'n8n’s request (2 calls)', part: 'the floor', cpuMs: base },
			{
				who: 'n8n’s request (2 calls)',
				part: 'n8n’s own request, beyond the floor',
				cpuMs: Math.max(0, callsOnly.cpuMsPerItem.median - base),
			},
			{ who: `this node (${(looksOf(node) + 1).toFixed(1)} calls)`, part: 'the floor', cpuMs: base },
			{
				who: `this node (${(looksOf(node) + 1).toFixed(1)} calls)`,
				part: 'n8n’s own request, beyond the floor',
				cpuMs: helperOfNode,
			},
			{
				who: `this node (${(looksOf(node) + 1).toFixed(1)} calls)`,
				part: 'the node itself: queue, waiting, items',
				cpuMs: ownOfNode,
			},
		]),
		growth: await drawGrowth(figures.growth),
	};
}

function looksOf({ looksPerJob }: CostResult): number {
	return looksPerJob.median;
}

/** How the node's CPU time beyond the floor divides: into as many of n8n's requests as it makes, and the rest. */
function shareOfNode({ cost, calls }: Figures): { helperOfNode: number; ownOfNode: number } {
	const beyond = cost.node.cpuMsPerItem.median - cost.floor.cpuMsPerItem.median;
	const helperOfNode = Math.min(beyond, calls.helper.median * (looksOf(cost.node) + 1));
	return { helperOfNode, ownOfNode: beyond - helperOfNode };
}

const percent = ({ median, least, most, runs }: Spread, digits = 1): string =>
	show({ median: 100 * median, least: 100 * least, most: 100 * most, runs }, digits, ' %');

/** A goal, whether it is met, and by what figure. */
function goal(text: string, figure: string, isMet: boolean): string {
	return `| ${text} | ${figure} | ${isMet ? 'met' : '**missed**'} |`;
}

/** docs/benchmarks.md. */
export function writeReport(figures: Figures): string {
	const { machine, seeds, wall, handBuilt, cost, growth, start, downloads, calls } = figures;
	const find = (
		contestant: Cell['contestant'],
		items: number,
		concurrency: number,
		pollSeconds = 1,
	): CellResult => {
		const found = wall.find(
			(cell) =>
				cell.contestant === contestant &&
				cell.items === items &&
				cell.concurrency === concurrency &&
				cell.pollSeconds === pollSeconds,
		);
		if (found === undefined) throw new Error(`No figures of ${contestant} with ${items} items`);
		return found;
	};
	const node = (items: number, concurrency: number, pollSeconds = 1) =>
		find('runComfyNode', items, concurrency, pollSeconds);
	const overFloor = [
		[1, node(1, 10), find('floor', 1, 10)],
		[10, node(10, 10), find('floor', 10, 10)],
		[100, node(100, 100), find('floor', 100, 100)],
	] as const;
	const beyondFloor = overFloor.map(
		([items, { overLongest }, { overLongest: floor }]) => [items, overLongest.median / floor.median] as const,
	);
	const tenFaster = find('sequential2s', 10, 1).overLongest.median / node(10, 10).overLongest.median;
	const first = schedule(figures, 'this node, first jobs of a run', 1);
	const later = schedule(figures, 'this node, later jobs of a run', 1);
	const laterHalf = schedule(figures, 'this node, later jobs of a run', 0.5);
	const cpuRatio = cost.node.cpuMsPerItem.median / cost.floor.cpuMsPerItem.median;
	const { ownOfNode } = shareOfNode(figures);
	const requestsAlone = calls.helper.median * (looksOf(cost.node) + 1);
	const connection = calls.fresh.median - calls.pooled.median;
	const moreSeeds = node(10, 10).overLongest.runs;
	const together = handBuilt.find(({ shape, items }) => shape === 'together' && items > 1);
	const smallest = growth[0];
	const largest = growth.at(-1);
	const goals = [
		...beyondFloor.map(([items, ratio]) =>
			goal(
				`${items} ${items === 1 ? 'item' : 'items'}, as many at once: within 6 % of the floor`,
				`${((ratio - 1) * 100).toFixed(1)} % above`,
				ratio <= 1.06,
			),
		),
		...[10, 100, 1000].map((items) => {
			const { overInOrder } = node(items, 10);
			return goal(
				`${items} items, 10 at once: within 6 % of the best schedule for ten slots`,
				`${((overInOrder.median - 1) * 100).toFixed(1)} % above`,
				overInOrder.median <= 1.06,
			);
		}),
		goal(
			'ten items: at least 6 times faster than one by one with a look every 2 s',
			`${tenFaster.toFixed(1)} times`,
			tenFaster >= 6,
		),
		goal(
			'at most 12 looks for a job of 12 s',
			`${first.looksPerJob.toFixed(1)}, later ${later.looksPerJob.toFixed(1)}`,
			first.looksPerJob <= 12,
		),
		goal(
			'mean lateness at most 4 % of the job',
			`${(100 * first.lateness).toFixed(1)} %, later ${(100 * later.lateness).toFixed(1)} %`,
			first.lateness <= 0.04 && later.lateness <= 0.04,
		),
		goal('CPU time of an item: at most 3 times the floor’s', `${cpuRatio.toFixed(1)} times`, cpuRatio <= 3),
		...(smallest === undefined || largest === undefined
			? []
			: [
					goal(
						'time and memory linear in the number of items',
						`CPU per item ${smallest.cpuMsPerItem.median.toFixed(1)} → ${largest.cpuMsPerItem.median.toFixed(1)} ms, resident set +${smallest.rssGrowthMegabytes.median.toFixed(0)} → +${largest.rssGrowthMegabytes.median.toFixed(0)} MB, from ${smallest.items} to ${largest.items} items`,
						largest.cpuMsPerItem.median <= 1.1 * smallest.cpuMsPerItem.median &&
							largest.rssGrowthMegabytes.median / largest.items <=
								1.1 * (smallest.rssGrowthMegabytes.median / smallest.items),
					),
				]),
		goal('compiled node loads in under 20 ms', show(start.loadMs, 1, ' ms'), start.loadMs.median < 20),
		goal('package under 60 kB', `${(start.packedBytes / 1000).toFixed(1)} kB`, start.packedBytes < 60_000),
		goal(
			'downloads at 80 % of undici’s rate or more',
			percent(downloads.ratio, 0),
			downloads.ratio.median >= 0.8,
		),
	];
	return `# Benchmarks

Written by \`npm run bench\`, which measures everything in one run on one machine. Compare the ratios, not the seconds:
machines differ, and this one is small. Every figure is the median of ${seeds.length} runs with different jobs unless it says
otherwise (${moreSeeds} where there are as many at once as items); least and most stand in brackets. The raw figures are in [figures.json](benchmarks/figures.json).

- Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.gigabytes} GB; Node ${machine.node}; n8n-core of n8n ${machine.n8n}; ${machine.date}
- Against the [sandbox](../test/sandbox/README.md) in a process of its own, over plain HTTP on this machine: no RunComfy
  server is involved, and no figure says how fast RunComfy is.
- Jobs take 8 to 16 seconds, spread evenly. The node looks with its default Poll Interval of 1 second unless it says otherwise.

## The goals

| goal | figure | |
|---|---|---|
${goals.join('\n')}

What was missed, and why, stands in the sections below.

## How long a run takes

![Wall time by the number of items](benchmarks/wall.svg)

| contestant | items | at once | wall time ÷ longest job | above the best for so many slots | looks per job | mean lateness |
|---|---|---|---|---|---|---|
${wall
	.map(
		(cell) =>
			`| ${NAMES[cell.contestant]}${cell.pollSeconds === 1 ? '' : `, Poll Interval ${cell.pollSeconds} s`}${cell.timeScale === 1 ? '' : ' ¹'} | ${cell.items} | ${cell.contestant.startsWith('sequential') ? 1 : cell.concurrency} | ${show(cell.overLongest)} | ${((cell.overInOrder.median - 1) * 100).toFixed(1)} % | ${show(cell.looksPerJob, 1)} | ${percent(cell.lateness)} |`,
	)
	.join('\n')}
${handBuilt
	.map(
		({ shape, items, overLongest, looksPerJob, lateness }) =>
			`| ${HAND_NAMES[shape]} ² | ${items} | ${shape === 'oneByOne' ? 1 : items} | ${overLongest.toFixed(2)} | | ${looksPerJob.toFixed(1)} | ${(100 * lateness).toFixed(1)} % |`,
	)
	.join('\n')}

¹ Scaled down in time: jobs and the node's clock run ${Math.max(...wall.map(({ timeScale }) => timeScale))} times as fast, which counts every millisecond of work ${Math.max(...wall.map(({ timeScale }) => timeScale))} times against it.
² HTTP Request, Wait (2 s), HTTP Request and If in whole n8n${handBuilt[0] === undefined ? ' (not installed in this run)' : ` ${handBuilt[0].n8nVersion}`}, one run.

*The best for so many slots* takes the items in their order, each as soon as a slot is free, and is never late. A schedule
that knew all durations beforehand could be better still, because it would start the longest job first: with
100 items and ten slots the node is ${((node(100, 10).overBound.median - 1) * 100).toFixed(1)} % above the sum of all jobs divided by ten, with 1000 items ${((node(1000, 10).overBound.median - 1) * 100).toFixed(1)} %. Nobody knows
how long a job will take, so the end of a run, when fewer than ten are left, cannot be had back.

The node is above the floor by its lateness and by little else: it does not know when a job ends, and looks once a second.
With as many at once as there are items, a run ends when the longest job is found done: half a second late on average, a good
second at most, which is 3 % and 7 % of it. Where between them a run falls is chance, and so is a goal of 6 % that is missed
by a little.
${
	together === undefined
		? ''
		: `
A workflow built by hand that sends all items through the same nodes is as fast as this node (${together.overLongest.toFixed(2)} with ${together.items} items), although
it learns of most ends later. What it lacks is not speed: run again after an error it pays again, Stop cancels nothing, however many items
there are it sends them all at once, and for a job that has failed it waits for ever. The usual one goes round a loop, one
item at a time.
`
}
## When to look

![Looks against lateness](benchmarks/schedules.svg)

Each look is free, but it is a call; fewer looks find the end of a job later. The schedule has three parts:

1. **A shortest pause**, the option Poll Interval, 1 second by default.
2. **Pauses that grow** to 7 % of the time already waited, from 14 seconds on, up to 5 seconds. Jobs of a minute and more are
   found about 3.5 % late on average, whatever they take. Growing by 15 % saves few looks and doubles the lateness; growing
   by 3 % needs many more looks for long jobs.
3. **Quiet at the beginning**: as soon as three jobs of a run are done, later ones get no looks before the shortest of the
   latest twenty could be done. That halves the looks (${first.looksPerJob.toFixed(1)} → ${later.looksPerJob.toFixed(1)}) and makes nothing later. A pause never exceeds 5 seconds, so
   that a job which is suddenly faster is still found.

${later.lateness <= 0.04 ? 'The goal of 4 % is met.' : `**Missed: ${(100 * later.lateness).toFixed(1)} % instead of 4 %.**`} With a pause of 1 second between two looks, and jobs that may end at any moment, the mean
lateness cannot be less than half a second: 4.2 % of 12 seconds. What remains above that is the call itself. The pause is a
promise of the option (“the shortest pause between two looks”) and is kept. Whoever wants less sets Poll Interval to 0.5: the
later jobs of a run then need ${laterHalf.looksPerJob.toFixed(1)} looks at ${(100 * laterHalf.lateness).toFixed(1)} % lateness, inside the goal in both; measured on n8n-core: ${show(node(100, 10, 0.5).looksPerJob, 1)} looks and
${percent(node(100, 10, 0.5).lateness)}, the first ten jobs of the run included.

## What the node itself costs

![CPU time of an item](benchmarks/cost.svg)

| ${cost.node.items} items, 100 at once | CPU per item | allocated per item | growth of the resident set | calls per item |
|---|---|---|---|---|
| the floor (undici) | ${show(cost.floor.cpuMsPerItem, 2, ' ms')} | ${allocated(cost.floor)} | ${show(cost.floor.rssGrowthMegabytes, 0, ' MB')} | 2 |
| the same two calls by n8n's request | ${show(cost.callsOnly.cpuMsPerItem, 2, ' ms')} | ${allocated(cost.callsOnly)} | ${show(cost.callsOnly.rssGrowthMegabytes, 0, ' MB')} | 2 |
| this node | ${show(cost.node.cpuMsPerItem, 2, ' ms')} | ${allocated(cost.node)} | ${show(cost.node.rssGrowthMegabytes, 0, ' MB')} | ${(looksOf(cost.node) + 1).toFixed(1)} |

(Jobs and the node's clock ten times as fast here: what the work costs does not depend on how long one waits in between.)

| one look | CPU |
|---|---|
| undici, connections kept | ${show(calls.undici, 3, ' ms')} |
| Node's own client, connections kept | ${show(calls.pooled, 3, ' ms')} |
| Node's own client, a new connection each | ${show(calls.fresh, 3, ' ms')} |
| n8n's authenticated request | ${show(calls.helper, 3, ' ms')} |

${
	cpuRatio <= 3
		? 'The goal of three times the floor is met.'
		: `**Missed: ${cpuRatio.toFixed(1)} times the floor instead of 3.** The floor knows when a job ends and makes two calls; the node has to look, and makes ${(looksOf(cost.node) + 1).toFixed(1)}. Each
goes through n8n's authenticated request, which a node has to use and which costs ${(calls.helper.median / calls.undici.median).toFixed(1)} times as much as undici's: measured
alone, ${(looksOf(cost.node) + 1).toFixed(1)} of them cost ${requestsAlone.toFixed(1)} ms. ${ownOfNode < 0.1 * cost.node.cpuMsPerItem.median ? 'What the node itself adds, queue, waiting, ledger and items, is too small to be told apart from that.' : `Queue, waiting, ledger and items are about ${ownOfNode.toFixed(1)} ms.`} The new connection that n8n
opens for every call is a small part of it, ${connection.toFixed(3)} ms or ${((100 * connection) / calls.helper.median).toFixed(0)} % of a look (over plain HTTP on this machine; over HTTPS there is a
handshake more, which was not measured). What a node can do is look less often: that is what learning from earlier jobs
is for. In absolute terms, a run of 1000 items takes ${((cost.node.cpuMsPerItem.median * 1000) / 1000).toFixed(1)} seconds of one core.`
}

![Growth with the number of items](benchmarks/growth.svg)

| items | CPU per item | growth of the resident set |
|---|---|---|
${growth.map(({ items, cpuMsPerItem, rssGrowthMegabytes }) => `| ${items} | ${show(cpuMsPerItem, 2, ' ms')} | ${show(rssGrowthMegabytes, 0, ' MB')} |`).join('\n')}

CPU time per item falls as Node's compiler warms up. ${
		largest === undefined || cost.node.allocatedKilobytesPerItem === undefined
			? ''
			: `With ${largest.items} items the resident set grows by ${((1000 * largest.rssGrowthMegabytes.median) / largest.items).toFixed(0)} kB an item, where ${cost.node.allocatedKilobytesPerItem.median.toFixed(0)} kB an item
are allocated: most of that is garbage that Node collects along the way, and what is left is largely garbage not yet collected.`
	}

## Start

The compiled node loads in ${show(start.loadMs, 1, ' ms')} (${start.loadMs.runs} fresh processes, n8n-workflow already loaded, as in n8n). The package is ${(start.packedBytes / 1000).toFixed(1)} kB packed,
${(start.unpackedBytes / 1000).toFixed(0)} kB unpacked, ${start.files} files.

## Downloads

${downloads.files} files of ${downloads.bytesEach / 1_000_000} MB, four at once: ${show(downloads.nodeMegabytesPerSecond, 0, ' MB/s')} into n8n's binary data on disk, against
${show(downloads.undiciMegabytesPerSecond, 0, ' MB/s')} by undici into plain files: ${percent(downloads.ratio, 0)}. The node's figure includes the look at each request. What it costs in
memory is measured by \`npm run bench:memory\`.
`;
}

function schedule({ schedules }: Figures, name: string, intervalSeconds: number): SchedulePoint {
	const found = schedules.find((point) => point.name === name && point.intervalSeconds === intervalSeconds);
	if (found === undefined) throw new Error(`No figures of the schedule ${name}`);
	return found;
}

function allocated({ allocatedKilobytesPerItem }: CostResult): string {
	return allocatedKilobytesPerItem === undefined ? '' : show(allocatedKilobytesPerItem, 0, ' kB');
}
