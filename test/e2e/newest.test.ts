import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { NEWEST, installN8n } from '../n8n/installation';
import { N8nInstance, storedItems } from '../n8n/instance';
import { MailBox, ObjectStorage } from './fakeServices';
import { until } from '../until';
import { RUNCOMFY } from '../workflow';
import {
	closeN8nEnvironment,
	example,
	INSTALL_TIMEOUT_MS,
	openN8nEnvironment,
	ROOT,
	workflow,
	type N8nEnvironment,
} from './n8nEnvironment';

/** What an agent's chat model would answer, scripted: first a call of the tool, then words. */
class ScriptedChatModel {
	readonly requests: Array<{ messages: Array<{ role: string; content: unknown }>; tools?: unknown[] }> = [];
	private server?: Server;

	constructor(private readonly toolArguments: Record<string, string>) {}

	async start(): Promise<string> {
		this.server = createServer((request, response) => {
			const chunks: Buffer[] = [];
			request.on('data', (chunk: Buffer) => chunks.push(chunk));
			request.on('end', () => {
				response.setHeader('content-type', 'application/json');
				response.end(JSON.stringify(this.answer(Buffer.concat(chunks).toString())));
			});
		});
		await new Promise<void>((resolve) => this.server?.listen(0, '127.0.0.1', resolve));
		return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
	}

	stop(): void {
		this.server?.close();
	}

	private answer(body: string): unknown {
		const request = JSON.parse(body) as (typeof this.requests)[number] & {
			tools?: Array<{ function: { name: string } }>;
		};
		this.requests.push(request);
		const toolAnswer = request.messages.find(({ role }) => role === 'tool');
		const message =
			toolAnswer === undefined
				? {
						role: 'assistant',
						content: null,
						tool_calls: [
							{
								id: 'call_1',
								type: 'function',
								function: {
									name: request.tools?.[0]?.function.name,
									arguments: JSON.stringify(this.toolArguments),
								},
							},
						],
					}
				: { role: 'assistant', content: `Here it is: ${String(toolAnswer.content)}` };
		return {
			id: 'chat',
			object: 'chat.completion',
			created: 1,
			model: 'scripted',
			choices: [{ index: 0, finish_reason: toolAnswer === undefined ? 'tool_calls' : 'stop', message }],
			usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
		};
	}
}

describe(`In n8n ${NEWEST}`, () => {
	let env: N8nEnvironment;

	beforeAll(async () => {
		env = await openN8nEnvironment(NEWEST, {
			queueMs: (_n, prompt) => (prompt.includes('for long') ? 60_000 : prompt.includes('slow') ? 4_000 : 0),
		});
	}, INSTALL_TIMEOUT_MS);
	beforeEach(() => env.sandbox.reset());
	afterAll(async () => await closeN8nEnvironment(env));

	it.each(['replace-background.json', 'long-running.json'])('the example %s runs as it is', async (file) => {
		const definition = example(env, file);
		for (const node of definition.nodes.filter(({ name }) => name === 'Wait')) {
			Object.assign(node.parameters, { amount: 1, unit: 'seconds' });
		}
		const execution = await env.n8n.run(definition);
		expect(execution.status).toBe('success');
		const last = definition.nodes.some(({ name }) => name === 'Fetch the result')
			? 'Fetch the result'
			: 'Replace Background';
		expect(storedItems(execution, last)[0]?.binary?.data?.mimeType).toBe('image/png');
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it('the example text-to-image.json makes its images within the limit, and n8n shows what was spent', async () => {
		const execution = await env.n8n.run(example(env, 'text-to-image.json'));
		expect(execution.status).toBe('success');
		expect(storedItems(execution, 'Make images').map(({ binary }) => binary?.data?.fileName)).toEqual([
			'lighthouse.png',
			'market.png',
		]);
		const [turn] = execution.data?.resultData.runData['Make images'] ?? [];
		expect(turn?.hints?.[0]?.message).toBe('Spent $0.04 on 2 requests, of a Spending Limit of $0.50.');
	});

	it('the example image-to-video.json turns the new scene into a film', async () => {
		const execution = await env.n8n.run(example(env, 'image-to-video.json'));
		expect(execution.status).toBe('success');
		const [scene] = storedItems(execution, 'New scene');
		const [film] = storedItems(execution, 'Make a film');
		expect(film?.binary?.data).toMatchObject({ fileName: 'film.mp4', mimeType: 'video/mp4' });
		expect(env.sandbox.jobs[1]?.input.image).toBe(scene?.json.image);
	});

	it.each(['storage-schedule.json', 'form-upload.json', 'email-results.json', 'ai-agent-tool.json'])(
		'the example %s is imported, with all its nodes known',
		async (file) => {
			const definition = example(env, file);
			const id = await env.n8n.createWorkflow(definition);
			const { data } = await env.n8n.rest('GET', `/workflows/${id}`);
			expect((data.nodes as unknown[]).length).toBe(definition.nodes.length);
			// The tool variant of a node is made by n8n itself and is not in its list; the agent's test runs it.
			const listed = definition.nodes.filter(({ type }) => !type.endsWith('Tool'));
			const { data: types } = await env.n8n.rest('POST', '/node-types', {
				nodeInfos: listed.map(({ type, typeVersion }) => ({ name: type, version: typeVersion })),
			});
			const found = Object.values(types).map((type) => (type as { name?: string }).name);
			expect(found).toEqual(listed.map(({ type }) => type.split('.').pop()));
		},
	);

	it('the example storage-schedule.json takes photos from a storage and puts the results back', async () => {
		const storage = new ObjectStorage();
		const endpoint = await storage.start();
		const keys = ['incoming/red shoe.jpg', 'incoming/hat.png', 'incoming/notes.txt'];
		for (const key of keys) storage.objects.set(`/my-bucket/${key}`, Buffer.from(`original of ${key}`));
		const { data: s3 } = await env.n8n.rest('POST', '/credentials', {
			name: 'S3',
			type: 's3',
			data: {
				endpoint,
				region: 'us-east-1',
				accessKeyId: 'a',
				secretAccessKey: 'b',
				forcePathStyle: true,
				ignoreSSLIssues: false,
			},
		});
		const definition = example(env, 'storage-schedule.json');
		for (const { credentials } of definition.nodes) {
			if (credentials?.s3 !== undefined) credentials.s3 = { id: String(s3.id), name: 'S3' };
		}
		const execution = await env.n8n.run(definition);
		storage.stop();
		expect(execution.data?.resultData.error).toBeUndefined();
		expect([...storage.objects.keys()].sort()).toEqual([
			'/my-bucket/done/hat.png',
			'/my-bucket/done/red shoe.jpg',
			'/my-bucket/incoming/notes.txt',
			'/my-bucket/results/hat.png',
			'/my-bucket/results/red shoe.png',
		]);
		expect(storage.objects.get('/my-bucket/done/hat.png')?.toString()).toBe('original of incoming/hat.png');
		expect(storage.objects.get('/my-bucket/results/hat.png')?.toString('latin1', 1, 4)).toBe('PNG');
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('the example email-results.json sends the image as an attachment', async () => {
		const mailBox = new MailBox();
		const port = await mailBox.start();
		const { data: smtp } = await env.n8n.rest('POST', '/credentials', {
			name: 'SMTP',
			type: 'smtp',
			data: { user: '', password: '', host: '127.0.0.1', port, secure: false, disableStartTls: true },
		});
		const definition = example(env, 'email-results.json');
		for (const { credentials } of definition.nodes) {
			if (credentials?.smtp !== undefined) credentials.smtp = { id: String(smtp.id), name: 'SMTP' };
		}
		const execution = await env.n8n.run(definition);
		mailBox.stop();
		expect(execution.data?.resultData.error).toBeUndefined();
		expect(mailBox.messages).toHaveLength(1);
		expect(mailBox.messages[0]).toContain('filename=new-scene.png');
		// The Base64 of a PNG's first bytes.
		expect(mailBox.messages[0]).toContain('iVBORw0KGgo');
		expect(mailBox.messages[0]).toContain('To: you@example.com');
	});

	it('an AI agent uses the node as its tool', async () => {
		const model = new ScriptedChatModel({ Image_URL: 'https://example.com/shoe.png', Prompt: 'on a beach' });
		const url = await model.start();
		const { data: openAi } = await env.n8n.rest('POST', '/credentials', {
			name: 'OpenAI',
			type: 'openAiApi',
			data: { apiKey: 'none', url },
		});
		const definition = example(env, 'ai-agent-tool.json');
		for (const node of definition.nodes) {
			if (node.name === 'Chat') {
				Object.assign(node, { type: 'n8n-nodes-base.manualTrigger', typeVersion: 1, parameters: {} });
			}
			if (node.name === 'AI Agent')
				Object.assign(node.parameters, { promptType: 'define', text: 'Put my shoe on a beach' });
			if (node.name === 'Chat model')
				node.credentials = { openAiApi: { id: String(openAi.id), name: 'OpenAI' } };
		}
		const execution = await env.n8n.run(definition);
		model.stop();
		expect(execution.data?.resultData.error).toBeUndefined();
		expect(env.sandbox.jobs.map(({ input }) => [input.image, input.prompt])).toEqual([
			['https://example.com/shoe.png', 'on a beach'],
		]);
		// The tool's answer has reached the model, and with it the URL.
		const answer = String(storedItems(execution, 'AI Agent')[0]?.json.output);
		expect(answer).toContain(env.sandbox.jobs[0]?.requestId);
		expect(answer).toContain('/outputs/');
	});

	it('n8n’s own timeout works like Stop: what is queued is cancelled', async () => {
		const { n8n, sandbox } = env;
		const definition = workflow(env, 2, { prompt: '=queued for long {{ $json.n }}' });
		const execution = await n8n.run({
			...definition,
			settings: { executionOrder: 'v1', executionTimeout: 2 },
		});
		expect(execution.status).toBe('canceled');
		await until('both are cancelled', () => sandbox.stats.cancelled === 2, 6_000);
		expect(sandbox.stats.submits).toBe(2);
	});

	it('“Retry execution” resumes what the failed execution has submitted', async () => {
		const { n8n, sandbox } = env;
		const failed = await n8n.run(
			workflow(env, 1, { prompt: '=slow scene {{ $json.n }}', options: { timeout: 3 } }),
		);
		expect(failed.status).toBe('error');
		expect(failed.data?.resultData.error?.message).toContain(sandbox.jobs[0]?.requestId);
		const { data } = await n8n.rest('POST', `/executions/${failed.id}/retry`, { loadWorkflow: false });
		const retried = await n8n.finished(String(data.id ?? Number(failed.id) + 1));
		expect(retried.status).toBe('success');
		expect(storedItems(retried, RUNCOMFY)[0]?.json.requestId).toBe(sandbox.jobs[0]?.requestId);
		expect(sandbox.stats.submits).toBe(1);
	});

	it('after a crash (kill -9) the log has the request ids, and Get Result fetches the images', async () => {
		const { sandbox } = env;
		const log = env.n8n.log;
		await env.n8n.execute(
			await env.n8n.createWorkflow(workflow(env, 3, { prompt: '=slow scene {{ $json.n }}' })),
		);
		await until('all are submitted', () => sandbox.stats.accepted === 3);
		// Accepted at the sandbox is not yet known to n8n: the answers may still be on their way.
		await until('the log has them', () =>
			sandbox.jobs.every(({ requestId }) => log.some((line) => line.includes(requestId))),
		);
		const { userFolder } = env.n8n;
		await env.n8n.kill('SIGKILL');

		const ids = log
			.flatMap((line) => /RunComfy request (\S+) submitted for item \d/.exec(line)?.[1] ?? [])
			.slice(-3);
		expect([...ids].sort()).toEqual(sandbox.jobs.map(({ requestId }) => requestId).sort());

		const installation = await installN8n(NEWEST, () => {});
		env.n8n = await N8nInstance.start({ installation, root: ROOT, userFolder });
		const execution = await env.n8n.run(
			workflow(env, 3, {
				resource: 'request',
				operation: 'getResult',
				requestId: `={{ ${JSON.stringify(ids)}[$json.n] }}`,
				downloadFiles: true,
			}),
		);
		expect(execution.status).toBe('success');
		expect(storedItems(execution, RUNCOMFY).map(({ json }) => json.requestId)).toEqual(ids);
		expect(sandbox.stats.submits).toBe(3);
	});
});
