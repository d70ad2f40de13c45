import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import type { Figures } from './main';
import { FIRST, LATER, SIMILAR } from './measures/schedules';
import { drawAll } from './plots';
import type { Spread } from './stats';

/** The tables of docs/benchmarks.md and bench/README.md. Everything around them there is written by hand. */
const DOCS = path.resolve(__dirname, '..', 'docs');
const PAGES = [path.join(DOCS, 'benchmarks.md'), path.join(__dirname, 'README.md')];
/** Other columns are called as their figures are, in words: `pollsPerJob` becomes “polls per job”. */
const HEADINGS: Record<string, string> = {
	concurrency: 'at once',
	pollSeconds: 'Poll Interval, s',
	overLongest: 'wall time ÷ longest job',
	overInOrder: '÷ best run',
	overBound: '÷ bound',
	lateness: 'mean lateness, %',
	intervalSeconds: 'shortest pause, s',
	callOverFirst: 'CPU time of a call ÷ that in the row above',
};

/** For example `1.04 (1.03–1.06)`; shares of a job in percent. */
function cellOf(name: string, value: unknown): string {
	if (typeof value === 'number') {
		const shown = name === 'lateness' ? 100 * value : value;
		if (Number.isInteger(2 * shown)) return String(shown);
		return shown.toFixed(shown >= 100 ? 0 : shown >= 10 ? 1 : shown >= 0.7 ? 2 : 3);
	}
	if (typeof value !== 'object' || value === null) return String(value ?? '');
	const { median, least, most, runs } = value as Spread;
	const range = runs === 1 ? '' : ` (${cellOf(name, least)}–${cellOf(name, most)})`;
	return `${cellOf(name, median)}${range}`;
}

function table(rows: object[], columns = Object.keys(rows[0] ?? {})): string {
	const inWords = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
	const head = columns.map((name) => HEADINGS[name] ?? inWords(name));
	const cells = rows.map((row) => {
		const values = new Map<string, unknown>(Object.entries(row));
		return columns.map((name) => cellOf(name, values.get(name)));
	});
	return [head, head.map(() => '---'), ...cells].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

export function tablesOf(figures: Figures): Record<string, string> {
	const { machine, wall, handBuilt, schedules, calls, cost, growth, start, downloads } = figures;
	const run = ['variant', 'items', 'concurrency', 'pollSeconds', 'timeScale', 'overLongest'];
	const timings = ['overInOrder', 'overBound', 'pollsPerJob', 'lateness'];
	const costs = ['items', 'cpuMsPerItem', 'allocatedKilobytesPerItem', 'rssGrowthMegabytes', 'pollsPerJob'];
	return {
		machine: table([machine]),
		goals: table(goalsOf(figures)),
		wall: table([...wall, ...handBuilt], [...run, ...timings]),
		schedules: table(schedules.filter(({ intervalSeconds }) => [0.5, 1].includes(intervalSeconds))),
		cost: table(cost, ['variant', 'itemsBefore', ...costs, 'callOverFirst']),
		calls: table(Object.entries(calls).map(([client, cpuMsPerPoll]) => ({ client, cpuMsPerPoll }))),
		growth: table(growth, costs),
		start: table([start]),
		downloads: table([downloads]),
	};
}

/** Each figure is to be at most its limit. */
function goalsOf({ wall, schedules, cost, growth, start, downloads }: Figures) {
	const find = (variant: string, items: number, atOnce: number) =>
		wall.find((one) => one.variant === variant && one.items === items && one.concurrency === atOnce);
	const longest = (...which: Parameters<typeof find>) => find(...which)?.overLongest.median ?? NaN;
	const overFloor = (...which: [number, number]) =>
		100 * (longest('this node', ...which) / longest('floor', ...which) - 1);
	const overBest = (items: number) => 100 * ((find('this node', items, 10)?.overInOrder.median ?? NaN) - 1);
	const atOneSecond = schedules.filter(({ intervalSeconds }) => intervalSeconds === 1);
	const [first, later, similar] = [FIRST, LATER, SIMILAR].map((name) =>
		atOneSecond.find((one) => one.name === name),
	);
	const lastToFirst = (values: number[]) => (values.at(-1) ?? NaN) / (values[0] ?? NaN);
	const cpu = growth.map(({ cpuMsPerItem }) => cpuMsPerItem.median);
	const memory = growth.map(({ rssGrowthMegabytes, items }) => rssGrowthMegabytes.median / items);
	const [justStarted, longRunning] = cost
		.filter(({ variant }) => variant === 'this node')
		.sort((a, b) => a.itemsBefore - b.itemsBefore);
	const floor = cost.find(({ variant }) => variant === 'floor');
	const cpuOf = (one = floor) => one?.cpuMsPerItem.median ?? NaN;
	const loop = longest('one by one, poll every 2 s', 10, 1);
	const goals: Array<[goal: string, figure: number, limit: number]> = [
		['1 item: % above the floor', overFloor(1, 10), 6],
		['10 items, all at once: % above the floor', overFloor(10, 10), 6],
		['100 items, all at once: % above the floor', overFloor(100, 100), 6],
		['10 items, 10 at once: % above the best run', overBest(10), 6],
		['100 items, 10 at once: % above the best run', overBest(100), 6],
		['1000 items, 10 at once: % above the best run', overBest(1000), 6],
		['10 items: wall time ÷ one by one, poll every 2 s', longest('this node', 10, 10) / loop, 1 / 6],
		['polls for a job of 12 s, first jobs of a run', first?.pollsPerJob ?? NaN, 12],
		['polls for a job of 12 s, later jobs', later?.pollsPerJob ?? NaN, 12],
		['polls for a job of 12 s, durations within ±10 %', similar?.pollsPerJob ?? NaN, 5],
		['mean lateness in % of the job, first jobs of a run', 100 * (first?.lateness ?? NaN), 4],
		['mean lateness in % of the job, later jobs', 100 * (later?.lateness ?? NaN), 4],
		['mean lateness in %, durations within ±10 %', 100 * (similar?.lateness ?? NaN), 3],
		['CPU time of an item ÷ floor’s', cpuOf(longRunning) / cpuOf(), 3],
		[
			'CPU time of an item ÷ its calls’ by n8n’s request helper',
			longRunning?.callOverFirst.median ?? NaN,
			1.3,
		],
		['the same, in an n8n that has just started', justStarted?.callOverFirst.median ?? NaN, 1.3],
		['CPU time of an item, most items ÷ fewest', lastToFirst(cpu), 1.1],
		['memory of an item, most items ÷ fewest', lastToFirst(memory), 1.1],
		['loading the compiled node, ms', start.loadMs.median, 20],
		['package, kB', start.packedBytes / 1000, 100],
		['downloads: undici’s rate ÷ the node’s', 1 / downloads.ratio.median, 1.25],
	];
	return goals.map(([goal, figure, limit]) => {
		return { goal, figure, limit, met: figure <= limit ? 'yes' : '**no**' };
	});
}

/** Replaces what stands between `<!-- figures:name -->` and `<!-- /figures -->`, and writes the plots and the figures. */
export async function writePage(figures: Figures): Promise<void> {
	const tables = tablesOf(figures);
	const marked = /(?<=<!-- figures:(\w+) -->\n).*?(?=<!-- \/figures -->)/gs;
	for (const file of PAGES) {
		const page = readFileSync(file, 'utf8').replace(marked, (_, name: string) => `\n${tables[name]}\n\n`);
		writeFileSync(file, page);
	}
	writeFileSync(path.join(DOCS, 'benchmarks', 'figures.json'), `${JSON.stringify(figures, null, '\t')}\n`);
	for (const [name, svg] of Object.entries(await drawAll(figures))) {
		writeFileSync(path.join(DOCS, 'benchmarks', `${name}.svg`), svg);
	}
}
