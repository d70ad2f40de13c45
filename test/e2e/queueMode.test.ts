import type { INode } from 'n8n-workflow';
import { request } from 'undici';

import { NEWEST, OLDEST } from '../n8n/installation';
import {
	storedItems,
	type N8nInstance,
	type StoredExecution,
	type WorkflowDefinition,
} from '../n8n/instance';
import { canRunQueueMode, QueueMode } from '../n8n/queueMode';
import { Sandbox, SANDBOX_TOKEN } from '../sandbox/sandbox';
import { until } from '../until';
import { RUNCOMFY } from '../workflow';
import { INSTALL_TIMEOUT_MS, ROOT, workflow, type N8nEnvironment } from './n8nEnvironment';

/**
 * Queue mode with PostgreSQL and Redis (Debian's; without them these tests are reported as skipped), one main and two
 * workers. Executions are started by a webhook, as in production.
 */
const EXECUTIONS = 40;
const ITEMS = 5;

/** Jobs whose prompt has “long” stay queued; “slow” ones run for some seconds. */
async function startSandbox(): Promise<Sandbox> {
	return await Sandbox.start({
		pictures: 'plain',
		queueMs: (_n, prompt) => (prompt.includes('long') ? 60_000 : 50),
		runMs: (n, prompt) => (prompt.includes('slow') ? 8_000 : 200 + (n % 5) * 100),
	});
}

/** Creates the workflow with another trigger, and activates it. @returns its id. */
async function activated(
	main: N8nInstance,
	definition: WorkflowDefinition,
	trigger: Partial<INode>,
): Promise<string> {
	const nodes = definition.nodes.map((node) => (node.name === 'Start' ? { ...node, ...trigger } : node));
	const id = await main.createWorkflow({ ...definition, nodes });
	await main.activate(id);
	return id;
}

/** A workflow that begins with a webhook. @returns its id, and what starts it. */
async function production(main: N8nInstance, definition: WorkflowDefinition) {
	const path = definition.name.replace(/\W/g, '');
	const type = 'n8n-nodes-base.webhook';
	const id = await activated(main, definition, {
		type,
		typeVersion: 2,
		webhookId: path,
		parameters: { path },
	});
	return { id, start: async () => await main.startByWebhook(path) };
}

const requestIds = (execution: StoredExecution) =>
	storedItems(execution, RUNCOMFY).map(({ json }) => String(json.requestId));

const knows = ({ log }: N8nInstance, requestId: string) => log.some((line) => line.includes(requestId));

/** Whether RunComfy holds so many requests, and all are in a worker's log: until then, an answer is on its way. */
function hasLogged({ workers }: QueueMode, sandbox: Sandbox, count: number): boolean {
	const isLogged = (requestId: string) => workers.some((worker) => knows(worker, requestId));
	return sandbox.jobs.length === count && sandbox.jobs.every(({ requestId }) => isLogged(requestId));
}

const describeQueueMode = canRunQueueMode() ? describe : describe.skip;

describeQueueMode(`In queue mode, n8n ${NEWEST}`, () => {
	let sandbox: Sandbox;
	let queueMode: QueueMode;
	let main: N8nInstance;
	let env: N8nEnvironment;

	beforeAll(async () => {
		sandbox = await startSandbox();
		queueMode = await QueueMode.start({
			version: NEWEST,
			root: ROOT,
			workers: 2,
			environment: { N8N_DEFAULT_BINARY_DATA_MODE: 'database' },
		});
		main = queueMode.main;
		const credential = await main.createCredential(SANDBOX_TOKEN, sandbox.url);
		env = { n8n: main, sandbox, credential };
	}, INSTALL_TIMEOUT_MS);
	beforeEach(() => sandbox.reset());
	afterAll(async () => {
		await queueMode?.close();
		await sandbox?.close();
	});

	it(`finishes ${EXECUTIONS} executions of ${ITEMS} downloaded items on both workers, and pays for none twice`, async () => {
		const { id, start } = await production(main, workflow(env, ITEMS, { downloadFiles: true }));
		const before = queueMode.workers.map(({ resources }) => resources);
		const startedAt = Date.now();
		await Promise.all(Array.from({ length: EXECUTIONS }, start));
		const finished = await main.allFinished(id, EXECUTIONS, 100_000);
		const seconds = (Date.now() - startedAt) / 1_000;
		if (process.env.QUEUE_MODE_FIGURES !== undefined) {
			const workers = queueMode.workers.map(({ resources: { cpuSeconds, peakMb } }, n) => ({
				cpuSeconds: cpuSeconds - (before[n]?.cpuSeconds ?? 0),
				peakMbBefore: before[n]?.peakMb,
				peakMb,
			}));
			console.log({ seconds, workers, stats: sandbox.stats });
		}

		expect(finished.map(({ status }) => status)).toEqual(Array(EXECUTIONS).fill('success'));
		const ids = finished.flatMap(requestIds);
		expect(new Set(ids).size).toBe(EXECUTIONS * ITEMS);
		expect(sandbox.stats).toMatchObject({ submits: EXECUTIONS * ITEMS, accepted: EXECUTIONS * ITEMS });
		for (const { log } of queueMode.workers)
			expect(log.some((line) => line.includes('submitted for item'))).toBe(true);
		// The files are in the database: the main reads what a worker has downloaded.
		const files = finished.flatMap((execution) =>
			storedItems(execution, RUNCOMFY).map(({ binary }) => String(binary?.data?.id)),
		);
		expect(files.filter((file) => file.startsWith('database'))).toHaveLength(EXECUTIONS * ITEMS);
		expect(new Set(files).size).toBe(EXECUTIONS * ITEMS);
		const [first] = finished.flatMap((execution) => storedItems(execution, RUNCOMFY));
		const { body } = await request(String(first?.json.image));
		expect(await main.readFile(String(files[0]))).toEqual(Buffer.from(await body.arrayBuffer()));
	});

	it('Stop from the main reaches the request in the worker', async () => {
		const { id, start } = await production(main, workflow(env, 2, { prompt: '=long {{ $json.n }}' }));
		await start();
		await until('both are submitted', () => sandbox.stats.accepted === 2);
		const [execution] = await main.executionsOf(id);
		await main.stop(String(execution?.id));
		await until('both are cancelled', () => sandbox.stats.cancelled === 2, 10_000);
		expect((await main.finished(String(execution?.id))).status).toBe('canceled');
	});

	it('a worker killed mid-run loses no request id, and nothing is submitted twice', async () => {
		// Each worker works on five; the others wait in the queue.
		const count = 14;
		const underWay = 10;
		const { id, start } = await production(
			main,
			workflow(env, ITEMS, { prompt: '=slow {{ $execution.id }} {{ $json.n }}' }),
		);
		await Promise.all(Array.from({ length: count }, start));
		await until('the workers have submitted all they can', () =>
			hasLogged(queueMode, sandbox, underWay * ITEMS),
		);
		const [victim] = queueMode.workers;
		if (victim === undefined) throw new Error('No worker');
		const lost = sandbox.jobs
			.map(({ requestId }) => requestId)
			.filter((requestId) => knows(victim, requestId));
		const killedAt = Date.now();
		await queueMode.killWorker(victim, 'SIGKILL');
		const finished = await main.allFinished(id, count, 100_000);
		if (process.env.QUEUE_MODE_FIGURES !== undefined)
			console.log(`All ended ${(Date.now() - killedAt) / 1_000} s after the worker was killed`);

		const ended = (status: string) => finished.filter((execution) => execution.status === status);
		expect(lost).toHaveLength((underWay / 2) * ITEMS);
		expect(ended('error')).toHaveLength(underWay / 2);
		expect(ended('success')).toHaveLength(count - underWay / 2);
		expect(sandbox.stats.submits).toBe(count * ITEMS);
		// The prompt names the execution and the item.
		expect(new Set(sandbox.jobs.map(({ input }) => input.prompt)).size).toBe(count * ITEMS);
		const returned = ended('success').flatMap(requestIds);
		expect([...returned, ...lost].sort()).toEqual(sandbox.jobs.map(({ requestId }) => requestId).sort());

		const fetched = await main.run(
			workflow(env, lost.length, {
				resource: 'request',
				operation: 'getResult',
				requestId: `={{ ${JSON.stringify(lost)}[$json.n] }}`,
			}),
		);
		expect(storedItems(fetched, RUNCOMFY).map(({ json }) => json.status)).toEqual(
			lost.map(() => 'succeeded'),
		);
	});
});

describeQueueMode(`In queue mode, n8n ${OLDEST}`, () => {
	let sandbox: Sandbox;
	let queueMode: QueueMode;
	let env: N8nEnvironment;

	beforeAll(async () => {
		sandbox = await startSandbox();
		queueMode = await QueueMode.start({ version: OLDEST, root: ROOT, workers: 0 });
		const credential = await queueMode.main.createCredential(SANDBOX_TOKEN, sandbox.url);
		env = { n8n: queueMode.main, sandbox, credential };
	}, INSTALL_TIMEOUT_MS);
	beforeEach(() => sandbox.reset());
	afterEach(async () => {
		for (const worker of [...queueMode.workers]) await queueMode.killWorker(worker, 'SIGTERM');
	});
	afterAll(async () => {
		await queueMode?.close();
		await sandbox?.close();
	});

	it.each([
		[
			'by default, the execution of a killed worker starts again and pays for everything twice',
			{},
			'success',
			2,
		],
		[
			'with QUEUE_WORKER_MAX_STALLED_COUNT=0 on the workers, it fails and nothing is submitted again',
			{ QUEUE_WORKER_MAX_STALLED_COUNT: '0' },
			'error',
			1,
		],
	])('%s', async (_name, environment, status, submitsOfEach) => {
		await Promise.all([queueMode.startWorker(environment), queueMode.startWorker(environment)]);
		const workers = [...queueMode.workers];
		const { id, start } = await production(
			queueMode.main,
			workflow(env, 3, { prompt: '=slow {{ $json.n }}' }),
		);
		await start();
		await until('all are submitted', () => hasLogged(queueMode, sandbox, 3));
		const [first] = sandbox.jobs;
		const victim = workers.find((worker) => first !== undefined && knows(worker, first.requestId));
		if (victim === undefined) throw new Error('No worker has it');
		await queueMode.killWorker(victim, 'SIGKILL');
		const [end] = await queueMode.main.allFinished(id, 1);
		expect(end?.status).toBe(status);
		expect(sandbox.stats.accepted).toBe(3 * submitsOfEach);
		for (const { requestId } of sandbox.jobs)
			expect(workers.some((worker) => knows(worker, requestId))).toBe(true);
	});
});
