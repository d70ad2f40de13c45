import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { INode } from 'n8n-workflow';

import { NEWEST, OLDEST } from '../n8n/installation';
import { storedItems, type WorkflowDefinition } from '../n8n/instance';
import { CATALOG, IMAGE_TO_VIDEO } from '../sandbox/catalog';
import { DEPLOYMENT_ID, DEPLOYMENTS } from '../sandbox/deployments';
import { SANDBOX_TOKEN } from '../sandbox/sandbox';
import { until } from '../until';
import { RUNCOMFY, workflowNode } from '../workflow';
import {
	closeN8nEnvironment,
	INSTALL_TIMEOUT_MS,
	openN8nEnvironment,
	workflow,
	type N8nEnvironment,
} from './n8nEnvironment';

/** What has to hold in every version of n8n that the README names. */
describe.each([NEWEST, OLDEST])('In n8n %s', (version) => {
	let env: N8nEnvironment;
	/** The tokens that a server receives which is not RunComfy's. */
	const stolen: Array<string | undefined> = [];
	const other = createServer((request, response) => {
		stolen.push(request.headers.authorization);
		response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
	});
	let otherUrl = '';

	beforeAll(async () => {
		await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
		otherUrl = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
		env = await openN8nEnvironment(version, {
			queueMs: (_n, prompt) => (prompt.includes('scene 9') ? 60_000 : 0),
			runMs: (_n, prompt) => (prompt.includes('runs for long') ? 60_000 : 300),
		});
	}, INSTALL_TIMEOUT_MS);
	beforeEach(() => env.sandbox.reset());
	afterAll(async () => {
		await closeN8nEnvironment(env);
		other.close();
		other.closeAllConnections();
	});

	it('the credential’s test passes with the right token, and says why it fails with others', async () => {
		const { n8n, sandbox } = env;
		for (const [token, url] of [
			[SANDBOX_TOKEN, sandbox.url],
			[SANDBOX_TOKEN, `${sandbox.url}/`],
			[`Bearer ${SANDBOX_TOKEN}`, sandbox.url],
			[` ${SANDBOX_TOKEN}\n`, sandbox.url],
		] as const)
			expect(await n8n.testCredential(token, url)).toMatchObject({ status: 'OK' });
		expect(await n8n.testCredential('wrong-token', sandbox.url)).toEqual({
			status: 'Error',
			message: 'RunComfy did not accept the API token. Paste a fresh one from your RunComfy profile.',
		});
		expect((await n8n.testCredential('a b', sandbox.url)).message).toContain('must not contain spaces');
		expect((await n8n.testCredential(SANDBOX_TOKEN, 'http://example.com')).message).toContain(
			'must begin with https://',
		);
		expect(sandbox.stats.submits).toBe(0);
	});

	it('the credential’s test fails when RunComfy answers with an error in a success, or with anything but the model', async () => {
		const { n8n, sandbox } = env;
		sandbox.faults.add({ on: 'model', kind: 'errorCode', errorCode: 400004 });
		const refused = await n8n.testCredential(SANDBOX_TOKEN, sandbox.url);
		expect(refused.message).toContain('RunComfy did not accept the API token.');
		const message =
			'RunComfy did not confirm the API token. Paste a fresh one from your RunComfy profile, and check the base URL if you use custom URLs.';
		for (const kind of ['errorCode', 'badGateway', 'redirectAway', 'noId', 'truncated'] as const) {
			sandbox.faults.clear();
			sandbox.faults.add({ on: 'model', kind, location: `${otherUrl}/stolen` });
			expect(await n8n.testCredential(SANDBOX_TOKEN, sandbox.url)).toEqual({ status: 'Error', message });
		}
		expect(stolen).toEqual([]);
	});

	/** n8n's own HTTP Request node with this package's credential: it sends requests by n8n's older helper. */
	const httpRequest = async (url: string, typeVersion = 4.2, options: object = {}) => {
		const definition: WorkflowDefinition = {
			name: `HTTP Request ${Math.random().toString(36).slice(2)}`,
			nodes: [
				workflowNode('Start', 'n8n-nodes-base.manualTrigger'),
				workflowNode('HTTP', 'n8n-nodes-base.httpRequest', {
					typeVersion,
					parameters: {
						url,
						authentication: 'predefinedCredentialType',
						nodeCredentialType: 'runComfyApi',
						options: options as INode['parameters'],
					},
					credentials: { runComfyApi: env.credential },
				}),
			],
			connections: { Start: { main: [[{ node: 'HTTP', type: 'main', index: 0 }]] } },
		};
		return await env.n8n.run(definition);
	};

	it('the credential works in the HTTP Request node for RunComfy, and sends its token to no other server', async () => {
		expect((await httpRequest(`${env.sandbox.url}/v1/models`)).status).toBe('success');
		expect(env.sandbox.stats.refusedTokens).toBe(0);
		const { status, data } = await httpRequest(`${otherUrl}/v1/models`);
		expect(status).toBe('error');
		expect(String(data?.resultData.error?.message)).toContain('The RunComfy token may only be sent to');
		expect(stolen).toEqual([]);
	});

	it.each([
		['a proxy', { proxy: 'PROXY' }, '“proxy”'],
		['Ignore SSL Issues', { allowUnauthorizedCerts: true }, '“rejectUnauthorized”'],
	])(
		'the credential gives the HTTP Request node no token for a request with %s',
		async (_, options, what) => {
			const filled = 'proxy' in options ? { proxy: otherUrl } : options;
			const { status, data } = await httpRequest(`${env.sandbox.url}/v1/models`, 4.2, filled);
			expect(status).toBe('error');
			expect(String(data?.resultData.error?.message)).toContain(`a request that sets ${what}`);
			expect(stolen).toEqual([]);
		},
	);

	it.each([
		['in an older version of the HTTP Request node', 3, {}],
		[
			'when it is set to follow them',
			4.2,
			{ redirect: { redirect: { followRedirects: true, maxRedirects: 5 } } },
		],
	])('the credential does not send its token along with a redirect, %s', async (_, typeVersion, options) => {
		env.sandbox.faults.add({ on: 'models', kind: 'redirectAway', location: `${otherUrl}/stolen` });
		const execution = await httpRequest(`${env.sandbox.url}/v1/models`, typeVersion, options);
		expect(execution.status).toBe('error');
		expect(stolen).toEqual([]);
	});

	it('runs several items and downloads their images', async () => {
		const execution = await env.n8n.run(workflow(env, 3, { downloadFiles: true }));
		expect(execution.status).toBe('success');
		const output = storedItems(execution, RUNCOMFY);
		expect(output.map(({ json }) => json.status)).toEqual(['succeeded', 'succeeded', 'succeeded']);
		expect(output.map(({ binary }) => binary?.data?.mimeType)).toEqual([
			'image/png',
			'image/png',
			'image/png',
		]);
		expect(env.sandbox.stats).toMatchObject({ accepted: 3, tokensAtOutputs: 0 });
	});

	it('Stop cancels what is queued', async () => {
		const { n8n, sandbox } = env;
		const id = await n8n.execute(
			await n8n.createWorkflow(workflow(env, 2, { prompt: '=scene 9 {{ $json.n }}' })),
		);
		await until('both are submitted', () => sandbox.stats.accepted === 2);
		await n8n.stop(id);
		await until('both are cancelled', () => sandbox.stats.cancelled === 2, 5_000);
		expect((await n8n.finished(id)).status).toBe('canceled');
		await until('it is logged', () => n8n.log.some((line) => line.includes('RunComfy: stopped')), 5_000);
		const polls = sandbox.stats.resultPolls;
		await new Promise((resolve) => setTimeout(resolve, 1_000));
		expect(sandbox.stats.resultPolls).toBe(polls);
	});

	it('Retry On Fail submits nothing twice', async () => {
		env.sandbox.faults.add({ job: 'failed', times: 1, promptIncludes: 'scene 1.' });
		const retry = { retryOnFail: true, maxTries: 3, waitBetweenTries: 100 };
		const execution = await env.n8n.run(workflow(env, 3, { options: { maxConcurrency: 1 } }, retry));
		expect(execution.status).toBe('success');
		// Three, and the failed one again.
		expect(env.sandbox.stats.accepted).toBe(4);
		env.sandbox.reset();
		env.sandbox.faults.add({ on: 'submit', kind: 'lostAfter', promptIncludes: 'scene 0.' });
		const outcomeUnknown = await env.n8n.run(workflow(env, 1, {}, retry));
		expect(outcomeUnknown.status).toBe('error');
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it('“continue (using error output)” sends failures to the error branch, with the request id in the message', async () => {
		env.sandbox.faults.add({ job: 'failed', promptIncludes: 'scene 1.' });
		const execution = await env.n8n.run(workflow(env, 3, {}, { onError: 'continueErrorOutput' }));
		expect(execution.status).toBe('success');
		expect(storedItems(execution, 'After')).toHaveLength(2);
		const failed = storedItems(execution, 'Failed');
		expect(failed).toHaveLength(1);
		const job = env.sandbox.jobs.find(({ input }) => input.prompt === 'scene 1.');
		expect(failed[0]?.json).toMatchObject({ error: { requestId: job?.requestId } });
	});

	/** What the editor asks for to fill a list. */
	const askForEditor = async (
		path: string,
		methodName: string,
		credentialId: string,
		currentNodeParameters: Record<string, unknown>,
	) =>
		await env.n8n.rest(
			'POST',
			`/dynamic-node-parameters/${path}`,
			{
				path: 'parameters.inputs',
				methodName,
				nodeTypeAndVersion: { name: 'n8n-nodes-runcomfy.runComfy', version: 1 },
				currentNodeParameters,
				credentials: { runComfyApi: { id: credentialId, name: 'RunComfy' } },
			},
			true,
		);

	it('lists models and their inputs for the editor, clearly refuses a wrong token, and runs a model', async () => {
		const { n8n, sandbox, credential } = env;
		const modelId = { __rl: true, mode: 'list', value: IMAGE_TO_VIDEO };
		const ask = async (path: string, methodName: string, id: string) =>
			await askForEditor(path, methodName, id, { resource: 'model', operation: 'run', modelId });
		const list = await ask('resource-locator-results', 'searchModels', credential.id);
		expect(list.data.results).toHaveLength(CATALOG.length);
		const { data } = await ask('resource-mapper-fields', 'getModelInputs', credential.id);
		expect((data.fields as Array<{ id: string }>).map(({ id }) => id)).toEqual([
			'image',
			'prompt',
			'duration',
			'generate_audio',
		]);
		const wrong = await n8n.createCredential('wrong-token', sandbox.url);
		const refused = await ask('resource-locator-results', 'searchModels', wrong.id);
		expect(refused.status).toBeGreaterThanOrEqual(400);
		expect(JSON.stringify(refused.data)).toContain('RunComfy did not accept the API token');

		const value = { prompt: '=scene {{ $json.n }}.', image: 'https://example.com/shoe.png' };
		const execution = await n8n.run(
			workflow(env, 2, {
				resource: 'model',
				operation: 'run',
				modelId,
				inputs: { mappingMode: 'defineBelow', value },
				downloadFiles: true,
			}),
		);
		expect(execution.status).toBe('success');
		expect(storedItems(execution, RUNCOMFY).map(({ binary }) => binary?.data?.mimeType)).toEqual([
			'video/mp4',
			'video/mp4',
		]);
	});

	it('lists deployments and the inputs of their workflow for the editor, runs one, and Stop cancels it while it runs', async () => {
		const { n8n, sandbox, credential } = env;
		const deployment = {
			resource: 'deployment',
			operation: 'run',
			deploymentId: { __rl: true, mode: 'list', value: DEPLOYMENT_ID.textToImage },
		};
		const list = await askForEditor(
			'resource-locator-results',
			'searchDeployments',
			credential.id,
			deployment,
		);
		expect(list.data.results).toHaveLength(DEPLOYMENTS.length);
		const { data } = await askForEditor(
			'resource-mapper-fields',
			'getDeploymentInputs',
			credential.id,
			deployment,
		);
		expect((data.fields as Array<{ displayName: string }>).map(({ displayName }) => displayName)).toContain(
			'Positive Prompt',
		);

		const run = (text: string, seed: number) =>
			workflow(env, 2, {
				...deployment,
				inputs: {
					mappingMode: 'defineBelow',
					value: { '6.text': `=${text} {{ $json.n }}`, '3.seed': `={{ $json.n + ${seed} }}` },
				},
				downloadFiles: true,
			});
		const execution = await n8n.run(run('a harbor', 100));
		expect(execution.status).toBe('success');
		// Submitted at the same time, so that either may arrive first; the output has the items' order.
		const jobs = new Map(sandbox.jobs.map(({ requestId, graph }) => [requestId, graph]));
		const output = storedItems(execution, RUNCOMFY);
		const graphs = output.map(({ json }) => jobs.get(String(json.requestId)));
		expect(graphs.map((graph) => graph?.['6']?.inputs?.text)).toEqual(['a harbor 0', 'a harbor 1']);
		expect(graphs.map((graph) => graph?.['3']?.inputs?.seed)).toEqual([100, 101]);
		expect(output.map(({ binary }) => binary?.data?.mimeType)).toEqual(['image/png', 'image/png']);

		sandbox.reset();
		const id = await n8n.execute(await n8n.createWorkflow(run('runs for long', 1)));
		await until('both are running', () => {
			const states = sandbox.jobs.map(({ requestId }) => sandbox.stateOf(requestId));
			return states.length === 2 && states.every((state) => state === 'in_progress');
		});
		await n8n.stop(id);
		await until('both are cancelled', () => sandbox.stats.cancelled === 2, 5_000);
		expect((await n8n.finished(id)).status).toBe('canceled');
	});
});
