import { NoAnswerError } from '../../nodes/RunComfy/api/call';
import { modelRequests } from '../../nodes/RunComfy/api/modelApi';
import { Ledger } from '../../nodes/RunComfy/jobs/ledger';
import { StoppedError } from '../../nodes/RunComfy/util/errors';
import { type FakeApi, makeRun, ok, SECOND, setUp, tooMany } from './fakeApi';
import type { VirtualClock } from './virtualClock';

describe('Stop, on a virtual clock', () => {
	const stopAt = async (api: FakeApi, clock: VirtualClock, time: number, items = 1, more = {}) => {
		const { start, stop, log } = makeRun(api, more);
		let restedAt = NaN;
		const running = start(items).catch((reason: unknown) => {
			restedAt = clock.now();
			return reason;
		});
		clock.at(time, stop);
		const error: unknown = await clock.run(running);
		expect(error).toBeInstanceOf(StoppedError);
		expect(clock.sleeping).toBe(0);
		return { tookMs: restedAt - time, log: log.at(-1) ?? '' };
	};

	it('after another item’s failure, while a submit hangs: cancels are tried again for the whole grace period', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 600 * SECOND }));
		const isCancel = (path: string) => path.endsWith('/cancel');
		api.intercept = ({ method }, path) => {
			if (isCancel(path)) {
				const isWell = clock.now() > 26.5 * SECOND;
				return isWell ? ok({ outcome: 'cancelled' }) : { status: 500, headers: {}, body: {} };
			}
			if (method === 'POST') return api.countCalls(/^POST/) === 3 ? 'hang' : undefined;
			return path.includes('job-0') && clock.now() > 5 * SECOND ? ok({ status: 'failed' }) : undefined;
		};
		const requests = { ...modelRequests(api.http), cancelsRunning: true };
		const more = { maxTries: 3, requestApiOf: () => requests };
		const { log } = await stopAt(api, clock, 25 * SECOND, 3, more);
		expect(log).toContain('Cancelled: job-1 (was running)');
		expect(api.calls.filter(({ path }) => isCancel(path)).every(({ at }) => at >= 25 * SECOND)).toBe(true);
	});

	it('before the first submit: nothing is sent', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 0 }));
		const { start, stop } = makeRun(api);
		stop();
		await expect(clock.run(start(3))).rejects.toBeInstanceOf(StoppedError);
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
		expect(log).toContain('Not known: whether RunComfy accepted the request of item 0.');
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
		expect(log).toContain('Not known: whether job-0 was cancelled.');
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
		const { start, stop, context, log } = makeRun(api);
		stopNow = stop;
		await expect(clock.run(start(1))).rejects.toBeInstanceOf(StoppedError);
		const [entry] = Ledger.of(context).entries;
		expect(entry).toMatchObject({ state: 'finished', result: { requestId: 'job-0' } });
		expect(log.at(-1)).toContain('Finished and paid for: job-0.');
	});

	it('a server that does not answer cancels: five seconds and no more', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 600 * SECOND, runMs: 0 }));
		api.intercept = (_request, path) => (path.endsWith('/cancel') ? 'hang' : undefined);
		const { tookMs, log } = await stopAt(api, clock, 10 * SECOND, 5);
		expect(tookMs).toBe(5 * SECOND);
		expect(log).toContain('Not known: whether job-0 was cancelled, whether job-1 was cancelled');
	});
});
