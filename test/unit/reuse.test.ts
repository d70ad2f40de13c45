import { runJob } from '../../nodes/RunComfy/jobs/job';
import { RequestStore } from '../../nodes/RunComfy/jobs/requestStore';
import { reportReuse, Reuse } from '../../nodes/RunComfy/jobs/reuse';
import { makeRun, request, SECOND, setUp } from './fakeApi';

const MAX_AGE_MS = 3_600 * SECOND;

/** An execution that has submitted one request, and the next one, in which an item uses it. */
async function secondExecution(runMs: number, pauseMs: number) {
	const { clock, api } = setUp(() => ({ queueMs: 0, runMs }));
	const store = new RequestStore();
	const open = async (executionId: string) => {
		const reuse = new Reuse({ store, clock, account: 'account', executionId, maxAgeMs: MAX_AGE_MS });
		const fake = makeRun(api, { reuse });
		const items = new Map([[0, { endpointId: 'a/b', identify: async () => 'same' }]]);
		await reuse.assignAll(fake.turn, items, undefined);
		return fake;
	};
	const first = await open('first');
	const limits = { timeoutMs: 10 * SECOND };
	await clock
		.run(first.run.forEachItem(1, async (i) => await runJob(first.run, i, request(api, i, limits))))
		.catch(() => {});
	await clock.advance(pauseMs);
	return { clock, api, store, second: await open('second') };
}

describe('An item that uses what an earlier execution has submitted', () => {
	it('makes one call for a result', async () => {
		const { clock, api, second } = await secondExecution(2 * SECOND, 60 * SECOND);
		const calls = api.calls.length;
		const [outcome] = await clock.run(
			second.run.forEachItem(1, async (i) => await runJob(second.run, i, request(api, i))),
		);
		expect(outcome).toMatchObject({ ok: true, value: { isReused: true, result: { requestId: 'job-0' } } });
		expect(api.calls.length).toBe(calls + 1);
		expect(reportReuse(second.turn)).toBe(
			'1 item reused a request from an earlier execution (Reuse Results): nothing was submitted for it.',
		);
	});

	it('is not cancelled by Stop before a poll has told that it has not ended', async () => {
		const { clock, api, second } = await secondExecution(2 * SECOND, 60 * SECOND);
		api.intercept = ({ method }) => (method === 'GET' ? 'hang' : undefined);
		const running = second.run.forEachItem(1, async (i) => await runJob(second.run, i, request(api, i)));
		running.catch(() => {});
		await clock.advance(100);
		second.stop();
		await expect(clock.run(running)).rejects.toThrow();
		expect(api.countCalls(/cancel/)).toBe(0);
		expect(second.log.join()).toContain('Nothing had been submitted.');
	});

	it.each([
		['waits for it, as RunComfy may not know a new request yet', 0, 1],
		['submits it again when it is not new', 60 * SECOND, 2],
	])('%s, when it cannot be found at first', async (_, pauseMs, jobs) => {
		const { clock, api, store, second } = await secondExecution(12 * SECOND, pauseMs);
		const from = clock.now();
		const notFound = { status: 404, headers: {}, body: { error_code: 404001 } };
		api.intercept = ({ method }, path) =>
			method === 'GET' && path.includes('job-0') && clock.now() - from < 2 * SECOND ? notFound : undefined;
		const [outcome] = await clock.run(
			second.run.forEachItem(1, async (i) => await runJob(second.run, i, request(api, i))),
		);
		expect(outcome).toMatchObject({ ok: true, value: { isReused: jobs === 1 } });
		expect(api.jobs).toHaveLength(jobs);
		expect(store.toJson()).toHaveLength(1);
	});

	it('submits nothing while RunComfy refuses to say anything about it', async () => {
		const { clock, api, second } = await secondExecution(2 * SECOND, 60 * SECOND);
		api.intercept = ({ method }) =>
			method === 'GET' ? { status: 401, headers: {}, body: { error_code: 401001 } } : undefined;
		await expect(
			clock.run(second.run.forEachItem(1, async (i) => await runJob(second.run, i, request(api, i)))),
		).rejects.toThrow();
		expect(api.jobs).toHaveLength(1);
	});
});
