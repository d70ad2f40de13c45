import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

import { freePort } from '../n8n/instance';
import { until } from '../until';
import { ROOT } from './n8nEnvironment';

/** The commands of the README, as a person uses them. */
class Command {
	output = '';
	readonly ended: Promise<number | null>;
	readonly child: ChildProcess;

	constructor(script: string, ...args: string[]) {
		const tsx = path.join(ROOT, 'node_modules', '.bin', 'tsx');
		const env = { ...process.env, RUNCOMFY_API_TOKEN: '' };
		this.child = spawn(
			tsx,
			['--tsconfig', 'test/tsconfig.json', path.join('scripts', `${script}.ts`), ...args],
			{ cwd: ROOT, env },
		);
		const read = (chunk: Buffer) => (this.output += chunk.toString());
		this.child.stdout?.on('data', read);
		this.child.stderr?.on('data', read);
		this.ended = new Promise((resolve) => this.child.once('close', resolve));
	}
}

describe('npm run demo', () => {
	it.each([
		['a file that is not there', ['--image', 'nope.png'], 'There is no file'],
		['an option that it does not know', ['--nope'], "Unknown option '--nope'"],
		[
			'a palette that does not exist',
			['--palette', 'Nope'],
			'“Color Palette” must be one of: default, Ember',
		],
	])('says what is wrong with %s, and ends', async (_what, args, message) => {
		const demo = new Command('demo', ...args);
		expect(await demo.ended).toBe(1);
		expect(demo.output).toContain(message);
	});
});

describe('npm run n8n', () => {
	it('ends at once where its port is in use', async () => {
		const server = createServer();
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
		const { port } = server.address() as AddressInfo;
		const n8n = new Command('n8n', '--port', String(port));
		expect(await n8n.ended).toBe(1);
		server.close();
		expect(n8n.output).toBe(`Port ${port} is in use. Choose another one: npm run n8n -- --port 6000\n`);
	});

	it.each([
		[['--port', 'abc'], '--port must be a number from 1 to 65533\n'],
		[['--version', '1.0'], 'n8n 1.0 cannot be installed here. Choose one of: 2.41.1, 1.123.81\n'],
	])('says at once what is wrong with %j', async (args, message) => {
		const n8n = new Command('n8n', ...args);
		expect(await n8n.ended).toBe(1);
		expect(n8n.output).toBe(message);
	});

	it('says what one needs to know, and at Ctrl-C what it deletes', async () => {
		const n8n = new Command('n8n', '--port', String(await freePort()));
		await until('n8n is there', () => n8n.output.includes('Press Ctrl-C'), 100_000);
		expect(n8n.output).toMatch(/^Token +sandbox-token/m);
		const photo = /^Photo +(\S+)$/m.exec(n8n.output)?.[1] ?? '';
		expect((await fetch(photo)).headers.get('content-length')).not.toBe('0');
		const log = /^Log +(\S+)$/m.exec(n8n.output)?.[1] ?? '';
		expect(existsSync(log)).toBe(true);
		n8n.child.kill('SIGINT');
		expect(await n8n.ended).toBe(0);
		expect(n8n.output).toContain(`deleting its workflows, executions and log (${path.dirname(log)})`);
		expect(existsSync(path.dirname(log))).toBe(false);
	});
});
