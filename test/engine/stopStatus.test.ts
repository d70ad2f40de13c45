import { until } from '../until';
import { items, TestEnvironment } from './testEnvironment';

/** What n8n makes of a stopped node: its statistics and its error workflow read it. */
describe('After Stop, n8n records the execution', () => {
	it.each([false, true])('as canceled, with Retry On Fail %s', async (retryOnFail) => {
		const env = await TestEnvironment.open({
			items: items(2),
			sandbox: { queueMs: 60_000 },
			settings: { retryOnFail, maxTries: 2, waitBetweenTries: 10 },
		});
		const execution = env.start();
		await until('both are submitted', () => env.sandbox.stats.accepted === 2);
		await env.stop(execution);
		const { status, data } = await execution.done;
		expect(status).toBe('canceled');
		await until('n8n has recorded the error', () => data.resultData.error !== undefined);
		const { error } = data.resultData;
		expect(error?.message).toBe('Stopped: the execution was canceled');
		const ids = env.sandbox.jobs.map(({ requestId }) => requestId);
		for (const id of ids) expect(String(error?.description)).toContain(id);
		await env.close();
	});
});

it('An error in which RunComfy writes “canceled” is no stopped execution for n8n', async () => {
	const env = await TestEnvironment.open();
	const body = { error_code: 422001, message: 'Your plan was canceled.' };
	env.sandbox.faults.add({ on: 'submit', kind: 'answer', answer: { status: 422, body } });
	const { status, data } = await env.start().done;
	expect(data.resultData.error?.message).toContain('Your plan was cancelled.');
	expect(status).toBe('error');
	await env.close();
});
