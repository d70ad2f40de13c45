import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

import { spreadOf, type Spread } from '../stats';

const run = promisify(execFile);
const ROOT = path.resolve(__dirname, '..', '..');

/** n8n itself has loaded n8n-workflow long before it loads a node. */
const LOAD_SCRIPT = `
require('n8n-workflow');
const from = performance.now();
const { RunComfy } = require('./dist/nodes/RunComfy/RunComfy.node.js');
const { RunComfyApi } = require('./dist/credentials/RunComfyApi.credentials.js');
new RunComfy(); new RunComfyApi();
console.log(performance.now() - from);`;

export interface StartResult {
	loadMs: Spread;
	packedBytes: number;
	unpackedBytes: number;
	files: number;
}

/** How long the compiled node takes to load in a fresh process, and how large the package is. */
export async function measureStart(repeats: number): Promise<StartResult> {
	const times: number[] = [];
	for (let repeat = 0; repeat < repeats; repeat++) {
		const { stdout } = await run(process.execPath, ['-e', LOAD_SCRIPT], { cwd: ROOT });
		times.push(Number(stdout));
	}
	const { stdout } = await run('npm', ['pack', '--dry-run', '--json'], { cwd: ROOT });
	const [pack] = Object.values(
		JSON.parse(stdout) as Record<string, { size: number; unpackedSize: number; entryCount: number }>,
	);
	if (pack === undefined) throw new Error('npm pack told nothing');
	const { size, unpackedSize, entryCount } = pack;
	return { loadMs: spreadOf(times), packedBytes: size, unpackedBytes: unpackedSize, files: entryCount };
}
