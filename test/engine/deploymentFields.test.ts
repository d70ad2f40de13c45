import { Readable } from 'node:stream';

import type { ILoadOptionsFunctions } from 'n8n-workflow';

import { getDeploymentInputs, searchDeployments } from '../../nodes/RunComfy/editorLists';
import { DEPLOYMENT_ID } from '../sandbox/deployments';
import type { CallRule } from '../sandbox/faults';
import type { SandboxOptions } from '../sandbox/sandbox';
import { TestEnvironment } from './testEnvironment';

describe('The editor’s list and fields of deployments, in n8n’s own context for them', () => {
	let env: TestEnvironment;

	const open = async (sandbox: SandboxOptions = {}) => void (env = await TestEnvironment.open({ sandbox }));
	const context = (deploymentId: string = DEPLOYMENT_ID.textToImage): ILoadOptionsFunctions =>
		env.editorContext({
			resource: 'deployment',
			operation: 'run',
			deploymentId: { __rl: true, mode: 'id', value: deploymentId },
		});
	const fieldsOf = async (deploymentId?: string) =>
		(await getDeploymentInputs.call(context(deploymentId))).fields;

	it('lists and searches deployments', async () => {
		await open();
		const { results } = await searchDeployments.call(context());
		expect(results).toContainEqual({
			name: 'Product photo (v3, AMPERE_48, running)',
			value: DEPLOYMENT_ID.imageToImage,
		});
		expect(results).toContainEqual({
			name: 'Text to image, old (v1, AMPERE_48, disabled)',
			value: DEPLOYMENT_ID.disabled,
		});
		const found = await searchDeployments.call(context(), ' PHOTO');
		expect(found.results.map(({ value }) => value)).toEqual([DEPLOYMENT_ID.imageToImage]);
	});

	it('shows the literal inputs with types, choices, bounds, and what is deployed', async () => {
		await open();
		const fields = await fieldsOf();
		const shown = fields.filter(({ removed }) => removed !== true);
		expect(shown.length).toBeLessThanOrEqual(15);
		expect(fields).toEqual(
			expect.arrayContaining([
				expect.objectContaining({ id: '6.text', displayName: 'Positive Prompt', type: 'string' }),
				expect.objectContaining({
					id: '3.steps',
					type: 'number',
					displayName: 'Steps',
					defaultValue: 20,
					rules: { kind: 'integer', minimum: 1, maximum: 10_000 },
				}),
				expect.objectContaining({
					id: '3.sampler_name',
					type: 'options',
					options: expect.arrayContaining([{ name: 'euler', value: 'euler' }]) as unknown[],
				}),
				expect.objectContaining({
					id: '3.seed',
					displayName: 'Seed',
					defaultValue: undefined,
					rules: { kind: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, isSeed: true },
				}),
				expect.objectContaining({ id: '4.ckpt_name', removed: true }),
			]),
		);
		expect(fields.map(({ id }) => id)).not.toContain('3.model');
		expect(fields.slice(0, 2).map(({ displayName }) => displayName)).toEqual([
			'Positive Prompt',
			'Negative Prompt',
		]);
		expect(env.sandbox.stats).toMatchObject({ objectInfoRequests: 1, tokensAtObjectInfo: 0, submits: 0 });
	});

	it('shows files, and choices of the new form', async () => {
		await open();
		expect(await fieldsOf(DEPLOYMENT_ID.imageToImage)).toContainEqual(
			expect.objectContaining({
				id: '10.image',
				displayName: 'Image · Photo',
				defaultValue: 'example.png',
			}),
		);
		const fields = await fieldsOf(DEPLOYMENT_ID.largeIntegers);
		expect(fields.find(({ id }) => id === '60.codec')).toMatchObject({ type: 'options' });
		// This literal is beyond 2^53, so that a default would be wrong.
		expect(fields.find(({ id }) => id === '61.value')?.defaultValue).toBeUndefined();
	});

	it('reads 5 MB of object_info', async () => {
		await open({ objectInfoBytes: 5_000_000 });
		expect((await fieldsOf()).find(({ id }) => id === '3.sampler_name')).toMatchObject({ type: 'options' });
	});

	const fromLiterals = async () => {
		const fields = await fieldsOf();
		expect(fields.find(({ id }) => id === '3.sampler_name')).toMatchObject({ type: 'string' });
		expect(fields.find(({ id }) => id === '3.steps')).toMatchObject({ type: 'number' });
		expect(env.sandbox.stats.tokensAtObjectInfo).toBe(0);
	};

	it.each([
		['none', null],
		['one that is no address', 'x'],
		['a private network', 'https://10.0.0.1/object_info.json'],
		['nothing that listens', 'http://127.0.0.1:9/object_info.json'],
	])('falls back to the literals when the address of object_info is %s', async (_name, objectInfoUrl) => {
		await open({ objectInfoUrl });
		await fromLiterals();
		expect(env.sandbox.stats.objectInfoRequests).toBe(0);
	});

	it('does not go to this machine for a RunComfy that is elsewhere', async () => {
		await open();
		const url = `${env.sandbox.url}/object-info/${DEPLOYMENT_ID.textToImage}/object_info.json`;
		const editor = context();
		const credential = {
			apiToken: 'sandbox-token',
			useCustomUrls: true,
			baseUrl: 'https://model-api.test',
			platformBaseUrl: 'https://api.test',
		};
		const elsewhere = Object.create(editor, {
			getCredentials: { value: async () => credential },
			helpers: {
				value: {
					...editor.helpers,
					httpRequestWithAuthentication: async () => ({
						statusCode: 200,
						headers: {},
						body: Readable.from([
							Buffer.from(
								JSON.stringify({
									id: DEPLOYMENT_ID.textToImage,
									payload: {
										object_info_url: url,
										workflow_api_json: { 3: { class_type: 'KSampler', inputs: { sampler_name: 'euler' } } },
									},
								}),
							),
						]),
					}),
				},
			},
		}) as ILoadOptionsFunctions;
		const { fields } = await getDeploymentInputs.call(elsewhere);
		expect(fields).toMatchObject([{ id: '3.sampler_name', type: 'string' }]);
		expect(env.sandbox.stats.objectInfoRequests).toBe(0);
	});

	it.each<Partial<CallRule> & { kind: CallRule['kind'] }>([
		{ kind: 'redirectOnce' },
		{ kind: 'redirectPrivate' },
		{ kind: 'webPage' },
		{ kind: 'short' },
		{ kind: 'endless' },
	])('falls back to the literals after $kind', async (rule) => {
		await open();
		env.sandbox.faults.add({ on: 'objectInfo', ...rule });
		await fromLiterals();
	});

	it('explains what is wrong with the deployment', async () => {
		await open();
		await expect(fieldsOf('3f1c6a52-0000-4000-8000-000000000000')).rejects.toThrow(
			'RunComfy has no deployment',
		);
		await expect(fieldsOf(DEPLOYMENT_ID.foreign)).rejects.toThrow('belongs to another RunComfy account');
	});

	it('reports a wrong token', async () => {
		env = await TestEnvironment.open({ credential: { apiToken: 'another-account' } });
		await expect(searchDeployments.call(context())).rejects.toThrow(
			'The list of deployments could not be read: RunComfy did not accept the API token',
		);
	});
});
