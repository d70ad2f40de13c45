import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * What n8n-core reads from the environment while it is loaded: a home of its own, so that nothing on this machine is
 * read or changed. Has to be imported before n8n-core.
 */
export const n8nHome = mkdtempSync(path.join(tmpdir(), 'runcomfy-n8n-'));
process.env.N8N_USER_FOLDER = n8nHome;
process.env.N8N_ENCRYPTION_KEY ??= 'only-for-tests';
process.env.N8N_LOG_LEVEL ??= 'silent';
process.env.N8N_DIAGNOSTICS_ENABLED = 'false';
process.env.N8N_ENFORCE_SETTINGS_FILE_PERMISSIONS = 'false';

process.once('exit', () => rmSync(n8nHome, { recursive: true, force: true }));
