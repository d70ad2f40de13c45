import { TEXT_TO_AUDIO } from '../sandbox/catalog';
import { DEPLOYMENT_ID } from '../sandbox/deployments';
import { byId } from './deploymentRuns';
import { failure, items, outputItems, TestEnvironment } from './testEnvironment';

describe('The operations on a request', () => {
	let env: TestEnvironment;

	const submitted = async (sandbox = {}, parameters = {}) => {
		env = await TestEnvironment.open({ sandbox });
		await env.run({ ...parameters, waitForCompletion: false });
		return env.sandbox.jobs[0]?.requestId ?? '';
	};
	const failed = async () => {
		env = await TestEnvironment.open({ sandbox: { queueMs: 0, runMs: 0 } });
		env.sandbox.faults.add({ job: 'failed' });
		await env.run({ waitForCompletion: false });
		return env.sandbox.jobs[0]?.requestId ?? '';
	};
	const request = async (operation: string, requestId: string, more: Record<string, unknown> = {}) =>
		await env.run({ resource: 'request', operation, requestId, ...more });

	it('Get Status polls once and returns the state and the queue position', async () => {
		const requestId = await submitted({ queueMs: 60_000 });
		await new Promise((resolve) => setTimeout(resolve, 5));
		await env.run({ waitForCompletion: false });
		expect(outputItems(await request('getStatus', requestId))[0]?.json).toEqual({
			requestId,
			status: 'in_queue',
			queuePosition: 0,
		});
		const second = env.sandbox.jobs[1]?.requestId ?? '';
		expect(outputItems(await request('getStatus', second))[0]?.json.queuePosition).toBe(1);
		expect(env.sandbox.stats).toMatchObject({ statusPolls: 2, resultPolls: 0 });
	});

	it('Get Status reports a failed request as a state, not as an error', async () => {
		const requestId = await failed();
		expect(outputItems(await request('getStatus', requestId))[0]?.json).toEqual({
			requestId,
			status: 'failed',
		});
	});

	it('Get Result waits, resumes after a timeout, and downloads whatever kind of file it is', async () => {
		env = await TestEnvironment.open({ sandbox: { runMs: 60_000 } });
		const inputs = { inputMode: 'json', inputsJson: '{"tags": "rain"}', waitForCompletion: false };
		await env.run({
			resource: 'model',
			operation: 'run',
			modelId: { mode: 'id', value: TEXT_TO_AUDIO },
			...inputs,
		});
		const { requestId = '' } = env.sandbox.jobs[0] ?? {};
		const early = failure(
			await request('getResult', requestId, { options: { timeout: 1, pollInterval: 0.2 } }),
		);
		expect(early.message).toContain(requestId);
		env.endJobs();
		const run = await request('getResult', requestId, {
			downloadFiles: true,
			options: { fileName: 'rain', pollInterval: 0.2 },
		});
		const item = outputItems(run)[0];
		expect(item?.json).toMatchObject({ requestId, status: 'succeeded', cost: 0.07 });
		expect(item?.binary?.data).toMatchObject({ fileName: 'rain.wav', mimeType: 'audio/wav' });
		expect(env.sandbox.stats).toMatchObject({ submits: 1, cancels: 0 });
	});

	it('Get Result without waiting returns the state, and the result once it is available', async () => {
		const requestId = await submitted({ runMs: 60_000 });
		const withoutWaiting = { waitForCompletion: false, options: { includeCost: false } };
		expect(outputItems(await request('getResult', requestId, withoutWaiting))[0]?.json).toEqual({
			requestId,
			status: 'in_progress',
		});
		env.endJobs();
		const { json } = outputItems(await request('getResult', requestId, withoutWaiting))[0] ?? {};
		expect(json).toMatchObject({ requestId, status: 'succeeded' });
		expect(json).not.toHaveProperty('cost');
	});

	it.each([true, false])('Get Result fails for a failed request (waiting: %s)', async (waitForCompletion) => {
		const requestId = await failed();
		expect(failure(await request('getResult', requestId, { waitForCompletion })).message).toContain(
			`${requestId} failed`,
		);
	});

	const deploymentId = byId(DEPLOYMENT_ID.textToImage);
	it.each([
		['queued one of a model', { queueMs: 60_000 }, {}, {}],
		[
			'running one of a deployment',
			{ runMs: 60_000 },
			{ resource: 'deployment', operation: 'run', deploymentId },
			{ requestType: 'deployment', deploymentId },
		],
	])('Cancel cancels a %s, and reports when that is not possible', async (_, sandbox, run, fields) => {
		const requestId = await submitted(sandbox, run);
		for (const [cancelled, outcome] of [
			[true, 'cancelled'],
			[false, 'not_cancellable'],
		]) {
			const [item] = outputItems(await request('cancel', requestId, fields));
			expect(item?.json).toEqual({ requestId, cancelled, outcome });
		}
	});

	it.each(['lostAfter', 'lostBefore'] as const)('Cancel tries again after %s', async (kind) => {
		const requestId = await submitted({ queueMs: 60_000 });
		env.sandbox.faults.add({ on: 'cancel', kind, times: 1 });
		expect(outputItems(await request('cancel', requestId))[0]?.json.cancelled).toBe(true);
		expect(env.sandbox.stats.cancels).toBe(1);
	});

	it.each([
		['getStatus', 'status'],
		['cancel', 'cancel'],
	] as const)('%s finds a request that RunComfy does not know at first', async (operation, on) => {
		const requestId = await submitted({ queueMs: 60_000 });
		env.sandbox.faults.add({ on, kind: 'notFound', times: 2 });
		expect(outputItems(await request(operation, requestId))[0]?.json).toMatchObject({ requestId });
	});

	it('all name a request that does not exist', async () => {
		env = await TestEnvironment.open();
		const operations = ['getStatus', 'getResult', 'cancel'];
		// A new request may not be found yet: Get Result tries for about 15 s, the others for a few seconds.
		const runs = operations.map(async (operation) => await request(operation, 'no-such-request'));
		for (const run of await Promise.all(runs)) {
			const { message, description } = failure(run);
			expect(message).toContain('RunComfy request no-such-request: RunComfy has no such request');
			expect(description).toContain('Generations page');
		}
	});

	it('process all items at once, in order', async () => {
		env = await TestEnvironment.open({ items: items(5), sandbox: { queueMs: 60_000 } });
		const first = outputItems(await env.run({ waitForCompletion: false })).map(({ json }) => json.requestId);
		const run = await env.run({
			resource: 'request',
			operation: 'getStatus',
			requestId: `={{ ${JSON.stringify(first)}[$json.n] }}`,
		});
		expect(outputItems(run).map(({ json }) => json.requestId)).toEqual(first);
		expect(outputItems(run).map(({ pairedItem }) => pairedItem)).toEqual(
			[0, 1, 2, 3, 4].map((item) => ({ item })),
		);
	});
});
