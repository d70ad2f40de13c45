/**
 * Both legs of the gate that n8n runs before it verifies a package, offline: the source, and the packed tarball, each
 * linted with eslint-disable comments ignored. The package's own command line needs the published package and exits 0
 * on failure; this one exits 1.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { analyzePackage, SOURCE_FILE_PATTERNS } from '@n8n/scan-community-package/scanner/scanner.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
/** What may be in the tarball, and nothing else. */
const EXPECTED =
	/^(package\.json|README\.md|LICENSE|dist\/(nodes|credentials)\/.+\.js|dist\/nodes\/.+\.node\.json|dist\/icons\/.+\.svg)$/;

function report(leg, { passed, message, details }) {
	console.log(`${passed ? 'ok  ' : 'FAIL'}  ${leg}${passed ? '' : `: ${message}\n${details ?? ''}`}`);
	return passed;
}

function unpack(folder) {
	execFileSync('npm', ['pack', '--pack-destination', folder], {
		cwd: root,
		stdio: ['ignore', 'ignore', 'inherit'],
	});
	const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
	const target = path.join(folder, 'package');
	mkdirSync(target);
	execFileSync('tar', ['-xzf', path.join(folder, tarball), '-C', target, '--strip-components=1']);
	return target;
}

const folder = mkdtempSync(path.join(tmpdir(), 'runcomfy-scan-'));
try {
	const packed = unpack(folder);
	const files = readdirSync(packed, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile())
		.map((entry) => path.relative(packed, path.join(entry.parentPath ?? entry.path, entry.name)));
	const strangers = files.filter((file) => !EXPECTED.test(file));
	const missing = [
		'dist/nodes/RunComfy/RunComfy.node.js',
		'dist/nodes/RunComfy/RunComfy.node.json',
		'dist/icons/runcomfy.svg',
	].filter((file) => !files.includes(file));
	const results = [
		report('source', await analyzePackage(root, SOURCE_FILE_PATTERNS)),
		report('tarball', await analyzePackage(packed, ['**/*.js', 'package.json'])),
		report(`contents of the tarball (${files.length} files)`, {
			passed: strangers.length === 0 && missing.length === 0,
			message: `should not be there: ${strangers.join(', ') || '–'}; missing: ${missing.join(', ') || '–'}`,
		}),
	];
	process.exitCode = results.every(Boolean) ? 0 : 1;
} finally {
	rmSync(folder, { recursive: true, force: true });
}
