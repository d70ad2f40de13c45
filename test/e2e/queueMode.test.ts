import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';

import { NEWEST, installN8n } from '../n8n/installation';
import { freePort, N8nInstance, storedItems } from '../n8n/instance';
import { Sandbox, SANDBOX_TOKEN } from '../sandbox/sandbox';
import { until } from '../until';
import { RUNCOMFY } from '../workflow';
import { INSTALL_TIMEOUT_MS, ROOT, workflow, type N8nEnvironment } from './n8nEnvironment';

/** Queue mode: Redis (Debian's; without it these tests are reported as skipped), one main, two workers. */
const REDIS = '/usr/bin/redis-server';
const EXECUTIONS = 40;
const ITEMS = 5;

(existsSync(REDIS) ? describe : describe.skip)('In queue mode', () => {
	let redis: ChildProcess;
	let sandbox: Sandbox;
	let main: N8nInstance;
	let workers: N8nInstance[];
	let env: N8nEnvironment;
	let environment: NodeJS.ProcessEnv;

	const startWorker = async () =>
		await N8nInstance.start({
			installation: await installN8n(NEWEST, () => {}),
			root: ROOT,
			userFolder: main.userFolder,
			role: 'worker',
			environment,
		});

	beforeAll(async () => {
		const port = await freePort();
		redis = spawn(
			REDIS,
			['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
			{ stdio: 'ignore' },
		);
		sandbox = await Sandbox.start({
			pictures: 'plain',
			queueMs: (_n, prompt) => (prompt.includes('long') ? 60_000 : 50),
			runMs: (n, prompt) => (prompt.includes('slow') ? 8_000 : 200 + (n % 5) * 100),
		});
		environment = {
			EXECUTIONS_MODE: 'queue',
			QUEUE_BULL_REDIS_HOST: '127.0.0.1',
			QUEUE_BULL_REDIS_PORT: String(port),
			OFFLOAD_MANUAL_EXECUTIONS_TO_WORKERS: 'true',
			QUEUE_WORKER_LOCK_DURATION: '6000',
			QUEUE_WORKER_LOCK_RENEW_TIME: '2000',
			QUEUE_WORKER_STALLED_INTERVAL: '3000',
		};
		main = await N8nInstance.start({
			installation: await installN8n(NEWEST, console.log),
			root: ROOT,
			environment,
		});
		workers = [await startWorker(), await startWorker()];
		const credential = await main.createCredential(SANDBOX_TOKEN, sandbox.url);
		env = { n8n: main, sandbox, credential };
	}, INSTALL_TIMEOUT_MS);
	beforeEach(() => sandbox.reset());
	afterAll(async () => {
		for (const worker of workers ?? []) await worker.kill('SIGTERM');
		await main?.close();
		await sandbox?.close();
		redis?.kill();
		if (main !== undefined) rmSync(main.userFolder, { recursive: true, force: true });
	});

	it(`finishes ${EXECUTIONS} executions of ${ITEMS} items on both workers, and pays for none twice`, async () => {
		const id = await main.createWorkflow(workflow(env, ITEMS, {}));
		const executions = [];
		for (let n = 0; n < EXECUTIONS; n++) executions.push(await main.execute(id));
		const finished = await Promise.all(
			executions.map(async (execution) => await main.finished(execution, 100_000)),
		);
		expect(finished.map(({ status }) => status)).toEqual(Array(EXECUTIONS).fill('success'));
		const ids = finished.flatMap((execution) =>
			storedItems(execution, RUNCOMFY).map(({ json }) => json.requestId),
		);
		expect(new Set(ids).size).toBe(EXECUTIONS * ITEMS);
		expect(sandbox.stats).toMatchObject({ submits: EXECUTIONS * ITEMS, accepted: EXECUTIONS * ITEMS });
		for (const { log } of workers) expect(log.some((line) => line.includes('submitted for item'))).toBe(true);
	});

	it('Stop from the main reaches the request in the worker', async () => {
		const execution = await main.execute(
			await main.createWorkflow(workflow(env, 2, { prompt: '=long {{ $json.n }}' })),
		);
		await until('both are submitted', () => sandbox.stats.accepted === 2);
		await main.stop(execution);
		await until('both are cancelled', () => sandbox.stats.cancelled === 2, 10_000);
		expect((await main.finished(execution)).status).toBe('canceled');
	});

	it('a worker killed mid-run loses no request id, and nothing is submitted again', async () => {
		const execution = await main.execute(
			await main.createWorkflow(workflow(env, 3, { prompt: '=slow {{ $json.n }}' })),
		);
		await until('all are submitted', () => sandbox.stats.accepted === 3);
		// Accepted at the sandbox is not yet known to the worker: the answers may still be on their way.
		const knowsAll = ({ log }: N8nInstance) =>
			sandbox.jobs.every(({ requestId }) => log.some((line) => line.includes(requestId)));
		await until('a worker’s log has them', () => workers.some(knowsAll));
		const victim = workers.findIndex(knowsAll);
		const [killed] = workers.splice(victim, 1);
		await killed?.kill('SIGKILL');
		const written = killed?.log.join('\n') ?? '';
		for (const job of sandbox.jobs) expect(written).toContain(job.requestId);
		const end = await main.finished(execution, 60_000);
		expect(['error', 'crashed']).toContain(end.status);
		expect(sandbox.stats.submits).toBe(3);

		const ids = sandbox.jobs.map((job) => job.requestId);
		const fetched = await main.run(
			workflow(env, 3, {
				resource: 'request',
				operation: 'getResult',
				requestId: `={{ ${JSON.stringify(ids)}[$json.n] }}`,
			}),
		);
		expect(storedItems(fetched, RUNCOMFY).map(({ json }) => json.status)).toEqual(Array(3).fill('succeeded'));
	});
});
