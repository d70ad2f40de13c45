import * as fc from 'fast-check';
import {
	type IHttpRequestOptions,
	type ILoadOptionsFunctions,
	type INodeTypes,
	Workflow,
} from 'n8n-workflow';

import { RunComfyApi } from '../../credentials/RunComfyApi.credentials';
import { CATALOG } from '../sandbox/catalog';
import { readAccess } from '../../nodes/RunComfy/n8n/credential';

const TOKEN = 'rc_token-0123456789';
const CREDENTIAL = {
	apiToken: TOKEN,
	useCustomUrls: true,
	baseUrl: 'https://model-api.runcomfy.net',
	platformBaseUrl: 'https://api.runcomfy.net',
};

/** Both shapes of n8n's requests; typed as n8n types them, though it sends others. */
async function authenticate(request: Record<string, unknown>, credential: object = CREDENTIAL) {
	const options = request as unknown as IHttpRequestOptions;
	return await new RunComfyApi().authenticate({ ...CREDENTIAL, ...credential }, options);
}

describe('The credential on a request', () => {
	it.each<[string, Record<string, unknown>]>([
		['an address', { url: 'https://model-api.runcomfy.net/v1/models' }],
		['the account’s address', { url: 'https://api.runcomfy.net/prod/v2/balance' }],
		['an address below a base', { url: '/v1/models', baseURL: 'https://model-api.runcomfy.net' }],
		['the older helper’s address', { uri: 'https://model-api.runcomfy.net/v1/models' }],
		[
			'the same address twice',
			{ url: 'https://model-api.runcomfy.net/a', uri: 'https://model-api.runcomfy.net/a' },
		],
		['an empty base', { url: 'https://model-api.runcomfy.net/a', baseURL: '' }],
		['the default port', { uri: 'https://model-api.runcomfy.net:443/a' }],
		['capitals', { uri: 'HTTPS://Model-API.runcomfy.net/a' }],
	])('sends the token to %s, and follows no redirect', async (_, request) => {
		const answer = await authenticate({ method: 'GET', headers: { accept: 'x' }, ...request });
		expect(answer).toEqual({
			method: 'GET',
			...request,
			headers: { accept: 'x', Authorization: `Bearer ${TOKEN}` },
			disableFollowRedirect: true,
			followRedirect: false,
			followAllRedirects: false,
			sendCredentialsOnCrossOriginRedirect: false,
		});
	});

	it('switches redirects off that a node has switched on', async () =>
		expect(
			await authenticate({
				uri: 'https://model-api.runcomfy.net/a',
				followRedirect: true,
				followAllRedirects: true,
				disableFollowRedirect: false,
				sendCredentialsOnCrossOriginRedirect: true,
			}),
		).toMatchObject({
			disableFollowRedirect: true,
			followRedirect: false,
			followAllRedirects: false,
			sendCredentialsOnCrossOriginRedirect: false,
		}));

	it.each<[string, Record<string, unknown>]>([
		['another host', { url: 'https://evil.example/v1' }],
		['another host in the older shape', { uri: 'https://evil.example/v1' }],
		['another host than its base', { url: 'https://evil.example/v1', baseURL: CREDENTIAL.baseUrl }],
		['another host by two slashes', { url: '//evil.example/v1', baseURL: CREDENTIAL.baseUrl }],
		['another host by two backslashes', { url: '\\\\evil.example/v1', baseURL: CREDENTIAL.baseUrl }],
		['another base', { url: '/v1', baseURL: 'https://evil.example' }],
		[
			'another base below a good address',
			{ url: 'https://model-api.runcomfy.net/a', baseURL: 'https://b.c' },
		],
		[
			'two addresses, the good one first',
			{ url: 'https://model-api.runcomfy.net', uri: 'https://evil.example' },
		],
		[
			'two addresses, the good one last',
			{ uri: 'https://model-api.runcomfy.net', url: 'https://evil.example' },
		],
		['an empty address before a good one', { url: '', uri: 'https://model-api.runcomfy.net' }],
		['an unencrypted address', { uri: 'http://model-api.runcomfy.net/v1' }],
		['another port', { uri: 'https://model-api.runcomfy.net:8443/v1' }],
		['a host that begins alike', { uri: 'https://model-api.runcomfy.net.evil.example/' }],
		['a user name that looks like the host', { uri: 'https://model-api.runcomfy.net@evil.example/' }],
		['a subdomain', { uri: 'https://x.model-api.runcomfy.net/' }],
		['no address', {}],
		['an address without a host', { url: '/v1/models' }],
		['an address that is no text', { uri: { toString: () => 'https://model-api.runcomfy.net' } }],
		['a base that is no text', { url: '/v1', baseURL: ['https://model-api.runcomfy.net'] }],
		['a broken address', { uri: 'https://%zz/' }],
	])('refuses %s', async (_, request) =>
		expect(authenticate(request)).rejects.toThrow('The RunComfy token may only be sent to'),
	);

	it.each<[string, unknown]>([
		['proxy', { host: 'evil.example', port: 1 }],
		['proxy', 'http://evil.example'],
		['agentOptions', { ca: 'x' }],
		['rejectUnauthorized', false],
		['skipSslCertificateValidation', true],
		['lookup', () => {}],
		['socketPath', '/tmp/x'],
		['httpsAgent', { proxy: 'x' }],
		['adapter', 'http'],
		['something new', true],
		['method', 'TRACE'],
		['method', 'connect'],
		['method', { toString: () => 'GET' }],
		['headers', { HOST: 'evil.example' }],
	])('is not put on a request that sets %s: %j', async (option, value) =>
		expect(authenticate({ url: 'https://model-api.runcomfy.net/v1', [option]: value })).rejects.toThrow(
			`The RunComfy token is not sent with a request that sets “${option}”`,
		),
	);

	it.each<[string, unknown]>([
		['proxy', undefined],
		['proxy', ''],
		['agentOptions', {}],
		['rejectUnauthorized', true],
		['skipSslCertificateValidation', false],
	])('is put on a request whose %s is harmless: %j', async (option, value) =>
		expect(
			(await authenticate({ url: 'https://model-api.runcomfy.net/v1', [option]: value })).headers,
		).toMatchObject({ Authorization: `Bearer ${TOKEN}` }),
	);

	it('is sent as the request was checked, whatever it says when it is read again', async () => {
		let reads = 0;
		const request = {
			get url() {
				return reads++ === 0 ? 'https://model-api.runcomfy.net/v1' : 'https://evil.example';
			},
		};
		const answer = await authenticate(request).catch(() => undefined);
		expect(answer?.url ?? 'refused').not.toContain('evil');
	});

	it.each([
		['https://api.test/runcomfy/v1/models', true],
		['https://api.test/runcomfy', true],
		['https://api.test/runcomfy-other/v1', false],
		['https://api.test/other-app', false],
		['https://api.test/runcomfy/../other-app', false],
		['https://api.test/runcomfy/%2e%2e/other-app', false],
		['https://api.test/runcomfy/..%2fother-app', false],
		['https://api.test/runcomfy/v1%2F%2E.%5Cother-app', false],
		['https://api.test/runcomfy/..;/other-app', false],
		['https://api.test/runcomfy/v1/a..b/c%2Fd', true],
	])('stays below the path of the base URL: %s %s', async (url, isAllowed) => {
		const answer = authenticate({ url }, { baseUrl: 'https://api.test/runcomfy' });
		await (isAllowed
			? expect(answer).resolves.toBeDefined()
			: expect(answer).rejects.toThrow('may only be sent'));
	});

	it('property: whatever the addresses, the token goes to the two origins or nowhere', async () => {
		const part = fc.constantFrom(
			'https:', '//', '/', '\\', '@', '?', '#', '%', ' ', '\t', '.', ':8443', 'evil.example', 'http://', 'v1',
			'https://model-api.runcomfy.net', 'https://api.runcomfy.net', 'model-api.runcomfy.net', '[::1]', '\u3002',
		); // prettier-ignore
		const address = fc.oneof(
			fc.array(part, { maxLength: 6 }).map((parts) => parts.join('')),
			fc.webUrl(),
			fc.anything(),
		);
		const allowed = [CREDENTIAL.baseUrl, CREDENTIAL.platformBaseUrl];
		await fc.assert(
			fc.asyncProperty(
				fc.record({ url: address, uri: address, baseURL: address }, { requiredKeys: [] }),
				async (request) => {
					const answer = await authenticate(request).catch((error: unknown) => error);
					if (answer instanceof Error) {
						expect(answer.message).toMatch(/^The RunComfy token may only be sent to/);
						expect(answer.message).not.toContain(TOKEN);
						return;
					}
					// As axios joins them: an absolute address stands for itself, another is put behind the base.
					const target = String(request.url ?? request.uri);
					const joined = /^([a-z][a-z\d+\-.]*:)?\/\//i.test(target)
						? target
						: `${String(request.baseURL)}/${target.replace(/^\/+/, '')}`;
					if (URL.canParse(joined)) expect(allowed).toContain(new URL(joined).origin);
				},
			),
			{ numRuns: 2_000 },
		);
	});

	it.each([
		[{ apiToken: '' }, '“API Token” is empty'],
		[{ baseUrl: 'http://example.com' }, '“Base URL” must begin with https://'],
		[{ baseUrl: 'nonsense' }, '“Base URL” is not a complete web address (usually https://model-api.'],
		[
			{ platformBaseUrl: 'nonsense' },
			'“Platform Base URL” is not a complete web address (usually https://api.',
		],
	])('is refused when it is invalid: %j', async (credential, message) =>
		expect(authenticate({ url: 'https://model-api.runcomfy.net' }, credential)).rejects.toThrow(message),
	);
});

describe('Without “Use Custom URLs”', () => {
	const stored = { useCustomUrls: false, baseUrl: 'https://a.test', platformBaseUrl: 'nonsense' };

	it('RunComfy’s own addresses count, whatever is stored', async () => {
		for (const url of ['https://model-api.runcomfy.net/a', 'https://api.runcomfy.net/b'])
			expect((await authenticate({ url }, stored)).headers).toHaveProperty('Authorization');
		await expect(authenticate({ url: 'https://a.test/v1' }, stored)).rejects.toThrow('may only be sent to');
		const context = { getCredentials: async () => ({ ...CREDENTIAL, ...stored }) };
		expect(await readAccess(context as unknown as ILoadOptionsFunctions)).toMatchObject({
			baseUrl: 'https://model-api.runcomfy.net',
			platformBaseUrl: 'https://api.runcomfy.net',
		});
	});

	it.each([
		[stored, 'https://model-api.runcomfy.net'],
		[{}, 'https://model-api.runcomfy.net'],
		[{ useCustomUrls: true, baseUrl: ' ' }, 'https://model-api.runcomfy.net'],
		[{ useCustomUrls: true, baseUrl: ' https://a.test/x// ' }, 'https://a.test/x'],
	])('the test calls the same address as a run does: %j', async (credential, address) => {
		const { test } = new RunComfyApi();
		const workflow = new Workflow({ nodes: [], connections: {}, active: false, nodeTypes: {} as INodeTypes });
		const evaluated: unknown = workflow.expression.resolveSimpleParameterValue(
			test.request.baseURL ?? '', {}, null, 0, 0, '', [], 'internal', { $credentials: credential },
		); // prettier-ignore
		expect(evaluated).toBe(address);
		const context = { getCredentials: async () => ({ apiToken: TOKEN, ...credential }) };
		expect((await readAccess(context as unknown as ILoadOptionsFunctions)).baseUrl).toBe(address);
	});
});

describe('The test', () => {
	const [model] = CATALOG;
	it.each<[string, unknown, boolean]>([
		['the model', model, true],
		['a refusal without a code', { message: 'Forbidden' }, false],
		['a code', { ...model, error_code: '400004' }, false],
		['another server’s answer', { model_id: 'a/b', status: 'ok' }, false],
		['a model without inputs', { ...model, input_schema: null }, false],
	])('passes only with the model and its inputs: %s', (_, body, passes) => {
		const { rules = [] } = new RunComfyApi().test;
		const failed = rules.filter(({ properties }) => {
			const { key = '', value } = properties as { key?: string; value?: unknown };
			const at = (object: unknown, name: string) =>
				(object as Record<string, unknown> | null | undefined)?.[name];
			return key.split('.').reduce(at, body) === value;
		});
		expect(failed.length === 0).toBe(passes);
	});
});

describe('White space and “Bearer” around the token', () => {
	const pasted = ` bearer  ${TOKEN}\n`;

	it('are left out when it is sent', async () => {
		const { headers } = await authenticate({ url: CREDENTIAL.baseUrl }, { apiToken: pasted });
		expect(headers?.Authorization).toBe(`Bearer ${TOKEN}`);
	});

	it('is left out when a run reads the credential, which then redacts the token itself', async () => {
		const context = { getCredentials: async () => ({ ...CREDENTIAL, apiToken: pasted }) };
		const access = await readAccess(context as unknown as ILoadOptionsFunctions);
		expect(access.redact(`bad token ${TOKEN}.`)).toBe('bad token [token].');
	});
});
