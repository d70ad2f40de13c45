import { items, Workbench } from './workbench';

/** What n8n makes of a stopped node: its statistics and its error workflow read it. */
describe('After Stop, n8n records the execution', () => {
	it.each([false, true])('as canceled, with Retry On Fail %s', async (retryOnFail) => {
		const bench = await Workbench.open({
			items: items(2),
			sandbox: { queueMs: 60_000 },
			settings: { retryOnFail, maxTries: 2, waitBetweenTries: 10 },
		});
		const execution = bench.start();
		await bench.until('both are submitted', () => bench.sandbox.stats.accepted === 2);
		await bench.stop(execution);
		const { status, data } = await execution.done;
		expect(status).toBe('canceled');
		await bench.until('n8n has recorded the error', () => data.resultData.error !== undefined);
		const { error } = data.resultData;
		expect(error?.message).toBe('Stopped: the execution was canceled');
		const ids = bench.sandbox.jobs.map(({ requestId }) => requestId);
		for (const id of ids) expect(String(error?.description)).toContain(id);
		await bench.close();
	});
});
