import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { NEWEST } from '../test/n8n/installation';
import { measureCalls } from './measures/calls';
import { measureCost } from './measures/cost';
import { measureDownloads } from './measures/downloads';
import { measureHandBuilt } from './measures/handBuilt';
import { measureSchedules } from './measures/schedules';
import { measureStart } from './measures/start';
import { measureWall, type Cell } from './measures/wall';
import { startSandbox } from './processes';
import { drawFigures, writeReport, type Figures } from './report';
import { USUAL_SPAN } from './workload';

/**
 * `npm run bench`: measures everything in one run on this machine against the sandbox and writes docs/benchmarks.md and
 * its pictures. `-- --quick` tries the whole bench in a minute with figures that mean nothing, and writes nowhere but
 * to the terminal.
 */
const DOCS = path.resolve(__dirname, '..', 'docs');

interface Plan {
	seeds: number[];
	/** Between the starts of runs that go on side by side, so that their first submits do not meet. */
	staggerMs: number;
	together: Cell[];
	large: Cell[];
	handBuiltItems: number[];
	costItems: number;
	growthItems: number[];
	repeats: number;
	looks: number;
	files: number;
	bytesEach: number;
}

const cell = (
	contestant: Cell['contestant'],
	items: number,
	concurrency: number,
	timeScale = 1,
	pollSeconds = 1,
): Cell => ({ contestant, items, concurrency, timeScale, pollSeconds });

/** With as many at once as items, a run's end hangs on one look: more runs, so that chance evens out. */
const MORE_SEEDS = [1, 2, 3, 4, 5, 6, 7];

const FULL: Plan = {
	seeds: [1, 2, 3],
	staggerMs: 2_500,
	together: [
		...[
			...[1, 10].flatMap((items) => [cell('runComfyNode', items, 10), cell('floor', items, 10)]),
			cell('runComfyNode', 100, 100),
			cell('floor', 100, 100),
		].map((one) => ({ ...one, seeds: MORE_SEEDS })),
		...[1, 10].flatMap((items) => [cell('sequential2s', items, 1), cell('sequential5s', items, 1)]),
		cell('runComfyNode', 100, 10),
		cell('runComfyNode', 100, 10, 1, 0.5),
	],
	large: [cell('runComfyNode', 1000, 100), cell('floor', 1000, 100), cell('runComfyNode', 1000, 10, 5)],
	handBuiltItems: [1, 10],
	costItems: 1000,
	growthItems: [250, 500, 1000, 2000],
	repeats: 3,
	looks: 4000,
	files: 40,
	bytesEach: 25_000_000,
};

const QUICK: Plan = {
	seeds: [1],
	staggerMs: 100,
	together: [
		...[1, 10].flatMap((items) => [
			cell('runComfyNode', items, 10, 20),
			cell('floor', items, 10, 20),
			cell('sequential2s', items, 1, 20),
			cell('sequential5s', items, 1, 20),
		]),
		cell('runComfyNode', 100, 100, 20),
		cell('floor', 100, 100, 20),
		cell('runComfyNode', 100, 10, 20),
		cell('runComfyNode', 100, 10, 20, 0.5),
	],
	large: [
		cell('runComfyNode', 1000, 100, 20),
		cell('floor', 1000, 100, 20),
		cell('runComfyNode', 1000, 10, 50),
	],
	handBuiltItems: [],
	costItems: 100,
	growthItems: [50, 100],
	repeats: 1,
	looks: 200,
	files: 2,
	bytesEach: 1_000_000,
};

async function measure(plan: Plan): Promise<Figures> {
	const started = performance.now();
	const tell = (line: string) =>
		console.log(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${line}`);
	const { seeds, repeats, costItems } = plan;

	tell('Start and package');
	const start = await measureStart(repeats * 5);
	const sandbox = await startSandbox();
	tell('Calls');
	const calls = await measureCalls(sandbox, plan.looks, repeats);
	tell('Cost');
	const cost = {
		floor: await measureCost(sandbox, 'floor', costItems, repeats, true),
		callsOnly: await measureCost(sandbox, 'callsOnly', costItems, repeats, true),
		node: await measureCost(sandbox, 'runComfyNode', costItems, repeats, true),
	};
	tell('Growth');
	const growth = [];
	for (const items of plan.growthItems) {
		growth.push(await measureCost(sandbox, 'runComfyNode', items, Math.min(repeats, 2), false));
	}
	tell('Downloads');
	const downloads = await measureDownloads(plan.files, plan.bytesEach, repeats);
	tell('Schedules');
	const schedules = measureSchedules(USUAL_SPAN);
	sandbox.close();
	tell('Wall time, up to 100 items');
	const fresh = await startSandbox();
	const [together, handBuilt] = await Promise.all([
		measureWall(fresh, plan.together, plan, tell),
		plan.handBuiltItems.length === 0 ? [] : measureHandBuilt(fresh, plan.handBuiltItems, seeds[0] ?? 1, tell),
	]);
	tell('Wall time, 1000 items');
	const large = await measureWall(fresh, plan.large, plan, tell);
	fresh.close();
	tell('Done');
	return {
		machine: {
			cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
			cores: cpus().length,
			gigabytes: Math.round(totalmem() / 2 ** 30),
			node: process.version,
			n8n: NEWEST,
			date: new Date().toISOString().slice(0, 10),
		},
		seeds,
		wall: [...together, ...large],
		handBuilt,
		schedules,
		calls,
		cost,
		growth,
		start,
		downloads,
	};
}

async function main(): Promise<void> {
	const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
	const figures = await measure(values.quick ? QUICK : FULL);
	const pictures = await drawFigures(figures);
	const report = writeReport(figures);
	console.log(report);
	if (values.quick) return;
	mkdirSync(path.join(DOCS, 'benchmarks'), { recursive: true });
	writeFileSync(path.join(DOCS, 'benchmarks.md'), report);
	writeFileSync(path.join(DOCS, 'benchmarks', 'figures.json'), `${JSON.stringify(figures, null, '\t')}\n`);
	for (const [name, svg] of Object.entries(pictures)) {
		writeFileSync(path.join(DOCS, 'benchmarks', `${name}.svg`), svg);
	}
}

main().catch((error: unknown) => {
	console.error(error);
	process.exit(1);
});
