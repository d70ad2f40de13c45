import { fork } from 'node:child_process';
import path from 'node:path';

import { Sandbox, SANDBOX_TOKEN } from '../test/sandbox/sandbox';

/**
 * What downloading costs in memory: `npm run bench:memory`. The node runs in a child process, so that neither the
 * sandbox nor this script is part of the figure. Fails when the goal is missed.
 */
const IMAGES = 40;
const IMAGE_BYTES = 25_000_000;
const CONCURRENCY = 10;
const GOAL_BYTES = 150_000_000;

export interface MemoryReport {
	/** Resident set before the downloads, after a warm-up of one image. */
	beforeBytes: number;
	peakBytes: number;
	storedBytes: number;
	seconds: number;
}

async function main(): Promise<void> {
	const sandbox = await Sandbox.start({ pictures: 'plain', pictureBytes: IMAGE_BYTES, queueMs: 0, runMs: 0 });
	const child = fork(
		path.join(__dirname, 'memoryChild.ts'),
		[sandbox.url, SANDBOX_TOKEN, String(IMAGES), String(CONCURRENCY)],
		{
			execArgv: process.execArgv,
		},
	);
	const report = await new Promise<MemoryReport>((resolve, reject) => {
		child.once('message', (message) => resolve(message as MemoryReport));
		child.once('exit', (code) => reject(new Error(`The child ended with ${code}`)));
	});
	await sandbox.close();

	const mb = (bytes: number) => `${(bytes / 1_000_000).toFixed(0)} MB`;
	const { beforeBytes, peakBytes, storedBytes, seconds } = report;
	const rise = peakBytes - beforeBytes;
	console.log(
		`${IMAGES} images of ${mb(IMAGE_BYTES)}, ${CONCURRENCY} items at once, binary data on disk, Node ${process.version}`,
	);
	console.log(
		`moved ${mb(storedBytes)} in ${seconds.toFixed(1)} s; resident set ${mb(beforeBytes)} → ${mb(peakBytes)}`,
	);
	console.log(
		`rise ${mb(rise)} = ${((100 * rise) / storedBytes).toFixed(1)} % of the bytes moved (goal: below ${mb(GOAL_BYTES)})`,
	);
	if (rise >= GOAL_BYTES || storedBytes !== IMAGES * IMAGE_BYTES) process.exitCode = 1;
}

void main();
