import { NEWEST, OLDEST, installN8n } from '../n8n/installation';
import { N8nInstance, type WorkflowDefinition } from '../n8n/instance';
import { canRunQueueMode, QueueMode } from '../n8n/queueMode';
import { Sandbox, SANDBOX_TOKEN, type SandboxOptions } from '../sandbox/sandbox';
import { until } from '../until';
import { ObjectStorage } from './fakeServices';
import {
	closeN8nEnvironment,
	exampleWithStorage,
	INSTALL_TIMEOUT_MS,
	openN8nEnvironment,
	ROOT,
	type N8nEnvironment,
} from './n8nEnvironment';

/** The example paid-once-nightly.json: whatever happens between two nights, no photo is paid for twice. */
const PHOTOS = ['hat.png', 'red shoe.jpg', 'vase.webp'];
/** Long enough to stop or kill n8n while requests run. */
const SLOW: SandboxOptions = { pictures: 'plain', queueMs: 0, runMs: 4_000 };

interface Night {
	storage: ObjectStorage;
	id: string;
}

/** Three photos and a text in the storage, and the workflow. */
async function prepare(env: N8nEnvironment, version = NEWEST): Promise<Night> {
	const storage = new ObjectStorage();
	for (const name of [...PHOTOS, 'notes.txt'])
		storage.objects.set(`/my-bucket/incoming/${name}`, Buffer.from(`original of ${name}`));
	const definition = await exampleWithStorage(env, 'paid-once-nightly.json', storage);
	// Each test has a table of its own.
	const table = `photos_${Math.random().toString(36).slice(2)}`;
	const text = JSON.stringify(definition).replaceAll('runcomfy_photos', table);
	const own = JSON.parse(text) as WorkflowDefinition;
	if (version === OLDEST) await useTableMadeByHand(env, own, table);
	return { storage, id: await env.n8n.createWorkflow(own) };
}

/** In n8n 1, the Data Table node creates no table, and takes one by its id only: a person makes it and chooses it. */
async function useTableMadeByHand({ n8n }: N8nEnvironment, definition: WorkflowDefinition, name: string) {
	const { data: project } = await n8n.rest('GET', '/projects/personal');
	const columns = ['photo', 'state', 'requestId'].map((column) => ({ name: column, type: 'string' }));
	const { data: table } = await n8n.rest('POST', `/projects/${String(project.id)}/data-tables`, {
		name,
		columns,
	});
	for (const { parameters } of definition.nodes)
		if ('dataTableId' in parameters)
			Object.assign(parameters.dataTableId as object, { mode: 'id', value: table.id });
	const create = definition.nodes.find((node) => node.name === 'Create the table');
	Object.assign(create ?? {}, { type: 'n8n-nodes-base.noOp', parameters: {} });
}

const results = ({ storage }: Night) =>
	[...storage.objects.keys()].filter((name) => name.startsWith('/my-bucket/results/')).length;

/** How often each photo was accepted, without what RunComfy reports as failed or cancelled. */
function paid(sandbox: Sandbox): Record<string, number> {
	const counts: Record<string, number> = {};
	for (const { requestId, input } of sandbox.jobs) {
		if (['failed', 'cancelled'].includes(String(sandbox.stateOf(requestId)))) continue;
		const name = decodeURIComponent(String(input.image).split('/').pop() ?? '');
		counts[name] = (counts[name] ?? 0) + 1;
	}
	return counts;
}

/** How many requests Get Result has asked for. */
const polled = ({ sandbox }: N8nEnvironment) =>
	sandbox.jobs.filter(({ polls, statusPolls }) => polls + statusPolls > 0).length;

const ONCE = Object.fromEntries(PHOTOS.map((name) => [name, 1]));

describe.each([NEWEST, OLDEST])('The example paid-once-nightly.json in n8n %s', (version) => {
	let env: N8nEnvironment;
	let night: Night;

	beforeAll(async () => {
		env = await openN8nEnvironment(version, SLOW);
	}, INSTALL_TIMEOUT_MS);
	beforeEach(async () => {
		env.sandbox.reset();
		night = await prepare(env, version);
	});
	afterEach(() => night.storage.stop());
	afterAll(async () => await closeN8nEnvironment(env));

	const restart = async () => {
		const { userFolder } = env.n8n;
		await env.n8n.kill('SIGKILL');
		const installation = await installN8n(version, () => {});
		env.n8n = await N8nInstance.start({ installation, root: ROOT, userFolder });
	};
	const run = async () => await env.n8n.finished(await env.n8n.execute(night.id));

	it('fetches again what could not be stored, makes again what failed, and then does nothing', async () => {
		env.sandbox.faults.add({ job: 'failed', times: 1 });
		night.storage.refusesUploads = true;
		const first = await run();
		expect([first.status, results(night), env.sandbox.stats.accepted]).toEqual(['success', 0, 3]);
		night.storage.refusesUploads = false;
		const second = await run();
		expect([second.status, results(night), env.sandbox.stats.accepted]).toEqual(['success', 3, 4]);
		const third = await run();
		expect([third.status, env.sandbox.stats.accepted]).toEqual(['success', 4]);
		expect(paid(env.sandbox)).toEqual(ONCE);
	});

	it('finishes on the next night what a crash of n8n has interrupted', async () => {
		await env.n8n.execute(night.id);
		await until('the results are waited for', () => polled(env) === 3);
		await restart();
		expect((await run()).status).toBe('success');
		expect(results(night)).toBe(3);
		expect(paid(env.sandbox)).toEqual(ONCE);
	});

	it('submits nothing again where the crash came before the answer to a submit was noted', async () => {
		env.sandbox.faults.add({ on: 'submit', kind: 'slow', delayMs: 3_000, times: 1 });
		await env.n8n.execute(night.id);
		await until('the first is accepted', () => env.sandbox.stats.accepted === 1);
		await restart();
		expect((await run()).status).toBe('success');
		// The interrupted photo is left for a person to look at.
		expect(results(night)).toBe(2);
		expect(paid(env.sandbox)).toEqual(ONCE);
	});

	it.each([
		['while photos are submitted', (e: N8nEnvironment) => e.sandbox.stats.accepted === 2],
		['while the results are waited for', (e: N8nEnvironment) => polled(e) >= 3],
	])('pays for no photo twice after Stop %s', async (_when, isTime) => {
		const id = await env.n8n.execute(night.id);
		await until('it is time to stop', () => isTime(env));
		await env.n8n.stop(id);
		expect((await env.n8n.finished(id)).status).toBe('canceled');
		expect((await run()).status).toBe('success');
		expect((await run()).status).toBe('success');
		expect(Math.max(...Object.values(paid(env.sandbox)))).toBe(1);
		expect(results(night)).toBeGreaterThanOrEqual(2);
	});

	it('makes a photo on the next night whose submit was refused', async () => {
		env.sandbox.faults.add({ on: 'submit', kind: 'errorCode', times: 1 });
		await run();
		expect([results(night), env.sandbox.stats.accepted]).toEqual([2, 2]);
		await run();
		expect(results(night)).toBe(3);
		expect(paid(env.sandbox)).toEqual(ONCE);
	});
});

const describeQueueMode = canRunQueueMode() ? describe : describe.skip;

describeQueueMode(`The example paid-once-nightly.json in queue mode with PostgreSQL, n8n ${NEWEST}`, () => {
	let sandbox: Sandbox;
	let queueMode: QueueMode;
	let env: N8nEnvironment;
	let night: Night;

	beforeAll(async () => {
		sandbox = await Sandbox.start(SLOW);
		queueMode = await QueueMode.start({
			version: NEWEST,
			root: ROOT,
			workers: 2,
			environment: { N8N_DEFAULT_BINARY_DATA_MODE: 'database' },
		});
		const n8n = queueMode.main;
		env = { n8n, sandbox, credential: await n8n.createCredential(SANDBOX_TOKEN, sandbox.url) };
	}, INSTALL_TIMEOUT_MS);
	beforeEach(async () => {
		sandbox.reset();
		night = await prepare(env);
	});
	afterEach(() => night.storage.stop());
	afterAll(async () => {
		await queueMode?.close();
		await sandbox?.close();
	});

	it('two executions at once pay for each photo once', async () => {
		const twice = await Promise.all([env.n8n.execute(night.id), env.n8n.execute(night.id)]);
		for (const id of twice) expect((await env.n8n.finished(id)).status).toBe('success');
		// Where both gave way to each other, the next night makes the photo.
		await env.n8n.finished(await env.n8n.execute(night.id));
		expect(results(night)).toBe(3);
		expect(paid(sandbox)).toEqual(ONCE);
	});

	it('the night after a worker was killed finishes what it has submitted', async () => {
		await env.n8n.execute(night.id);
		await until('the results are waited for', () => polled(env) >= 3);
		for (const worker of [...queueMode.workers]) await queueMode.killWorker(worker, 'SIGKILL');
		await queueMode.startWorker();
		expect((await env.n8n.finished(await env.n8n.execute(night.id))).status).toBe('success');
		expect(results(night)).toBe(3);
		expect(paid(sandbox)).toEqual(ONCE);
	});
});
