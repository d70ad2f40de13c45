import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { installN8n } from './installation';
import { freePort, N8nInstance } from './instance';

const REDIS = '/usr/bin/redis-server';
/** Debian has a folder for each version of PostgreSQL. */
const POSTGRES = '/usr/lib/postgresql';
/** PostgreSQL refuses to run as root. */
const UNPRIVILEGED = 'nobody';
const DATABASE_START_MS = 30_000;

/** True where Debian's packages of Redis and PostgreSQL are installed. */
export function canRunQueueMode(): boolean {
	return existsSync(REDIS) && existsSync(POSTGRES);
}

export interface QueueModeOptions {
	version: string;
	/** The root of this project, built. */
	root: string;
	workers: number;
	environment?: NodeJS.ProcessEnv;
}

/**
 * n8n in queue mode as companies run it: PostgreSQL, Redis, one main, some workers. All data is in temporary folders.
 */
export class QueueMode {
	readonly workers: N8nInstance[] = [];

	private constructor(
		readonly main: N8nInstance,
		private readonly options: QueueModeOptions,
		private readonly environment: NodeJS.ProcessEnv,
		private readonly services: Service[],
	) {}

	static async start(options: QueueModeOptions): Promise<QueueMode> {
		const services: Service[] = [];
		try {
			services.push(await startPostgres());
			services.push(await startRedis());
			return await QueueMode.startWith(services, options);
		} catch (error) {
			for (const service of services) await service.close();
			throw error;
		}
	}

	private static async startWith(services: Service[], options: QueueModeOptions): Promise<QueueMode> {
		const { version, root } = options;
		const environment = {
			EXECUTIONS_MODE: 'queue',
			OFFLOAD_MANUAL_EXECUTIONS_TO_WORKERS: 'true',
			// A worker that is killed is noticed within seconds, and not after a minute.
			QUEUE_WORKER_LOCK_DURATION: '6000',
			QUEUE_WORKER_LOCK_RENEW_TIME: '2000',
			QUEUE_WORKER_STALLED_INTERVAL: '3000',
			...Object.assign({}, ...services.map((service) => service.environment)),
			...options.environment,
		};
		const installation = await installN8n(version, console.log);
		const main = await N8nInstance.start({ installation, root, environment });
		const queueMode = new QueueMode(main, options, environment, services);
		await Promise.all(Array.from({ length: options.workers }, async () => await queueMode.startWorker()));
		return queueMode;
	}

	async startWorker(environment: NodeJS.ProcessEnv = {}): Promise<void> {
		this.workers.push(
			await N8nInstance.start({
				installation: await installN8n(this.options.version, () => {}),
				root: this.options.root,
				userFolder: this.main.userFolder,
				role: 'worker',
				environment: { ...this.environment, ...environment },
			}),
		);
	}

	/** Ends a worker and forgets it. SIGKILL is a crash. */
	async killWorker(worker: N8nInstance, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
		this.workers.splice(this.workers.indexOf(worker), 1);
		await worker.kill(signal);
	}

	async close(): Promise<void> {
		await Promise.all(this.workers.map(async (worker) => await worker.kill('SIGTERM')));
		await this.main.close();
		for (const service of this.services) await service.close();
	}
}

interface Service {
	/** How n8n finds it. */
	environment: NodeJS.ProcessEnv;
	close(): Promise<void>;
}

async function startRedis(): Promise<Service> {
	const port = String(await freePort());
	const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
	const redis = spawn(REDIS, args, { stdio: 'ignore' });
	return {
		environment: { QUEUE_BULL_REDIS_HOST: '127.0.0.1', QUEUE_BULL_REDIS_PORT: port },
		close: async () => await end(redis, 'SIGTERM'),
	};
}

/** A cluster of its own, without the precautions against a power failure. */
async function startPostgres(): Promise<Service> {
	const newest = readdirSync(POSTGRES)
		.sort((a, b) => Number(a) - Number(b))
		.at(-1);
	const bin = path.join(POSTGRES, newest ?? '', 'bin');
	const folder = mkdtempSync(path.join(tmpdir(), 'runcomfy-postgres-'));
	const user = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
	if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
	const data = path.join(folder, 'data');
	execFileSync(
		path.join(bin, 'initdb'),
		['-D', data, '-U', 'n8n', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
		{ ...user, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] },
	);
	const port = String(await freePort());
	const settings = [
		'fsync=off',
		'listen_addresses=127.0.0.1',
		'unix_socket_directories=',
		'max_connections=60',
	];
	const postgres = spawn(
		path.join(bin, 'postgres'),
		['-D', data, '-p', port, ...settings.flatMap((setting) => ['-c', setting])],
		{ ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
	);
	await new Promise<void>((resolve, reject) => {
		let log = '';
		const give = (why: string) => reject(new Error(`PostgreSQL did not start (${why}):\n${log}`));
		const timer = setTimeout(() => give(`${DATABASE_START_MS / 1000} s are over`), DATABASE_START_MS);
		postgres.once('close', (code) => give(`it ended with ${code}`));
		postgres.stderr.on('data', (chunk: Buffer) => {
			log = `${log}${chunk.toString()}`.slice(-4_000);
			if (!log.includes('ready to accept connections')) return;
			clearTimeout(timer);
			resolve();
		});
	});
	return {
		environment: {
			DB_TYPE: 'postgresdb',
			DB_POSTGRESDB_HOST: '127.0.0.1',
			DB_POSTGRESDB_PORT: port,
			DB_POSTGRESDB_DATABASE: 'postgres',
			DB_POSTGRESDB_USER: 'n8n',
			DB_POSTGRESDB_PASSWORD: 'not-asked-for',
		},
		close: async () => {
			// Fast shutdown: it does not wait for its clients.
			await end(postgres, 'SIGINT');
			rmSync(folder, { recursive: true, force: true });
		},
	};
}

function idOf(which: '-u' | '-g'): number {
	return Number(execFileSync('id', [which, UNPRIVILEGED]).toString());
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const ended = new Promise((resolve) => child.once('close', resolve));
	child.kill(signal);
	await ended;
}
