import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { sleep as newSleep } from 'n8n-workflow';
import { sleep as oldSleep } from 'n8n-workflow-1-120';

import { abortableSleep, systemRuntime } from '../../nodes/RunComfy/n8n/runtime';
import { until } from '../until';
import { items, TestEnvironment } from './testEnvironment';

const ROOT = path.resolve(__dirname, '..', '..');

const SLEEPS = [
	['2.41', abortableSleep(newSleep)],
	['1.120', abortableSleep(oldSleep)],
] as const;

describe('With the sleep of n8n-workflow', () => {
	it.each(SLEEPS)('%s, Stop ends the wait at once, and the cancel arrives', async (_, sleep) => {
		const env = await TestEnvironment.open({
			items: items(3),
			sandbox: { queueMs: 60_000 },
			runtime: { clock: { ...systemRuntime.clock, sleep } },
		});
		const execution = env.start({ options: { pollInterval: 20 } });
		await until('all are submitted', () => env.sandbox.stats.accepted === 3);
		await new Promise((resolve) => setTimeout(resolve, 50));
		expect(await env.stop(execution)).toBeLessThan(300);
		expect(env.sandbox.stats.cancelled).toBe(3);
	});

	it('old and new, a sleep lasts its full time, or until the signal is aborted', async () => {
		const from = performance.now();
		const check = async ([_, sleep]: (typeof SLEEPS)[number]) => {
			// More than one slice of it.
			await sleep(1_150, new AbortController().signal);
			expect(performance.now() - from).toBeGreaterThanOrEqual(1_145);
			const controller = new AbortController();
			setTimeout(() => controller.abort(), 20);
			await sleep(60_000, controller.signal);
			await sleep(60_000, controller.signal);
		};
		await Promise.all(SLEEPS.map(check));
	});
});

it('The compiled node loads beside n8n-workflow 1.120', () => {
	const folder = mkdtempSync(path.join(tmpdir(), 'runcomfy-old-'));
	try {
		// The test has to hold on a checkout that has not been built; types are not read, because they are checked elsewhere.
		const tsc = require.resolve('typescript/bin/tsc');
		execFileSync(process.execPath, [
			tsc,
			'-p',
			ROOT,
			'--noCheck',
			'--noResolve',
			'--outDir',
			path.join(folder, 'dist'),
		]);
		mkdirSync(path.join(folder, 'node_modules'));
		symlinkSync(
			path.join(ROOT, 'node_modules', 'n8n-workflow-1-120'),
			path.join(folder, 'node_modules', 'n8n-workflow'),
		);
		cpSync(path.join(ROOT, 'package.json'), path.join(folder, 'package.json'));
		const script = `
			const { RunComfy } = require('./dist/nodes/RunComfy/RunComfy.node.js');
			const { RunComfyApi } = require('./dist/credentials/RunComfyApi.credentials.js');
			const workflow = require('n8n-workflow/package.json').version;
			const { inputs, properties } = new RunComfy().description;
			console.log(JSON.stringify({ workflow, inputs, fields: properties.length > 10, credential: new RunComfyApi().name }));
		`;
		const output = execFileSync(process.execPath, ['-e', script], { cwd: folder, encoding: 'utf8' });
		expect(JSON.parse(output)).toEqual({
			workflow: '1.120.0',
			inputs: ['main'],
			fields: true,
			credential: 'runComfyApi',
		});
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
});
