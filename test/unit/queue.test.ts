import { NoAnswerError } from '../../nodes/RunComfy/api/transport';
import { runJob } from '../../nodes/RunComfy/jobs/job';
import { StoppedError } from '../../nodes/RunComfy/common/stoppedError';
import { ItemFailedError } from '../../nodes/RunComfy/jobs/run';
import { FakeApi, makeRun, request, type Timing } from './fakeApi';
import { VirtualClock } from './virtualClock';

const SECOND = 1_000;

function setUp(timingOf: (n: number) => Timing) {
	const clock = new VirtualClock();
	return { clock, api: new FakeApi(clock, timingOf) };
}

const tooMany = (retryAfter?: number | string) => ({
	status: 429,
	headers: retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) },
	body: {},
});

describe('Many items at once, on a virtual clock', () => {
	it('takes as long as the longest job plus 10 %, when there is room for all', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 1 * SECOND, runMs: (8 + (n % 40)) * SECOND }));
		const { run } = makeRun(api, { maxConcurrency: 100 });
		const outcomes = await clock.run(run.forEachItem(100, async (i) => await runJob(run, i, request(i))));
		expect(outcomes).toHaveLength(100);
		expect(clock.now()).toBeLessThanOrEqual(48 * SECOND * 1.1);
		expect(clock.sleeping).toBe(0);
	});

	it('returns results in the order of the items, whatever order they finish in', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 0, runMs: (20 - n) * SECOND }));
		const { run } = makeRun(api, { maxConcurrency: 20 });
		const outcomes = await clock.run(run.forEachItem(20, async (i) => await runJob(run, i, request(i))));
		expect(outcomes.map((outcome) => outcome.ok && outcome.value.result.requestId)).toEqual(
			Array.from({ length: 20 }, (_, i) => `job-${i}`),
		);
	});

	it('never exceeds the concurrency, in unfinished requests or calls in flight', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 500, runMs: 3_000 + (n % 7) * 900 }));
		api.latencyMs = 80;
		const { run } = makeRun(api, { maxConcurrency: 7 });
		await clock.run(run.forEachItem(60, async (i) => await runJob(run, i, request(i))));
		expect(api.mostAlive).toBe(7);
		expect(api.mostInFlight).toBeLessThanOrEqual(7);
	});

	it('works through a thousand items', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 4 * SECOND }));
		const { run } = makeRun(api, { maxConcurrency: 100 });
		const outcomes = await clock.run(run.forEachItem(1_000, async (i) => await runJob(run, i, request(i))));
		expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1_000);
		expect(api.jobs).toHaveLength(1_000);
		expect(clock.sleeping).toBe(0);
	});

	it.each([
		[12, 12],
		[60, 36],
		[300, 90],
	])('polls a job of %i s at most %i times', async (seconds, polls) => {
		for (const random of [0, 0.5, 0.999]) {
			const { clock, api } = setUp(() => ({ queueMs: 0, runMs: seconds * SECOND }));
			const { run } = makeRun(api, { random: () => random });
			await clock.run(run.forEachItem(1, async (i) => await runJob(run, i, request(i))));
			expect(api.jobs[0]?.polls.length).toBeLessThanOrEqual(polls);
			expect(api.jobs[0]?.polls[0]).toBeGreaterThanOrEqual(1 * SECOND);
		}
	});

	it('polls later jobs less often, once earlier ones have shown how long they take, and finds them no later', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 1 * SECOND, runMs: (11 + (n % 3) * 0.3) * SECOND }));
		const { run } = makeRun(api);
		await clock.run(run.forEachItem(100, async (i) => await runJob(run, i, request(i))));
		const later = api.jobs.slice(10);
		expect(api.jobs.slice(0, 10).every(({ polls }) => polls.length >= 11)).toBe(true);
		expect(later.every(({ polls }) => polls.length <= 6)).toBe(true);
		for (const { polls, endsAt } of api.jobs) {
			expect((polls.at(-1) ?? Infinity) - endsAt).toBeLessThanOrEqual(1 * SECOND);
			const pauses = polls.slice(1).map((at, i) => at - (polls[i] ?? 0));
			expect(Math.min(...pauses)).toBeGreaterThanOrEqual(1 * SECOND);
		}
	});

	it('finds a job that is faster than all earlier ones within the longest pause', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 0, runMs: (n < 40 ? 60 : 3) * SECOND }));
		const { run } = makeRun(api);
		await clock.run(run.forEachItem(50, async (i) => await runJob(run, i, request(i))));
		expect(api.jobs[39]?.polls.length).toBeLessThan(20);
		for (const { polls, endsAt } of api.jobs)
			expect((polls.at(-1) ?? Infinity) - endsAt).toBeLessThanOrEqual(5 * SECOND);
	});

	it('does not apply the job times of another model', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 0, runMs: (n < 10 ? 30 : 2) * SECOND }));
		const { run } = makeRun(api, { maxConcurrency: 1 });
		const requestOf = (i: number) => ({ ...request(i), modelId: i < 10 ? 'slow/one' : 'fast/one' });
		await clock.run(run.forEachItem(20, async (i) => await runJob(run, i, requestOf(i))));
		const fast = api.jobs.slice(10);
		for (const { polls, endsAt } of fast)
			expect((polls.at(-1) ?? Infinity) - endsAt).toBeLessThanOrEqual(1 * SECOND);
	});
});

describe('“Too many requests”', () => {
	it('pauses all workers for as long as the server asks', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 30 * SECOND }));
		let refused = false;
		api.intercept = () => {
			if (clock.now() < 5 * SECOND || refused) return undefined;
			refused = true;
			return tooMany(20);
		};
		const { run } = makeRun(api);
		await clock.run(run.forEachItem(10, async (i) => await runJob(run, i, request(i))));
		const refusedAt = api.calls.find(({ at }) => at >= 5 * SECOND)?.at ?? 0;
		const during = api.calls.filter(({ at }) => at > refusedAt && at < refusedAt + 20 * SECOND);
		expect(during).toEqual([]);
		expect(api.calls.some(({ at }) => at >= refusedAt + 20 * SECOND)).toBe(true);
	});

	it('caps Retry-After at one minute', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		api.intercept = () => (api.calls.length === 1 ? tooMany(86_400) : undefined);
		const { run } = makeRun(api);
		await clock.run(run.forEachItem(1, async (i) => await runJob(run, i, request(i))));
		expect(api.calls[1]?.at).toBe(60 * SECOND);
	});

	it.each([0, 'Thu, 01 Jan 1970 00:00:00 GMT'])(
		'backs off even when Retry-After asks for no pause (%s)',
		async (retryAfter) => {
			const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
			clock.at(4 * SECOND, () => (api.intercept = () => undefined));
			api.intercept = ({ method }) => (method === 'POST' ? tooMany(retryAfter) : undefined);
			const { run } = makeRun(api);
			await clock.run(run.forEachItem(10, async (i) => await runJob(run, i, request(i))));
			const posts = api.calls.filter(({ method, at }) => method === 'POST' && at < 4 * SECOND);
			expect(posts.length).toBeLessThanOrEqual(10 + 5 + 2);
			expect(api.jobs).toHaveLength(10);
		},
	);

	it('backs off exponentially without a Retry-After, and submits again because nothing was accepted', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		api.intercept = () => (api.calls.length <= 4 ? tooMany() : undefined);
		const { run } = makeRun(api);
		await clock.run(run.forEachItem(1, async (i) => await runJob(run, i, request(i))));
		const pauses = api.calls.slice(1, 5).map(({ at }, i) => at - (api.calls[i]?.at ?? 0));
		expect(pauses).toEqual([750, 1_500, 3_000, 6_000]);
		expect(api.jobs).toHaveLength(1);
	});

	it('halves the concurrency once, however many are refused together, and restores it step by step', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 60 * SECOND }));
		api.latencyMs = 100;
		api.intercept = () => (api.calls.length <= 16 ? tooMany(1) : undefined);
		const { run } = makeRun(api, { maxConcurrency: 16 });
		const limits: number[] = [];
		for (let t = 0; t < 70; t++) clock.at(t * SECOND, () => limits.push(run.throttle.currentLimit));
		const running = run.forEachItem(16, async (i) => await runJob(run, i, request(i)));
		clock.at(500, () => expect(run.throttle.currentLimit).toBe(8));
		await clock.run(running);
		expect(limits[0]).toBe(16);
		expect(Math.min(...limits)).toBe(8);
		expect(limits.at(-1)).toBe(16);
	});

	it('gives up at the deadline, and reports that nothing was submitted', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 0 }));
		api.intercept = () => tooMany(10);
		const { run } = makeRun(api);
		const running = run.forEachItem(1, async (i) => await runJob(run, i, request(i, { timeoutMs: 60_000 })));
		const error: unknown = await clock.run(running).catch((reason: unknown) => reason);
		expect(error).toBeInstanceOf(ItemFailedError);
		expect((error as ItemFailedError).reason).toMatchObject({
			problem: { httpStatus: 429 },
		});
		expect(clock.now()).toBeLessThanOrEqual(60_000);
	});
});

describe('Faults and deadlines', () => {
	it('retries a submit that was never sent, a limited number of times', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		api.intercept = () =>
			api.calls.length <= 2 ? new NoAnswerError('unreachable', 'ECONNREFUSED') : undefined;
		const first = makeRun(api);
		await clock.run(first.run.forEachItem(1, async (i) => await runJob(first.run, i, request(i))));
		expect(api.countCalls(/^POST \/v1\/models/)).toBe(3);

		api.intercept = () => new NoAnswerError('unreachable', 'ENOTFOUND');
		const second = makeRun(api);
		const error: unknown = await clock
			.run(second.run.forEachItem(1, async (i) => await runJob(second.run, i, request(i))))
			.catch((reason: unknown) => reason);
		expect((error as ItemFailedError).reason).toMatchObject({
			problem: { message: expect.stringContaining('could not be reached') as string },
		});
		expect(api.countCalls(/^POST \/v1\/models/)).toBe(7);
	});

	it('ends at the deadline with a last poll, and does not cancel', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 3_600 * SECOND, runMs: 0 }));
		const { run } = makeRun(api);
		const running = run.forEachItem(1, async (i) => await runJob(run, i, request(i, { timeoutMs: 47_300 })));
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
		const { run } = makeRun(api);
		const [outcome] = await clock.run(
			run.forEachItem(1, async (i) => await runJob(run, i, request(i, { timeoutMs: 47_300 }))),
		);
		expect(outcome?.ok).toBe(true);
	});

	it('remembers in a retry when a request was submitted: a new one may not be found yet', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 2 * SECOND }));
		const notFound = { status: 404, headers: {}, body: { error_code: 404001 } };
		api.intercept = ({ method }) => (method === 'GET' && clock.now() < 8 * SECOND ? notFound : undefined);
		const context = {};
		const first = makeRun(api, {}, context);
		const limits = { timeoutMs: 3 * SECOND };
		await expect(
			clock.run(first.run.forEachItem(1, async (i) => await runJob(first.run, i, request(i, limits)))),
		).rejects.toBeInstanceOf(ItemFailedError);
		first.turn.close('thrown');
		const second = makeRun(api, {}, context);
		const [outcome] = await clock.run(
			second.run.forEachItem(1, async (i) => await runJob(second.run, i, request(i))),
		);
		expect(outcome?.ok).toBe(true);
		expect(api.jobs).toHaveLength(1);
	});

	it('tolerates for a while that a new request cannot be found', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 2 * SECOND }));
		const notFound = { status: 404, headers: {}, body: { error_code: 404001 } };
		api.intercept = ({ method }) => (method === 'GET' && clock.now() < 5 * SECOND ? notFound : undefined);
		const early = makeRun(api);
		const [outcome] = await clock.run(
			early.run.forEachItem(1, async (i) => await runJob(early.run, i, request(i))),
		);
		expect(outcome?.ok).toBe(true);
		api.intercept = ({ method }) => (method === 'GET' ? notFound : undefined);
		const late = makeRun(api);
		const error: unknown = await clock
			.run(late.run.forEachItem(1, async (i) => await runJob(late.run, i, request(i))))
			.catch((reason: unknown) => reason);
		expect((error as ItemFailedError).reason).toMatchObject({
			problem: { message: expect.stringContaining('no such request') as string, requestId: 'job-1' },
		});
	});
});

describe('Stop, on a virtual clock', () => {
	const stopAt = async (api: FakeApi, clock: VirtualClock, time: number, items = 1, more = {}) => {
		const { run, stop, log } = makeRun(api, more);
		let restedAt = NaN;
		const running = run
			.forEachItem(items, async (i) => await runJob(run, i, request(i)))
			.catch((reason: unknown) => {
				restedAt = clock.now();
				return reason;
			});
		clock.at(time, stop);
		const error: unknown = await clock.run(running);
		expect(error).toBeInstanceOf(StoppedError);
		expect(clock.sleeping).toBe(0);
		return { tookMs: restedAt - time, log: log.at(-1) ?? '' };
	};

	it('before the first submit: nothing is sent', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 0 }));
		const { run, stop } = makeRun(api);
		stop();
		await expect(
			clock.run(run.forEachItem(3, async (i) => await runJob(run, i, request(i)))),
		).rejects.toBeInstanceOf(StoppedError);
		expect(api.calls).toEqual([]);
	});

	it.each([
		['while waiting', 1_500, {}],
		['while a poll is in flight', 1_055, { latencyMs: 100 }],
	])('%s: at once', async (_phase, time, { latencyMs = 0 }: { latencyMs?: number }) => {
		const { clock, api } = setUp(() => ({ queueMs: 600 * SECOND, runMs: 0 }));
		api.latencyMs = latencyMs;
		const { tookMs } = await stopAt(api, clock, time);
		// The wait itself takes no time at all; what is left is the cancel's own way over the wire.
		expect(tookMs).toBe(latencyMs);
		expect(api.jobs[0]).toMatchObject({ cancels: 1, cancelled: true });
	});

	it('while a submit is in flight: after its reply', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 600 * SECOND, runMs: 0 }));
		api.latencyMs = 3 * SECOND;
		const { tookMs } = await stopAt(api, clock, 1 * SECOND);
		expect(tookMs).toBe(5 * SECOND);
		expect(api.jobs[0]).toMatchObject({ cancels: 1, cancelled: true });
	});

	it('while a submit hangs: after five seconds, as a submit with an unknown outcome', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 0 }));
		api.intercept = ({ method }) => (method === 'POST' ? 'hang' : undefined);
		const { tookMs, log } = await stopAt(api, clock, 1 * SECOND);
		expect(tookMs).toBe(5 * SECOND);
		expect(log).toContain('It is not known whether RunComfy accepted the request of item: 0');
	});

	it('in the pause after “too many requests”, and in a backoff: at once', async () => {
		for (const answer of [tooMany(50), { status: 500, headers: {}, body: '' }]) {
			const { clock, api } = setUp(() => ({ queueMs: 600 * SECOND, runMs: 0 }));
			api.intercept = ({ method }) => (method === 'GET' ? answer : undefined);
			const { tookMs } = await stopAt(api, clock, 4 * SECOND);
			expect(tookMs).toBe(0);
			expect(api.jobs[0]?.cancelled).toBe(true);
		}
	});

	it('a hundred queued jobs: one cancel each, ten at once', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 600 * SECOND, runMs: 0 }));
		api.latencyMs = 200;
		clock.at(10 * SECOND - 1, () => void (api.mostInFlight = 0));
		const { tookMs } = await stopAt(api, clock, 10 * SECOND, 300, { maxConcurrency: 100 });
		expect(tookMs).toBe(2_000);
		expect(api.mostInFlight).toBe(10);
		expect(api.jobs).toHaveLength(100);
		expect(api.jobs.every(({ cancels, cancelled }) => cancels === 1 && cancelled)).toBe(true);
	});

	it('a server that refuses cancels for a while: they are sent again until they get through', async () => {
		const notFound = { status: 404, headers: {}, body: { error_code: 404001 } };
		for (const answer of [tooMany(1), tooMany(60), { status: 503, headers: {}, body: '' }, notFound]) {
			const { clock, api } = setUp(() => ({ queueMs: 600 * SECOND, runMs: 0 }));
			api.intercept = (_request, path) =>
				path.endsWith('/cancel') && clock.now() < 12_500 ? answer : undefined;
			const { tookMs } = await stopAt(api, clock, 10 * SECOND, 8);
			expect(api.jobs.filter(({ cancelled }) => cancelled)).toHaveLength(8);
			expect(tookMs).toBeLessThanOrEqual(5 * SECOND);
		}
	});

	it('a cancel whose first answer got lost: not called “not cancellable”', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 600 * SECOND, runMs: 0 }));
		let lost = false;
		const answer = api.send;
		api.send = async (sent) => {
			const given = await answer(sent);
			if (!sent.url.endsWith('/cancel') || lost) return given;
			lost = true;
			throw new NoAnswerError('lost');
		};
		const { log } = await stopAt(api, clock, 10 * SECOND);
		expect(api.jobs[0]).toMatchObject({ cancels: 2, cancelled: true });
		expect(log).toContain('Not known whether cancelled: job-0.');
	});

	it('an answer that has just reported a result: kept, and reported as finished', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 2 * SECOND }));
		let stopNow = () => {};
		const answer = api.send;
		api.send = async (sent) => {
			const given = await answer(sent);
			if (JSON.stringify(given.body).includes('succeeded')) stopNow();
			return given;
		};
		const { run, stop, turn, log } = makeRun(api);
		stopNow = stop;
		const running = run.forEachItem(1, async (i) => {
			const finished = await runJob(run, i, request(i));
			run.throwIfEnded();
			return finished;
		});
		await expect(clock.run(running)).rejects.toBeInstanceOf(StoppedError);
		expect(turn.find(0)).toMatchObject({ state: 'finished', result: { requestId: 'job-0' } });
		expect(log.at(-1)).toContain('Finished and paid for: job-0.');
	});

	it('a server that does not answer cancels: five seconds and no more', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 600 * SECOND, runMs: 0 }));
		api.intercept = (_request, path) => (path.endsWith('/cancel') ? 'hang' : undefined);
		const { tookMs, log } = await stopAt(api, clock, 10 * SECOND, 5);
		expect(tookMs).toBe(5 * SECOND);
		expect(log).toContain('Not known whether cancelled: job-0, job-1, job-2, job-3, job-4');
	});
});
