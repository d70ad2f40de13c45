import { cpus, totalmem } from 'node:os';

import { NEWEST } from '../test/n8n/installation';
import { measureCalls, measureCost, measureGrowth } from './measures/cost';
import { measureDownloads } from './measures/downloads';
import { measureHandBuilt } from './measures/handBuilt';
import { measureSchedules } from './measures/schedules';
import { measureStart } from './measures/start';
import { measureWall, THOUSAND, UP_TO_100 } from './measures/wall';
import { quick } from './options';
import { tablesOf, writePage } from './page';
import { drawAll } from './plots';
import { startSandbox } from './processes';

/**
 * `npm run bench` measures everything against the sandbox, in one run on one machine, and renews the figures and plots of
 * docs/benchmarks.md. `-- --quick` runs every part with too little work for the figures to mean anything, and writes
 * nothing. `-- --against <checkout>` also measures that checkout's build; its figures are only printed.
 */
export type Figures = Awaited<ReturnType<typeof measureAll>>;

async function measureAll() {
	const machine = {
		processor: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${cpus().length} cores`,
		gigabytes: Math.round(totalmem() / 2 ** 30),
		node: process.version,
		n8n: NEWEST,
		date: new Date().toISOString().slice(0, 10),
	};
	const schedules = measureSchedules();
	const start = await measureStart();
	const sandbox = await startSandbox();
	const calls = await measureCalls(sandbox);
	const cost = await measureCost();
	const growth = await measureGrowth();
	const downloads = await measureDownloads();
	sandbox.reset();
	const small = [measureWall(sandbox, UP_TO_100), quick ? [] : measureHandBuilt(sandbox)] as const;
	const [upTo100, handBuilt] = await Promise.all(small);
	const wall = [...upTo100];
	for (const batch of THOUSAND) wall.push(...(await measureWall(sandbox, batch)));
	await sandbox.close();
	return { machine, wall, handBuilt, schedules, calls, cost, growth, start, downloads };
}

async function main(): Promise<void> {
	const figures = await measureAll();
	for (const table of Object.values(tablesOf(figures))) console.log(`\n${table}`);
	if (quick) return void (await drawAll(figures));
	const isPublished = ({ variant }: { variant: string }) => variant !== 'this node, before';
	const [wall, cost] = [figures.wall.filter(isPublished), figures.cost.filter(isPublished)];
	await writePage({ ...figures, wall, cost });
}

void main();
