import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

import { Sandbox } from '../test/sandbox/sandbox';
import { finishedRequests, measure, startSandbox } from './processes';
import type { UploadsReport } from './uploadsChild';

/** `npm run bench:memory`: what downloading and sending files costs in memory. Fails when a goal is missed. */
const IMAGES = 40;
const IMAGE_BYTES = 25e6;
const GOAL_BYTES = 150e6;
const FEW_FILES = 2;
const MANY_FILES = 10;
/** The largest image that goes out as a data URI is a little larger. */
const FILE_BYTES = 6e6;
const GOAL_HELD_BYTES = 5e6;

const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

async function downloads(): Promise<boolean> {
	const sandbox = await startSandbox(IMAGE_BYTES);
	const items = await finishedRequests(sandbox, IMAGES);
	const task = { baseUrl: sandbox.url, items, concurrency: 10, warmUp: items.slice(0, 1) };
	const { downloadedBytes, rssGrowthBytes } = await measure({ variant: 'downloads by this node', ...task });
	await sandbox.close();
	const share = ((100 * rssGrowthBytes) / downloadedBytes).toFixed(1);
	console.log(
		`${IMAGES} images of ${mb(IMAGE_BYTES)}, binary data on disk: resident set +${mb(rssGrowthBytes)}, ` +
			`${share} % of the bytes downloaded (goal: below ${mb(GOAL_BYTES)})`,
	);
	return rssGrowthBytes < GOAL_BYTES && downloadedBytes === IMAGES * IMAGE_BYTES;
}

async function measureUploads(files: number): Promise<UploadsReport> {
	const sandbox = await Sandbox.start({ pictures: 'plain', queueMs: 600_000 });
	const execArgv = [...process.execArgv, '--expose-gc'];
	const child = fork(
		path.join(__dirname, 'uploadsChild.ts'),
		[sandbox.url, String(files), String(FILE_BYTES)],
		{ execArgv },
	);
	const [report] = (await Promise.race([once(child, 'message'), failedBy(child)])) as [UploadsReport];
	await sandbox.close();
	return report;
}

/** Rejects when the process ends without a report. */
async function failedBy(child: ChildProcess): Promise<never> {
	const [code] = (await once(child, 'exit')) as [number | null];
	throw new Error(`The measuring process ended with ${code}`);
}

/** What each further job adds: the difference leaves out the engine's own modules and what is held only once. */
async function uploads(): Promise<boolean> {
	const few = await measureUploads(FEW_FILES);
	const many = await measureUploads(MANY_FILES);
	const heldBytes = (many.heldBytes - few.heldBytes) / (MANY_FILES - FEW_FILES);
	console.log(
		`${MANY_FILES} input files of ${mb(FILE_BYTES)}: ${mb(heldBytes)} held by each waiting job ` +
			`(goal: below ${mb(GOAL_HELD_BYTES)}); resident set at most +${mb(many.peakBytes)} while they are sent`,
	);
	return heldBytes < GOAL_HELD_BYTES;
}

async function main(): Promise<void> {
	const results = [await downloads(), await uploads()];
	if (results.includes(false)) process.exitCode = 1;
}

void main();
