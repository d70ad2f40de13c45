import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';

/** Removes the folder that globalSetup has made. */
export default function tearDown(): void {
	if (tmpdir().includes('runcomfy-tests-')) rmSync(tmpdir(), { recursive: true, force: true });
}
