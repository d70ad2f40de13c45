import { installN8n, NEWEST } from '../n8n/installation';
import { N8nInstance, storedItems, type StoredExecution, type WorkflowDefinition } from '../n8n/instance';
import { until } from '../until';
import { RUNCOMFY, workflowNode } from '../workflow';
import { ObjectStorage, ScriptedChatModel } from './fakeServices';
import {
	agentExample,
	closeN8nEnvironment,
	example,
	INSTALL_TIMEOUT_MS,
	openN8nEnvironment,
	ROOT,
	workflow,
	type N8nEnvironment,
} from './n8nEnvironment';

const REUSE = { reuseResults: 24 };

/** What is paid for once is paid for tomorrow, too: production executions, whose static data n8n keeps. */
describe(`Reuse Results in n8n ${NEWEST}`, () => {
	let env: N8nEnvironment;
	let webhooks = 0;

	beforeAll(async () => {
		env = await openN8nEnvironment(NEWEST);
	}, INSTALL_TIMEOUT_MS);
	beforeEach(() => env.sandbox.reset());
	afterAll(async () => await closeN8nEnvironment(env));

	/** The workflow, active and started by a webhook. @returns what runs it once. */
	const activate = async (definition: WorkflowDefinition): Promise<() => Promise<StoredExecution>> => {
		const path = `reuse-${++webhooks}`;
		const trigger = definition.nodes.find(({ type }) => /trigger$/i.test(type));
		if (trigger === undefined) throw new Error('The workflow has no trigger');
		Object.assign(trigger, {
			type: 'n8n-nodes-base.webhook',
			typeVersion: 2,
			webhookId: path,
			parameters: { path, options: {} },
		});
		const id = await env.n8n.createWorkflow(definition);
		await env.n8n.activate(id);
		let runs = 0;
		return async () => {
			await env.n8n.startByWebhook(path);
			const executions = await env.n8n.allFinished(id, ++runs);
			const latest = executions.at(-1);
			if (latest === undefined) throw new Error('No execution');
			return latest;
		};
	};

	const ids = (execution: StoredExecution) =>
		storedItems(execution, RUNCOMFY).map(({ json }) => json.requestId);

	/** n8n with the same data in another process. */
	const restart = async () => {
		const { userFolder } = env.n8n;
		await env.n8n.kill('SIGTERM');
		const installation = await installN8n(NEWEST, () => {});
		env.n8n = await N8nInstance.start({ installation, root: ROOT, userFolder });
	};

	it('three executions of the storage example whose upload fails pay once, with a restart of n8n in between', async () => {
		const storage = new ObjectStorage();
		const endpoint = await storage.start();
		for (const key of ['shoe.jpg', 'hat.png'])
			storage.objects.set(`/my-bucket/incoming/${key}`, Buffer.from(key));
		const account = { region: 'us-east-1', accessKeyId: 'a', secretAccessKey: 'b', forcePathStyle: true };
		const { data: s3 } = await env.n8n.rest('POST', '/credentials', {
			name: 'S3',
			type: 's3',
			data: { endpoint, ...account, ignoreSSLIssues: false },
		});
		const definition = example(env, 'storage-schedule.json');
		for (const { credentials } of definition.nodes) {
			if (credentials?.s3 !== undefined) credentials.s3 = { id: String(s3.id), name: 'S3' };
		}
		const run = await activate(definition);
		storage.refusesUploads = true;
		const statuses = [(await run()).status];
		await restart();
		statuses.push((await run()).status);
		storage.refusesUploads = false;
		const third = await run();
		storage.stop();
		expect(statuses).toEqual(['error', 'error']);
		expect(third.data?.resultData.error).toBeUndefined();
		expect(env.sandbox.stats.accepted).toBe(2);
		expect(storedItems(third, 'Replace Background').map(({ json }) => json.reused)).toEqual([true, true]);
		expect([...storage.objects.keys()].sort()).toEqual([
			'/my-bucket/done/hat.png',
			'/my-bucket/done/shoe.jpg',
			'/my-bucket/results/hat.png',
			'/my-bucket/results/shoe.png',
		]);
		const [turn] = third.data?.resultData.runData['Replace Background'] ?? [];
		expect(turn?.hints?.[0]?.message).toMatch(
			/^2 items reused requests from an earlier execution .* That saved \$/,
		);
	});

	it('an execution that timed out is resumed by the next one', async () => {
		env.sandbox.reset();
		const run = await activate(workflow(env, 3, { options: { ...REUSE, timeout: 1 } }));
		env.sandbox.faults.add({ on: 'result', kind: 'notReady', times: 30 });
		expect((await run()).status).toBe('error');
		env.sandbox.faults.clear();
		const second = await run();
		expect(second.status).toBe('success');
		expect(env.sandbox.stats.accepted).toBe(3);
		expect(ids(second)).toEqual(
			[...env.sandbox.jobs]
				.sort((a, b) => String(a.input.prompt).localeCompare(String(b.input.prompt)))
				.map(({ requestId }) => requestId),
		);
	});

	it('in a loop, each turn is paid for once, though all have the same input', async () => {
		const definition = workflow(env, 3, { prompt: 'The same scene', options: REUSE });
		const loop = workflowNode('Loop', 'n8n-nodes-base.splitInBatches', {
			typeVersion: 3,
			parameters: { batchSize: 1, options: {} },
		});
		const to = (node: string) => [{ node, type: 'main' as const, index: 0 }];
		definition.nodes.push(loop);
		Object.assign(definition.connections, {
			Items: { main: [to('Loop')] },
			Loop: { main: [to('After'), to(RUNCOMFY)] },
			[RUNCOMFY]: { main: [to('Loop')] },
		});
		const run = await activate(definition);
		const turnsOf = ({ data }: StoredExecution) =>
			data?.resultData.runData[RUNCOMFY]?.map(({ data: turn }) => turn?.main?.[0]?.[0]?.json.requestId);
		const first = turnsOf(await run());
		expect(new Set(first).size).toBe(3);
		const second = turnsOf(await run());
		expect(second).toEqual(first);
		expect(env.sandbox.stats.accepted).toBe(3);
	});

	it('in an agent’s tool, the same call in the next execution is not paid for again', async () => {
		const model = new ScriptedChatModel({ Image_URL: 'https://example.com/shoe.png', Prompt: 'on a beach' });
		const url = await model.start();
		const definition = await agentExample(env, url);
		for (const { type, parameters } of definition.nodes) {
			if (type.endsWith('runComfyTool'))
				parameters.options = { ...(parameters.options as object | undefined), ...REUSE };
		}
		const run = await activate(definition);
		await run();
		const second = await run();
		model.stop();
		expect(second.data?.resultData.error).toBeUndefined();
		expect(env.sandbox.stats.accepted).toBe(1);
		const answer = String(storedItems(second, 'AI Agent')[0]?.json.output);
		expect(answer).toContain(env.sandbox.jobs[0]?.requestId);
		expect(answer).toContain('reused');
	});

	it('in a sub-workflow, whose static data is its own', async () => {
		const child = workflow(env, 2, { options: REUSE });
		const trigger = child.nodes.find(({ name }) => name === 'Start');
		Object.assign(trigger ?? {}, {
			type: 'n8n-nodes-base.executeWorkflowTrigger',
			typeVersion: 1.1,
			parameters: { inputSource: 'passthrough' },
		});
		const childId = await env.n8n.createWorkflow(child);
		await env.n8n.activate(childId);
		const run = await activate({
			name: 'Parent',
			nodes: [
				workflowNode('Start', 'n8n-nodes-base.manualTrigger'),
				workflowNode('Call', 'n8n-nodes-base.executeWorkflow', {
					typeVersion: 1.2,
					parameters: { workflowId: { __rl: true, mode: 'id', value: childId }, options: {} },
				}),
			],
			connections: { Start: { main: [[{ node: 'Call', type: 'main', index: 0 }]] } },
		});
		expect((await run()).status).toBe('success');
		const second = await run();
		expect(second.data?.resultData.error).toBeUndefined();
		expect(storedItems(second, 'Call').map(({ json }) => json.reused)).toEqual([true, true]);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('in a workflow that a schedule starts', async () => {
		const definition = workflow(env, 2, { options: REUSE });
		Object.assign(definition.nodes.find(({ name }) => name === 'Start') ?? {}, {
			type: 'n8n-nodes-base.scheduleTrigger',
			typeVersion: 1.2,
			parameters: { rule: { interval: [{ field: 'seconds', secondsInterval: 5 }] } },
		});
		const id = await env.n8n.createWorkflow(definition);
		await env.n8n.activate(id);
		// Each execution polls both once.
		await until(
			'three have run',
			() => env.sandbox.jobs.filter(({ polls }) => polls >= 4).length === 2,
			30_000,
		);
		await env.n8n.deactivate(id);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('manual executions are not remembered', async () => {
		const definition = workflow(env, 1, { options: REUSE });
		const id = await env.n8n.createWorkflow(definition);
		for (let time = 0; time < 2; time++) {
			const { status } = await env.n8n.finished(await env.n8n.execute(id));
			expect(status).toBe('success');
		}
		expect(env.sandbox.stats.accepted).toBe(2);
	});
});
