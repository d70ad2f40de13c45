import { BinaryDataService } from 'n8n-core';
import { Container } from '@n8n/di';
import type { IDataObject, INodeExecutionData, IRun } from 'n8n-workflow';
import sharp from 'sharp';

import { TEXT_TO_IMAGE } from '../sandbox/catalog';
import { outputItems, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

/** The item that n8n keeps for the failed node. */
function storedItem(run: IRun): INodeExecutionData {
	const item = run.data.executionData?.nodeExecutionStack[0]?.data.main?.[0]?.[0];
	if (item === undefined) throw new Error('n8n has kept no item');
	return item;
}

/** “Retry execution” after a timeout: what n8n has changed in between does not matter. */
describe('“Retry execution”', () => {
	let env: TestEnvironment;

	const fail = async (
		parameters: IDataObject,
		options: TestEnvironmentOptions = {},
	): Promise<{ failed: IRun; requestId: string }> => {
		env = await TestEnvironment.open({ sandbox: { runMs: 1_500 }, ...options });
		const failed = await env.run({
			...parameters,
			options: { timeout: 1, ...(parameters.options as object) },
		});
		expect(failed.status).toBe('error');
		expect(env.sandbox.stats.submits).toBe(1);
		return { failed, requestId: String(env.sandbox.jobs[0]?.requestId) };
	};

	const expectResumed = (retried: IRun, requestId: string) => {
		expect(retried.status).toBe('success');
		expect(outputItems(retried)[0]?.json.requestId).toBe(requestId);
		expect(env.sandbox.stats.submits).toBe(1);
	};

	const photo = async (): Promise<INodeExecutionData> => {
		const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
			.png()
			.toBuffer();
		const stored = await Container.get(BinaryDataService).store(
			{ type: 'custom', pathSegments: ['executions', 'temp'] } as never,
			png,
			{ data: '', mimeType: 'image/png', fileName: 'photo.png' },
		);
		return { json: {}, binary: { data: stored } };
	};

	it.each([
		['sends', { imageSource: 'binary' }],
		['does not use', {}],
	])('resumes when n8n has renamed the uploaded file that the node %s', async (_, parameters) => {
		const item = { json: {} } as INodeExecutionData;
		env = await TestEnvironment.open({ items: [item], sandbox: { runMs: 1_500 } });
		Object.assign(item, await photo());
		const failed = await env.run({ ...parameters, options: { timeout: 1 } });
		const { binary } = storedItem(failed);
		if (binary?.data === undefined) throw new Error('The item has lost its file');
		binary.data.id = `${binary.data.id}-renamed`;
		const retried = await env.retry(failed, { ...parameters, options: { timeout: 30 } }).done;
		expectResumed(retried, String(env.sandbox.jobs[0]?.requestId));
	});

	it('does not submit again when the outcome is not known, and the file has been renamed', async () => {
		const item = { json: {} } as INodeExecutionData;
		env = await TestEnvironment.open({ items: [item] });
		env.sandbox.faults.add({ on: 'submit', kind: 'lostAfter', times: 1 });
		Object.assign(item, await photo());
		const failed = await env.run({ imageSource: 'binary' });
		const { binary } = storedItem(failed);
		if (binary?.data !== undefined) binary.data.id = `${binary.data.id}-renamed`;
		const retried = await env.retry(failed, { imageSource: 'binary' }).done;
		expect(retried.data.resultData.error?.message).toContain('It is not known whether RunComfy accepted');
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it('resumes after a raised timeout, a changed cached name, and a refreshed list of inputs', async () => {
		const chosen = { __rl: true, mode: 'list', value: TEXT_TO_IMAGE };
		const inputs = { mappingMode: 'defineBelow', value: { prompt: 'A beach' }, schema: [] };
		const model = { resource: 'model', operation: 'run', modelId: chosen, inputs };
		const { failed, requestId } = await fail(model);
		const changed = {
			modelId: { ...chosen, cachedResultName: 'FLUX 2' },
			inputs: { ...inputs, value: { prompt: 'A beach', seed: null }, schema: [{ id: 'prompt' }] },
			options: { timeout: 30, pollInterval: 0.3 },
		};
		expectResumed(await env.retry(failed, { ...model, ...changed }).done, requestId);
	});

	it('submits after a changed prompt', async () => {
		const { failed } = await fail({});
		const retried = await env.retry(failed, { prompt: 'Another beach', options: { timeout: 30 } }).done;
		expect(retried.status).toBe('success');
		expect(env.sandbox.stats.submits).toBe(2);
	});

	it('resumes when an expression has changed the input item', async () => {
		const prompt = '={{ $json.list.pop() ?? "A beach" }}';
		const { failed, requestId } = await fail({ prompt }, { items: [{ json: { list: ['one', 'two'] } }] });
		storedItem(failed).json.list = [];
		expectResumed(await env.retry(failed, { prompt, options: { timeout: 30 } }).done, requestId);
	});

	it('resumes twice from the same data', async () => {
		const { failed, requestId } = await fail({});
		for (let press = 0; press < 2; press++)
			expectResumed(await env.retry(failed, { options: { timeout: 30 } }).done, requestId);
	});
});
