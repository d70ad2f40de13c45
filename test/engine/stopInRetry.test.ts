import { MODEL_ID } from '../sandbox/sandbox';
import { DEPLOYMENT_ID } from '../sandbox/deployments';
import { until } from '../until';
import { items, outputItems, TestEnvironment } from './testEnvironment';

/** Stop, the spending limit, and changed settings where an earlier try has left requests. */
const RETRY = { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 };

describe('In a retry', () => {
	let env: TestEnvironment;

	it('Stop cancels what an earlier try has left in the queue', async () => {
		env = await TestEnvironment.open({ sandbox: { queueMs: 60_000 }, settings: RETRY });
		const execution = env.start({ options: { timeout: 1 } });
		await until('it is tried again', () => env.tries.length === 2);
		await new Promise((resolve) => setTimeout(resolve, 50));
		await env.stop(execution);
		expect(env.sandbox.stats).toMatchObject({ submits: 1, cancelled: 1 });
		expect(env.stopReports).toHaveLength(1);
	});

	it('Stop between two tries cancels, and is reported', async () => {
		env = await TestEnvironment.open({
			sandbox: { queueMs: 60_000 },
			settings: { ...RETRY, waitBetweenTries: 400 },
		});
		const execution = env.start({ options: { timeout: 1 } });
		await until('it is submitted', () => env.sandbox.stats.accepted === 1);
		await Promise.allSettled(env.tries);
		execution.stop();
		await until('it is cancelled', () => env.sandbox.stats.cancelled === 1);
		await until('the last try has ended', () => env.tries.length === 3);
		await Promise.allSettled(env.tries);
		expect(env.stopReports).toHaveLength(1);
		expect(env.stopReports[0]).toContain(env.sandbox.jobs[0]?.requestId);
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it('Stop between two tries cancels, though an option is no longer valid', async () => {
		env = await TestEnvironment.open({
			sandbox: { queueMs: 60_000 },
			settings: { ...RETRY, maxTries: 2, waitBetweenTries: 400 },
		});
		const maxConcurrency = '={{ $execution.customData.get("isLater") ? "" : 5 }}';
		const execution = env.start({ options: { timeout: 1, maxConcurrency } });
		await until('it is submitted', () => env.sandbox.stats.accepted === 1);
		execution.data.resultData.metadata = { isLater: 'true' };
		await Promise.allSettled(env.tries);
		execution.stop();
		await until('the last try has begun', () => env.tries.length === 2);
		await Promise.allSettled(env.tries);
		expect(env.sandbox.stats.cancelled).toBe(1);
		expect(env.stopReports).toEqual([expect.stringContaining(env.sandbox.jobs[0]?.requestId ?? '?')]);
	});

	it.each<[string, object, 'model' | 'deployment']>([
		['price', { options: { timeout: 1, maxConcurrency: 1, spendingLimit: 1 } }, 'model'],
		[
			'workflow of a deployment',
			{
				resource: 'deployment',
				operation: 'run',
				deploymentId: { mode: 'id', value: DEPLOYMENT_ID.textToImage },
				inputs: { mappingMode: 'defineBelow', value: {} },
				options: { pollInterval: 0.2, timeout: 1, maxConcurrency: 1 },
			},
			'deployment',
		],
	])(
		'Stop while the %s of another item is read cancels what an earlier try has left',
		async (_, parameters, on) => {
			env = await TestEnvironment.open({
				items: items(2),
				sandbox: { queueMs: 60_000 },
				settings: { ...RETRY, maxTries: 2 },
			});
			const execution = env.start({ ...parameters });
			await until('it is submitted', () => env.sandbox.stats.accepted === 1);
			env.sandbox.faults.add({ on, kind: 'hangBefore' });
			await until('it is tried again', () => env.tries.length === 2);
			await new Promise((resolve) => setTimeout(resolve, 200));
			await env.stop(execution);
			expect(env.sandbox.stats).toMatchObject({ submits: 1, cancelled: 1 });
			expect(env.stopReports).toEqual([expect.stringContaining(env.sandbox.jobs[0]?.requestId ?? '?')]);
		},
	);

	it('what is finished is returned, though the price can no longer be read', async () => {
		env = await TestEnvironment.open({
			items: items(3),
			sandbox: { runMs: (_n, prompt) => (prompt === 'scene 0' ? 60_000 : 100) },
			settings: { ...RETRY, onError: 'continueErrorOutput', maxTries: 2 },
		});
		env.sandbox.faults.add({
			on: 'model',
			kind: 'answer',
			answer: {
				status: 200,
				body: { model_id: MODEL_ID, base_price_usd: 0.06, price_unit: 'request' },
			},
			times: 1,
		});
		env.sandbox.faults.add({ on: 'model', kind: 'notFound' });
		const run = await env.run({
			prompt: '={{ "scene " + $json.n }}',
			options: { timeout: 1, spendingLimit: 1 },
		});
		expect(env.tries).toHaveLength(2);
		expect(env.sandbox.stats.submits).toBe(3);
		expect(outputItems(run)).toHaveLength(2);
		expect(outputItems(run, 'RunComfy', 1)[0]?.json).toMatchObject({
			error: { requestId: env.sandbox.jobs.find(({ input }) => input.prompt === 'scene 0')?.requestId },
		});
	});
});

describe('Stop', () => {
	it('after an item has failed still counts as canceled', async () => {
		const env = await TestEnvironment.open({
			items: items(2),
			sandbox: { queueMs: 0, runMs: 100 },
			runtime: { stopGraceMs: 300 },
		});
		env.sandbox.faults.add({ job: 'failed', promptIncludes: 'scene 0' });
		env.sandbox.faults.add({ on: 'submit', kind: 'hangAfter', promptIncludes: 'scene 1' });
		const execution = env.start({ prompt: '={{ "scene " + $json.n }}' });
		await until('item 0 has failed', () => (env.sandbox.jobs[0]?.polls ?? 0) > 0);
		await new Promise((resolve) => setTimeout(resolve, 150));
		await env.stop(execution);
		expect((await execution.done).status).toBe('canceled');
		expect(env.stopReports).toHaveLength(1);
	});

	it('cancels the others while ten cancels hang', async () => {
		const env = await TestEnvironment.open({
			items: items(30),
			sandbox: { queueMs: 60_000 },
			runtime: { stopGraceMs: 1_000 },
		});
		const execution = env.start({ options: { maxConcurrency: 30, pollInterval: 30 } });
		await until('all are submitted', () => env.sandbox.stats.accepted === 30);
		for (const { requestId } of env.sandbox.jobs.slice(0, 10))
			env.sandbox.faults.add({ on: 'cancel', kind: 'hangBefore', requestId });
		await env.stop(execution);
		expect(env.sandbox.stats.cancelled).toBe(20);
	});
});
