import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** One temporary folder for all that a run of the tests writes; globalTeardown removes it. */
export default function setUp(): void {
	process.env.TMPDIR = mkdtempSync(path.join(tmpdir(), 'runcomfy-tests-'));
	// PostgreSQL runs as another user, and has a folder in it.
	chmodSync(process.env.TMPDIR, 0o711);
}
