import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** One temporary folder for all that a run of the tests writes; globalTeardown removes it. */
export default function setUp(): void {
	process.env.TMPDIR = mkdtempSync(path.join(tmpdir(), 'runcomfy-tests-'));
}
