import { failure, items, rows, Workbench } from './workbench';

/** Stop, the spending limit, and changed settings where an earlier try has left requests. */
const RETRY = { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 };

describe('In a retry', () => {
	let bench: Workbench;

	afterEach(async () => await bench.close());

	it('Stop cancels what an earlier try has left in the queue', async () => {
		bench = await Workbench.open({ sandbox: { queueMs: 60_000 }, settings: RETRY });
		const execution = bench.start({ options: { timeout: 1 } });
		await bench.until('it is tried again', () => bench.tries.length === 2);
		await new Promise((resolve) => setTimeout(resolve, 400));
		await bench.stop(execution);
		expect(bench.sandbox.stats).toMatchObject({ submits: 1, cancelled: 1 });
		expect(bench.stopReports).toHaveLength(1);
	});

	it('Stop between two tries cancels, and is reported', async () => {
		bench = await Workbench.open({
			sandbox: { queueMs: 60_000 },
			settings: { ...RETRY, waitBetweenTries: 700 },
		});
		const execution = bench.start({ options: { timeout: 1 } });
		await bench.until('it is submitted', () => bench.sandbox.stats.accepted === 1);
		await Promise.allSettled(bench.tries);
		execution.stop();
		await bench.until('it is cancelled', () => bench.sandbox.stats.cancelled === 1);
		await bench.until('the last try has ended', () => bench.tries.length === 3);
		await Promise.allSettled(bench.tries);
		expect(bench.stopReports).toHaveLength(1);
		expect(bench.stopReports[0]).toContain(bench.sandbox.jobs[0]?.requestId);
		expect(bench.sandbox.stats.submits).toBe(1);
	});

	it('Stop while a model is read cancels what an earlier try has left', async () => {
		bench = await Workbench.open({ sandbox: { queueMs: 60_000 }, settings: RETRY });
		bench.sandbox.faults.add({
			on: 'model',
			kind: 'answer',
			answer: { status: 200, body: { model_id: 'ideogram/ideogram-v3/replace-background' } },
			times: 1,
		});
		bench.sandbox.faults.add({ on: 'model', kind: 'hangBefore' });
		const execution = bench.start({ options: { timeout: 1, spendingLimit: 1 } });
		await bench.until('it is tried again', () => bench.tries.length === 2);
		await new Promise((resolve) => setTimeout(resolve, 200));
		await bench.stop(execution);
		expect(bench.sandbox.stats.cancelled).toBe(1);
		expect(bench.stopReports).toHaveLength(1);
	});

	it('what is finished is returned, though the price can no longer be read', async () => {
		bench = await Workbench.open({
			items: items(3),
			sandbox: { runMs: (_n, prompt) => (prompt === 'scene 0' ? 60_000 : 100) },
			settings: { ...RETRY, onError: 'continueErrorOutput', maxTries: 2 },
		});
		bench.sandbox.faults.add({
			on: 'model',
			kind: 'answer',
			answer: {
				status: 200,
				body: { model_id: 'x/y', base_price_usd: 0.06, price_unit: 'request' },
			},
			times: 1,
		});
		bench.sandbox.faults.add({ on: 'model', kind: 'notFound' });
		const run = await bench.run({
			prompt: '={{ "scene " + $json.n }}',
			options: { timeout: 1, spendingLimit: 1 },
		});
		expect(bench.tries).toHaveLength(2);
		expect(bench.sandbox.stats.submits).toBe(3);
		expect(rows(run)).toHaveLength(2);
		expect(rows(run, 'RunComfy', 1)[0]?.json).toMatchObject({
			error: { requestId: bench.sandbox.jobs.find(({ input }) => input.prompt === 'scene 0')?.requestId },
		});
	});
});

describe('Stop', () => {
	it('after an item has failed still counts as canceled', async () => {
		const bench = await Workbench.open({ items: items(2), sandbox: { queueMs: 0, runMs: 100 } });
		bench.sandbox.faults.add({ job: 'failed', promptIncludes: 'scene 0' });
		bench.sandbox.faults.add({ on: 'submit', kind: 'hangAfter', promptIncludes: 'scene 1' });
		const execution = bench.start({ prompt: '={{ "scene " + $json.n }}' });
		await bench.until('item 0 has failed', () => (bench.sandbox.jobs[0]?.looks ?? 0) > 0);
		await new Promise((resolve) => setTimeout(resolve, 600));
		await bench.stop(execution);
		expect((await execution.done).status).toBe('canceled');
		expect(bench.stopReports).toHaveLength(1);
		await bench.close();
	});

	it('cancels the others while ten cancels hang', async () => {
		const bench = await Workbench.open({ items: items(30), sandbox: { queueMs: 60_000 } });
		const execution = bench.start({ options: { maxConcurrency: 30, pollInterval: 30 } });
		await bench.until('all are submitted', () => bench.sandbox.stats.accepted === 30);
		for (const { requestId } of bench.sandbox.jobs.slice(0, 10))
			bench.sandbox.faults.add({ on: 'cancel', kind: 'hangBefore', requestId });
		await bench.stop(execution);
		expect(bench.sandbox.stats.cancelled).toBe(20);
		await bench.close();
	});
});

describe('A request is the same', () => {
	it('when only the timeout is raised, as the error advises, and the saved workflow is retried', async () => {
		const bench = await Workbench.open({
			items: items(2),
			sandbox: { runMs: (_n, prompt) => (prompt === 'scene 1' ? 2_500 : 100) },
		});
		const prompt = '={{ "scene " + $json.n }}';
		const failed = await bench.run({ prompt, options: { timeout: 1 } });
		expect(failure(failed).message).toContain('was not finished after 1 seconds');
		const data = structuredClone(JSON.parse(JSON.stringify(failed.data))) as typeof failed.data;
		delete data.resultData.error;
		data.resultData.runData.RunComfy?.pop();
		const workflow = bench.workflow({ prompt, options: { timeout: 20 } });
		const [next] = data.executionData?.nodeExecutionStack ?? [];
		const saved = workflow.nodes.find(({ name }) => name === 'RunComfy');
		if (next === undefined || saved === undefined) throw new Error('Nothing to retry');
		next.node = saved;
		const retried = await bench.engine.start(workflow, 'trigger', data).done;
		expect(retried.status).toBe('success');
		expect(bench.sandbox.stats.submits).toBe(2);
		await bench.close();
	});
});
