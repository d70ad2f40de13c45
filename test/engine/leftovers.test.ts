import { execFileSync } from 'node:child_process';
import path from 'node:path';

const ROOT = path.resolve(__dirname, '..', '..');

/** In a process of its own: a test runner hides warnings and rejections, and keeps the process alive itself. */
it('Stop leaves no timer, no socket, no unhandled rejection and no warning behind, in any phase', () => {
	const output = execFileSync(
		process.execPath,
		['--import', 'tsx', path.join(__dirname, 'leftoversChild.ts')],
		{
			cwd: ROOT,
			encoding: 'utf8',
			env: { ...process.env, TSX_TSCONFIG_PATH: path.join(ROOT, 'test', 'tsconfig.json') },
		},
	);
	const seen = JSON.parse(output.trim().split('\n').at(-1) ?? '{}') as {
		phases: string[];
		warnings: string[];
		rejections: string[];
		lingeredMs: number;
	};
	expect(seen.phases).toHaveLength(6);
	expect(seen.rejections).toEqual([]);
	expect(seen.warnings).toEqual([]);
	// A poll pause of a minute, a Retry-After of a minute and hanging calls were under way when Stop came.
	expect(seen.lingeredMs).toBeLessThan(1_500);
});
