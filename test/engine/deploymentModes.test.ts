import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import sharp from 'sharp';

import { DEPLOYMENT_ID, DEPLOYMENTS, type SandboxDeployment } from '../sandbox/deployments';
import { until } from '../until';
import { byId, runOf } from './deploymentRuns';
import { FAST, failure, outputItems, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

/** A deployment with overrides of its own. */
const OWN: SandboxDeployment = {
	...(DEPLOYMENTS[0] as SandboxDeployment),
	id: '3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b99',
	workflow: JSON.stringify({ 6: { class_type: 'CLIPTextEncode', inputs: { text: 'a' } } }),
	overrides: { 6: { inputs: { text: 'its own' } } },
};
const COMFY_KEY = 'comfyui-key-1234';

describe('ComfyUI Deployment → Run, besides its fields', () => {
	let env: TestEnvironment;
	const open = async (options: TestEnvironmentOptions = {}) => (env = await TestEnvironment.open(options));
	const bodyOf = (index = 0) =>
		JSON.parse(env.sandbox.jobs[index]?.bodyText ?? '{}') as Record<string, unknown>;

	it('takes the inputs from the item, whatever else is in it', async () => {
		await open({ items: [{ json: { id: 17, prompt: 'a lighthouse', 3: { steps: 4 } } }] });
		await env.run(runOf(DEPLOYMENT_ID.textToImage, {}, { inputMode: 'auto' }));
		expect(bodyOf()).toEqual({
			overrides: {
				6: { inputs: { text: 'a lighthouse' } },
				3: { inputs: { steps: 4, seed: expect.any(Number) as number } },
			},
		});
	});

	it('takes a file of the item, which a form also describes or leaves empty, and a URL rather than a file', async () => {
		const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
			.png()
			.toBuffer();
		const binary = { Image: { data: png.toString('base64'), mimeType: 'image/png' } };
		const url = 'https://example.com/a.png';
		const given = [{ Image: { filename: 'a.png' } }, { image: '' }, { image: url }];
		const items = given.map((json) => ({ json, binary }));
		await open({ items });
		await env.run(
			runOf(DEPLOYMENT_ID.imageToImage, {}, { inputMode: 'auto', options: { maxConcurrency: 1 } }),
		);
		const images = [0, 1, 2].map((index) => (bodyOf(index).overrides as Record<string, object>)['10']);
		const file = { inputs: { image: expect.stringMatching(/^data:image\/png;base64,/) as string } };
		expect(images).toEqual([file, file, { inputs: { image: url } }]);
	});

	it('refuses an item with two files for one input', async () => {
		const file = { data: Buffer.from('GIF89a').toString('base64'), mimeType: 'image/gif' };
		await open({ items: [{ json: {}, binary: { image: file, Image: file } }] });
		const { message } = failure(await env.run(runOf(DEPLOYMENT_ID.imageToImage, {}, { inputMode: 'auto' })));
		expect(message).toContain('two of its files name the input 10.image');
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('sends a raw body to a deployment without a workflow, and returns what it makes', async () => {
		await open({ credential: { comfyOrgApiKey: COMFY_KEY } });
		const body = { inputMode: 'body', bodyJson: '{"prompt": "a harbor", "seed": 5}' };
		const [item] = outputItems(
			await env.run(runOf(DEPLOYMENT_ID.lora, {}, { ...body, downloadFiles: true })),
		);
		expect(bodyOf()).toEqual({ prompt: 'a harbor', seed: 5 });
		const url = expect.stringContaining('/outputs/') as string;
		expect(item?.json).toMatchObject({ url, images: [url], outputs: { images: [url] } });
		expect(item?.binary?.data).toMatchObject({ mimeType: 'image/png' });
		const { message, description } = failure(await env.run(runOf(DEPLOYMENT_ID.lora)));
		expect(`${message} ${description}`).toContain('Set “Specify Inputs” to “Using Raw Body”');
	});

	it('sends the ComfyUI API key with the inputs only, and shows it nowhere', async () => {
		await open({ credential: { comfyOrgApiKey: ` ${COMFY_KEY} ` } });
		const error = { message: `The key ${COMFY_KEY} has no credits` };
		const answer = { status: 200, body: { status: 'failed', error } };
		env.sandbox.faults.add({ on: 'result', kind: 'answer', answer });
		const run = await env.run(runOf(DEPLOYMENT_ID.textToImage));
		expect(bodyOf()).toMatchObject({ extra_data: { api_key_comfy_org: COMFY_KEY } });
		expect(failure(run).message).toContain('The key [token] has no credits');
		expect(JSON.stringify([run, env.log])).not.toContain(COMFY_KEY);
	});

	it('refuses a ComfyUI API key that cannot be one', async () => {
		await open({ credential: { comfyOrgApiKey: 'two words' } });
		expect(failure(await env.run(runOf(DEPLOYMENT_ID.textToImage))).message).toBe(
			'“ComfyUI API Key” must not contain spaces or line breaks',
		);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('has RunComfy call a webhook at the end, of which the request is resumed as any other', async () => {
		const calls: unknown[] = [];
		const server = createServer((request, response) => {
			let text = '';
			request.on('data', (chunk) => (text += String(chunk)));
			// A call that is not answered well is repeated.
			response.statusCode = calls.length === 0 ? 503 : 200;
			request.on('end', () => response.end(String(calls.push(JSON.parse(text)))));
		});
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
		const webhookUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/resume?a=1&b=2`;
		try {
			await open();
			await env.run(
				runOf(DEPLOYMENT_ID.textToImage, {}, { waitForCompletion: false, options: { webhookUrl } }),
			);
			const { requestId } = env.sandbox.jobs[0] ?? {};
			expect(env.sandbox.jobs[0]?.webhook).toBe(webhookUrl);
			await until('the webhook was called twice', () => calls.length === 2);
			expect(calls[1]).toMatchObject({
				...{ request_id: requestId, deployment_id: DEPLOYMENT_ID.textToImage, status: 'succeeded' },
				outputs: { 9: { images: [{ type: 'output' }] } },
			});
		} finally {
			server.close();
		}
	});

	it.each([
		[10001, {}, 'your RunComfy funds are used up, and the deployment was disabled'],
		[10002, { is_enabled: false }, 'the deployment is disabled'],
		[10003, {}, 'the deployment was deleted'],
	])('is refused with RunComfy’s code %d', async (code, more, meaning) => {
		const id = code === 10003 ? DEPLOYMENT_ID.deleted : OWN.id;
		await open({ sandbox: { balanceUsd: code === 10001 ? 0 : 1, deployments: [{ ...OWN, ...more }] } });
		// It may be refused although its workflow could be read before.
		env.sandbox.faults.add({ on: 'deployment', kind: 'serverError' });
		const body = { inputMode: 'body', bodyJson: '{"overrides": {}}' };
		expect(failure(await env.run(runOf(id, {}, body))).message).toContain(meaning);
	});

	it('counts the deployment’s own overrides as deployed', async () => {
		await open({ sandbox: { deployments: [OWN] } });
		const run = await env.run({ resource: 'deployment', operation: 'get', deploymentId: byId(OWN.id) });
		expect(outputItems(run)[0]?.json.inputs).toMatchObject([{ name: '6.text', default: 'its own' }]);
	});
});

describe('What a request of a deployment reports', () => {
	let env: TestEnvironment;
	const request = async (operation: string) =>
		outputItems(
			await env.run({
				...{ resource: 'request', operation, requestType: 'deployment', options: FAST },
				deploymentId: byId(DEPLOYMENT_ID.textToImage),
				requestId: env.sandbox.jobs[0]?.requestId,
			}),
		)[0]?.json;
	const answered = (on: 'status' | 'cancel', body: object) =>
		env.sandbox.faults.add({ on, kind: 'answer', answer: { status: 200, body } });

	beforeEach(async () => {
		env = await TestEnvironment.open({ sandbox: { runMs: 60_000 } });
		await env.run(runOf(DEPLOYMENT_ID.textToImage, {}, { waitForCompletion: false }));
	});

	it('the machine and the log while it runs', async () => {
		const logUrl = expect.stringContaining('/logs/') as string;
		const instanceId = expect.any(String) as string;
		expect(await request('getStatus')).toMatchObject({ status: 'in_progress', instanceId, logUrl });
	});

	it('why it failed, as a status', async () => {
		const error = { type: 'execution_error', message: 'No face found' };
		answered('status', { status: 'failed', error });
		expect(await request('getStatus')).toMatchObject({ status: 'failed', error });
	});

	it('that a cancel was requested', async () => {
		answered('cancel', { status: 'cancellation_requested' });
		const outcome = 'cancellation_requested';
		expect(await request('cancel')).toMatchObject({ cancelled: false, outcome });
	});
});
