import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

import { quick } from '../options';
import { spreadOf } from '../stats';

const run = promisify(execFile);
const cwd = path.resolve(__dirname, '..', '..');
/** n8n itself has loaded n8n-workflow long before it loads a node. */
const LOAD_SCRIPT = `
require('n8n-workflow');
const from = performance.now();
new (require('./dist/nodes/RunComfy/RunComfy.node.js').RunComfy)();
new (require('./dist/credentials/RunComfyApi.credentials.js').RunComfyApi)();
console.log(performance.now() - from);`;

/** How long the compiled node takes to load in a fresh process, and how large the package is. */
export async function measureStart() {
	const times: number[] = [];
	while (times.length < (quick ? 5 : 15)) {
		times.push(Number((await run(process.execPath, ['-e', LOAD_SCRIPT], { cwd })).stdout));
	}
	const { stdout } = await run('npm', ['pack', '--dry-run', '--json'], { cwd });
	type Pack = { size: number; unpackedSize: number; entryCount: number };
	const [pack] = Object.values(JSON.parse(stdout) as Record<string, Pack>);
	if (pack === undefined) throw new Error('npm pack printed nothing');
	const { size, unpackedSize, entryCount } = pack;
	return { loadMs: spreadOf(times), packedBytes: size, unpackedBytes: unpackedSize, files: entryCount };
}
