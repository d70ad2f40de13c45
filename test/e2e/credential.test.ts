import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { INode } from 'n8n-workflow';

import { NEWEST, OLDEST } from '../n8n/installation';
import type { StoredExecution, WorkflowDefinition } from '../n8n/instance';
import { SANDBOX_TOKEN } from '../sandbox/sandbox';
import { workflowNode } from '../workflow';
import {
	closeN8nEnvironment,
	INSTALL_TIMEOUT_MS,
	openN8nEnvironment,
	type N8nEnvironment,
} from './n8nEnvironment';

/** A server that is not RunComfy's; records the tokens that it receives. */
class OtherServer {
	readonly tokens: Array<string | undefined> = [];
	url = '';
	private readonly server: Server = createServer((request, response) => {
		this.tokens.push(request.headers.authorization);
		response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
	});

	async start(): Promise<void> {
		await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
		this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
	}

	stop(): void {
		this.server.close();
		this.server.closeAllConnections();
	}
}

/** n8n's own HTTP Request node with this package's credential: it sends requests by n8n's older helper. */
describe.each([NEWEST, OLDEST])('The credential in n8n %s', (version) => {
	let env: N8nEnvironment;
	const other = new OtherServer();

	beforeAll(async () => {
		await other.start();
		env = await openN8nEnvironment(version);
	}, INSTALL_TIMEOUT_MS);
	beforeEach(() => {
		env.sandbox.reset();
		other.tokens.length = 0;
	});
	afterAll(async () => {
		await closeN8nEnvironment(env);
		other.stop();
	});

	const httpRequest = async (
		url: string,
		typeVersion = 4.2,
		options: object = {},
	): Promise<StoredExecution> => {
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
	const messageOf = ({ data }: StoredExecution) => String(data?.resultData.error?.message);

	it('works for RunComfy in the HTTP Request node', async () => {
		const execution = await httpRequest(`${env.sandbox.url}/v1/models`);
		expect(execution.status).toBe('success');
		expect(env.sandbox.stats.refusedTokens).toBe(0);
	});

	it('sends the token to no other server', async () => {
		const execution = await httpRequest(`${other.url}/v1/models`);
		expect(execution.status).toBe('error');
		expect(messageOf(execution)).toContain('The RunComfy token may only be sent to');
		expect(other.tokens).toEqual([]);
	});

	it.each([
		['with the node’s default settings', 4.2, {}],
		['in an older version of the node', 3, {}],
		[
			'when it is set to follow them',
			4.2,
			{ redirect: { redirect: { followRedirects: true, maxRedirects: 5 } } },
		],
	])('does not send the token along with a redirect, %s', async (_, typeVersion, options) => {
		env.sandbox.faults.add({ on: 'models', kind: 'redirectAway', location: `${other.url}/stolen` });
		const execution = await httpRequest(`${env.sandbox.url}/v1/models`, typeVersion, options);
		expect(execution.status).toBe('error');
		expect(other.tokens).toEqual([]);
	});

	it('fails its test when RunComfy answers with an error in a success, or with anything but the model', async () => {
		const { n8n, sandbox } = env;
		const test = async () => await n8n.testCredential(SANDBOX_TOKEN, sandbox.url);
		expect(await test()).toMatchObject({ status: 'OK' });
		sandbox.faults.add({ on: 'model', kind: 'errorCode', errorCode: 400004, times: 1 });
		expect(await test()).toEqual({
			status: 'Error',
			message: 'RunComfy did not accept the API token. Paste a fresh one from your RunComfy profile.',
		});
		const unconfirmed = {
			status: 'Error',
			message:
				'RunComfy did not confirm the API token. Check the base URL, and paste a fresh token from your RunComfy profile.',
		};
		for (const fault of ['errorCode', 'badGateway', 'redirectAway', 'noId', 'truncated'] as const) {
			sandbox.faults.clear();
			sandbox.faults.add({ on: 'model', kind: fault, location: `${other.url}/stolen` });
			expect(await test()).toEqual(unconfirmed);
		}
		expect(other.tokens).toEqual([]);
	});

	it('works with white space around the token', async () => {
		const { n8n, sandbox } = env;
		expect(await n8n.testCredential(` ${SANDBOX_TOKEN}\n`, sandbox.url)).toMatchObject({ status: 'OK' });
	});
});
