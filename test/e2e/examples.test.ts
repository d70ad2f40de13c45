import { NEWEST, OLDEST } from '../n8n/installation';
import { storedItems } from '../n8n/instance';
import { MailBox, ObjectStorage, ScriptedChatModel } from './fakeServices';
import {
	agentExample,
	closeN8nEnvironment,
	example,
	exampleWithStorage,
	INSTALL_TIMEOUT_MS,
	openN8nEnvironment,
	type N8nEnvironment,
} from './n8nEnvironment';

describe.each([NEWEST, OLDEST])('The examples in n8n %s', (version) => {
	let env: N8nEnvironment;

	beforeAll(async () => {
		env = await openN8nEnvironment(version);
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

	it.each([
		['RunComfy calls', {}],
		['RunComfy’s call is lost', { webhookUrl: 'http://127.0.0.1:9/lost' }],
	])('the example comfyui-background.json fetches the result when %s', async (_when, options) => {
		const definition = example(env, 'comfyui-background.json');
		for (const { name, parameters } of definition.nodes) {
			if (name === 'Run ComfyUI workflow') Object.assign(parameters.options as object, options);
			if (name === 'Wait for the call' && 'webhookUrl' in options)
				Object.assign(parameters, { resumeAmount: 2, resumeUnit: 'seconds' });
		}
		const execution = await env.n8n.run(definition);
		expect(execution.status).toBe('success');
		expect(storedItems(execution, 'Get Result')[0]?.binary?.data?.mimeType).toBe('image/png');
		expect(env.sandbox.jobs.map(({ prompt }) => prompt)).toEqual(['A lighthouse on a cliff at dawn']);
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

	it('the example image-to-video.json turns the new scene into a video', async () => {
		const execution = await env.n8n.run(example(env, 'image-to-video.json'));
		expect(execution.status).toBe('success');
		const [scene] = storedItems(execution, 'New scene');
		const [video] = storedItems(execution, 'Make a video');
		expect(video?.binary?.data).toMatchObject({ fileName: 'video.mp4', mimeType: 'video/mp4' });
		expect(env.sandbox.jobs[1]?.input.image).toBe(scene?.json.image);
	});

	it.each([
		'storage-schedule.json',
		'form-upload.json',
		'comfyui-form.json',
		'email-results.json',
		'ai-agent-tool.json',
	])('the example %s is imported, with all its nodes known', async (file) => {
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
	});

	it('the example storage-schedule.json takes photos from a storage and puts the results back', async () => {
		const storage = new ObjectStorage();
		const keys = ['incoming/red shoe.jpg', 'incoming/hat.png', 'incoming/notes.txt'];
		for (const key of keys) storage.objects.set(`/my-bucket/${key}`, Buffer.from(`original of ${key}`));
		const definition = await exampleWithStorage(env, 'storage-schedule.json', storage);
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

	it('the example comfyui-nightly.json stores an image for every prompt, and sends what fails to its own branch', async () => {
		env.sandbox.faults.add({ job: 'failed', promptIncludes: 'flower market' });
		const storage = new ObjectStorage();
		const execution = await env.n8n.run(await exampleWithStorage(env, 'comfyui-nightly.json', storage));
		storage.stop();
		expect(execution.data?.resultData.error).toBeUndefined();
		const names = [...storage.objects.keys()].map((key) => key.replace(/\d{4}-\d\d-\d\d/, 'date'));
		expect(names.sort()).toEqual([
			'/my-bucket/nightly/date/harbor.png',
			'/my-bucket/nightly/date/lighthouse.png',
		]);
		const failed = storedItems(execution, 'Failed prompts').map(({ json }) => json);
		const job = env.sandbox.jobs.find(({ graph }) => /market/.test(String(graph?.['6']?.inputs?.text)));
		expect(failed).toEqual([
			expect.objectContaining({
				name: 'market',
				error: expect.objectContaining({ requestId: job?.requestId }),
			}),
		]);
		expect(env.sandbox.stats.accepted).toBe(3);
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
		const definition = await agentExample(env, url);
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
});
