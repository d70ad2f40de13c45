import { NoAnswerError } from '../../nodes/RunComfy/api/call';
import { isNewRequest } from '../../nodes/RunComfy/jobs/types';
import { ItemFailedError } from '../../nodes/RunComfy/jobs/types';
import { makeRun, request, SECOND, setUp } from './fakeApi';

describe('Polling a job, on a virtual clock', () => {
	it.each([
		[12, 12],
		[60, 36],
		[300, 90],
	])('polls a job of %i s at most %i times', async (seconds, polls) => {
		for (const random of [0, 0.5, 0.999]) {
			const { clock, api } = setUp(() => ({ queueMs: 0, runMs: seconds * SECOND }));
			const { start } = makeRun(api, { random: () => random });
			await clock.run(start(1));
			expect(api.jobs[0]?.polls.length).toBeLessThanOrEqual(polls);
			expect(api.jobs[0]?.polls[0]).toBeGreaterThanOrEqual(1 * SECOND);
		}
	});

	it('polls later jobs less often, once earlier ones have shown how long they take, and finds them no later', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 1 * SECOND, runMs: (11 + (n % 3) * 0.3) * SECOND }));
		const { start } = makeRun(api);
		await clock.run(start(100));
		const later = api.jobs.slice(10);
		expect(api.jobs.slice(0, 10).every(({ polls }) => polls.length >= 11)).toBe(true);
		expect(later.every(({ polls }) => polls.length <= 6)).toBe(true);
		for (const { polls, endsAt } of api.jobs) {
			expect((polls.at(-1) ?? Infinity) - endsAt).toBeLessThanOrEqual(1 * SECOND);
			const pauses = polls.slice(1).map((at, i) => at - (polls[i] ?? 0));
			expect(Math.min(...pauses)).toBeGreaterThanOrEqual(0.5 * SECOND);
		}
	});

	it('finds a job that is faster than all earlier ones within the longest pause', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 0, runMs: (n < 40 ? 60 : 3) * SECOND }));
		const { start } = makeRun(api);
		await clock.run(start(50));
		expect(api.jobs[39]?.polls.length).toBeLessThan(20);
		for (const { polls, endsAt } of api.jobs)
			expect((polls.at(-1) ?? Infinity) - endsAt).toBeLessThanOrEqual(5 * SECOND);
	});

	it('does not apply the job times of another model', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 0, runMs: (n < 10 ? 30 : 2) * SECOND }));
		const { start } = makeRun(api, { maxConcurrency: 1 });
		const requestOf = (i: number) => request(api, i, {}, i < 10 ? 'slow/one' : 'fast/one');
		await clock.run(start(20, (i) => requestOf(i)));
		const fast = api.jobs.slice(10);
		for (const { polls, endsAt } of fast)
			expect((polls.at(-1) ?? Infinity) - endsAt).toBeLessThanOrEqual(1 * SECOND);
	});
});

describe('A request is new, whatever clock its time comes from,', () => {
	it.each<[string, number | undefined, boolean]>([
		['at once', 1_000_000, true],
		['14 s later', 986_000, true],
		['not 15 s later', 985_000, false],
		['not when its time is an hour ahead, because a clock was set', 4_600_000, false],
		['not when its time is not known', undefined, false],
	])('%s', (_, submittedAt, isNew) => expect(isNewRequest(submittedAt, 1_000_000)).toBe(isNew));
});

describe('Faults and deadlines', () => {
	it('retries a submit that was never sent, a limited number of times', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		api.intercept = () =>
			api.calls.length <= 2 ? new NoAnswerError('unreachable', 'ECONNREFUSED') : undefined;
		const first = makeRun(api);
		await clock.run(first.start(1));
		expect(api.countCalls(/^POST \/v1\/models/)).toBe(3);

		api.intercept = () => new NoAnswerError('unreachable', 'ENOTFOUND');
		const second = makeRun(api);
		const error: unknown = await clock.run(second.start(1)).catch((reason: unknown) => reason);
		expect((error as ItemFailedError).reason).toMatchObject({
			problem: { message: expect.stringContaining('could not be reached') as string },
		});
		expect(api.countCalls(/^POST \/v1\/models/)).toBe(7);
	});

	it('ends at the deadline with a last poll, and does not cancel', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 3_600 * SECOND, runMs: 0 }));
		const { start } = makeRun(api);
		const running = start(1, (i) => request(api, i, { timeoutMs: 47_300 }));
		const error: unknown = await clock.run(running).catch((reason: unknown) => reason);
		expect((error as ItemFailedError).reason).toMatchObject({
			problem: { message: expect.stringContaining('was not finished after') as string, requestId: 'job-0' },
		});
		expect(clock.now()).toBe(47_300);
		expect(api.jobs[0]?.polls.at(-1)).toBe(47_300);
		expect(api.jobs[0]?.cancels).toBe(0);
	});

	it('finds a job that ends in its very last moment', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 47_299 }));
		const { start } = makeRun(api);
		const [outcome] = await clock.run(start(1, (i) => request(api, i, { timeoutMs: 47_300 })));
		expect(outcome?.ok).toBe(true);
	});

	it('remembers in a retry when a request was submitted: a new one may not be found yet', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 2 * SECOND }));
		const notFound = { status: 404, headers: {}, body: { error_code: 404001 } };
		api.intercept = ({ method }) => (method === 'GET' && clock.now() < 8 * SECOND ? notFound : undefined);
		const context = {};
		const first = makeRun(api, {}, context);
		const limits = { timeoutMs: 3 * SECOND };
		await expect(clock.run(first.start(1, (i) => request(api, i, limits)))).rejects.toBeInstanceOf(
			ItemFailedError,
		);
		const second = makeRun(api, {}, context);
		const [outcome] = await clock.run(second.start(1));
		expect(outcome?.ok).toBe(true);
		expect(api.jobs).toHaveLength(1);
	});

	it('tolerates for a while that a new request cannot be found', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 2 * SECOND }));
		const notFound = { status: 404, headers: {}, body: { error_code: 404001 } };
		api.intercept = ({ method }) => (method === 'GET' && clock.now() < 5 * SECOND ? notFound : undefined);
		const early = makeRun(api);
		const [outcome] = await clock.run(early.start(1));
		expect(outcome?.ok).toBe(true);
		api.intercept = ({ method }) => (method === 'GET' ? notFound : undefined);
		const late = makeRun(api);
		const error: unknown = await clock.run(late.start(1)).catch((reason: unknown) => reason);
		expect((error as ItemFailedError).reason).toMatchObject({
			problem: { message: expect.stringContaining('no such request') as string, requestId: 'job-1' },
		});
	});
});
