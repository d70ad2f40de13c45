import type { ModelPrice } from '../../nodes/RunComfy/api/models';
import { type RunComfyError } from '../../nodes/RunComfy/api/problems';
import { buyAndWait } from '../../nodes/RunComfy/jobs/job';
import { dollars } from '../../nodes/RunComfy/common/money';
import { Purse } from '../../nodes/RunComfy/jobs/purse';
import { ItemFailedError } from '../../nodes/RunComfy/jobs/run';
import { FakeApi, makeRun, ok, order } from './fakeApi';
import { VirtualClock } from './virtualClock';

const PER_REQUEST: ModelPrice = { usd: 0.06, unit: 'request' };
const never = new AbortController().signal;

function purse(limit: number, price: ModelPrice = PER_REQUEST): Purse {
	return new Purse(limit, new Map([['a/b', price]]));
}

const planned = (count: number, waits = true) =>
	Array.from({ length: count }, () => ({ modelId: 'a/b', waits }));

describe('dollars', () => {
	it.each([
		[0.06, '$0.06'],
		[1, '$1.00'],
		[0.1 + 0.2, '$0.30'],
		[0.0125, '$0.0125'],
	])('%d', (usd, text) => expect(dollars(usd)).toBe(text));
});

describe('Purse', () => {
	it('lets as many through as the limit pays for, to the cent', async () => {
		const guard = purse(0.18);
		for (let item = 0; item < 3; item++) await guard.reserve(item, 'a/b', never);
		await expect(guard.reserve(3, 'a/b', never)).rejects.toThrow(
			'the Spending Limit of $0.18 does not pay for it',
		);
	});

	it('gives back what was certainly not bought', async () => {
		const guard = purse(0.06);
		await guard.reserve(0, 'a/b', never);
		guard.release(0);
		await guard.reserve(1, 'a/b', never);
	});

	it('counts the real cost, and takes a higher one for the price of the next', async () => {
		const guard = purse(0.25);
		await guard.reserve(0, 'a/b', never);
		guard.settle(0, 0.15, true);
		await expect(guard.reserve(1, 'a/b', never)).rejects.toMatchObject({
			problem: {
				advice: expect.stringContaining('Spent $0.15 on 1 request, of a Spending Limit of $0.25.') as string,
			},
		});
	});

	it('counts the price where no cost is reported, and says so', async () => {
		const guard = purse(1);
		await guard.reserve(0, 'a/b', never);
		guard.settle(0, undefined, true);
		guard.settle(0, 0.5, true);
		expect(guard.report()).toBe(
			'Spent $0.06 on 1 request (RunComfy did not report the cost of 1; its price was counted), of a Spending Limit of $1.00.',
		);
	});

	it.each([
		[1, 3, undefined],
		[0.18, 3, undefined],
		[0.1, 3, 'Nothing was submitted: 3 items cost about $0.18, more than the Spending Limit of $0.10'],
	])('with a limit of %d judges %i items at once', (limit, items, message) =>
		expect(purse(limit).findFault(planned(items), false)?.message).toBe(message),
	);

	it.each([
		{ usd: 0.06, unit: 'image' },
		{ usd: 0.06, unit: 'output' },
	])('refuses beforehand what costs too much even at the least: %j', (price) =>
		expect(purse(0.1, price).findFault(planned(2), false)?.message).toContain('2 items cost at least $0.12'),
	);

	it.each([
		[{ usd: 0.12, unit: 'second' }, 'it costs $0.12 for each second, not for each request'],
		[{ usd: 0.06, unit: 'image' }, 'it costs $0.06 for each image, not for each request'],
		[{}, 'RunComfy names no price for it'],
		[{ usd: 1 }, 'RunComfy names no price for it'],
	])('says what it cannot do for %j', (price, why) => {
		const [warning] = purse(1, price).warnings;
		expect(warning).toContain(`cannot be kept beforehand for “a/b”, because ${why}`);
		expect(warning).toContain('one item goes first');
	});

	it('refuses none beforehand when some may run', () =>
		expect(purse(0.1).findFault(planned(3), true)).toBeUndefined());

	it.each([[{ usd: 0.12, unit: 'second' }], [{}]])(
		'refuses %j when nobody waits for what it costs',
		(price) => {
			expect(purse(1, price).findFault(planned(1, false), true)?.message).toBe(
				'Nothing was submitted: the Spending Limit of $1.00 cannot be kept for “a/b” without waiting',
			);
			expect(purse(1).findFault(planned(1, false), true)).toBeUndefined();
		},
	);

	it('has nothing to say about a price for each request', () => expect(purse(1).warnings).toEqual([]));
});

describe('A spending limit, on a virtual clock', () => {
	function setUp(limit: number, price: ModelPrice, costs: (job: number) => number | undefined) {
		const clock = new VirtualClock();
		const api = new FakeApi(clock, () => ({ queueMs: 0, runMs: 5_000 }));
		api.costOf = costs;
		const guard = purse(limit, price);
		return { clock, api, guard };
	}

	it('sends one item first where the price is for a second, and then as many as its real cost allows', async () => {
		const { clock, api, guard } = setUp(1, { usd: 0.05, unit: 'second' }, () => 0.25);
		const { run } = makeRun(api, { purse: guard, continueOnFail: true });
		const outcomes = await clock.run(
			run.forEachItem(8, async (i) => await buyAndWait(run, i, order(i, { includeCost: true }))),
		);
		const submits = api.calls.filter(({ method }) => method === 'POST').map(({ at }) => at);
		expect(submits).toHaveLength(4);
		expect(submits[1]).toBeGreaterThanOrEqual(5_000);
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual([
			true,
			true,
			true,
			true,
			false,
			false,
			false,
			false,
		]);
		expect(guard.report()).toContain('Spent $1.00 on 4 requests');
	});

	it('starts no second item when the first one’s cost is never reported', async () => {
		const { clock, api, guard } = setUp(1, {}, () => undefined);
		const { run } = makeRun(api, { purse: guard, continueOnFail: true });
		const outcomes = await clock.run(
			run.forEachItem(3, async (i) => await buyAndWait(run, i, order(i, { includeCost: true }))),
		);
		expect(api.jobs).toHaveLength(1);
		const [, second] = outcomes;
		expect(second?.ok === false && (second.error as RunComfyError).problem.advice).toContain(
			'has not reported what a request of this model costs',
		);
	});

	it.each([
		['lets the next one go first when the first failed', 1, [false, true, true, true]],
		['gives up finding out when three have failed', 3, [false, false, false, false]],
	])('%s', async (_, failures, succeeded) => {
		const { clock, api, guard } = setUp(1, {}, () => 0.1);
		api.intercept = (_request, path) => {
			const [, id] = /job-(\d+)/.exec(path) ?? [];
			return id !== undefined && Number(id) < failures ? ok({ status: 'failed' }) : undefined;
		};
		const { run } = makeRun(api, { purse: guard, continueOnFail: true });
		const outcomes = await clock.run(
			run.forEachItem(4, async (i) => await buyAndWait(run, i, order(i, { includeCost: true }))),
		);
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual(succeeded);
		expect(api.jobs).toHaveLength(failures === 1 ? 4 : 3);
	});

	it('does not take what a failed request cost for nothing as the price of the next', async () => {
		const { clock, api, guard } = setUp(0.25, {}, () => 0.1);
		api.intercept = (_request, path) =>
			path.includes('job-0') ? ok({ status: 'failed', cost: 0 }) : undefined;
		const { run } = makeRun(api, { purse: guard, continueOnFail: true });
		await clock.run(
			run.forEachItem(6, async (i) => await buyAndWait(run, i, order(i, { includeCost: true }))),
		);
		expect(api.jobs).toHaveLength(3);
		expect(guard.report()).toContain('Spent $0.20 on 3 requests, of');
	});

	it('looks again for a cost that comes late', async () => {
		const { clock, api, guard } = setUp(1, PER_REQUEST, () => (clock.now() < 8_000 ? undefined : 0.07));
		const { run } = makeRun(api, { purse: guard });
		const [outcome] = await clock.run(
			run.forEachItem(1, async (i) => await buyAndWait(run, i, order(i, { includeCost: true }))),
		);
		expect(outcome?.ok && outcome.value.result.cost).toBe(0.07);
		expect(guard.report()).toContain('Spent $0.07 on 1 request,');
	});

	it('lets the next one go first when the first was refused', async () => {
		const { clock, api, guard } = setUp(1, {}, () => 0.1);
		api.intercept = (_, path) =>
			api.calls.length === 1 && path.includes('models')
				? { status: 422, headers: {}, body: { error_code: 422001 } }
				: undefined;
		const { run } = makeRun(api, { purse: guard, continueOnFail: true });
		const outcomes = await clock.run(
			run.forEachItem(3, async (i) => await buyAndWait(run, i, order(i, { includeCost: true }))),
		);
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual([false, true, true]);
		expect(guard.report()).toContain('Spent $0.20 on 2 requests');
	});

	it('ends the waiting for the first one when the run is stopped', async () => {
		const { clock, api, guard } = setUp(1, {}, () => 0.1);
		const { run, stop } = makeRun(api, { purse: guard });
		clock.at(2_000, stop);
		await expect(
			clock.run(run.forEachItem(5, async (i) => await buyAndWait(run, i, order(i)))),
		).rejects.toThrow('Stopped');
		expect(clock.now()).toBe(2_000);
		expect(api.jobs).toHaveLength(1);
	});

	it('does not count what was cancelled while it was queued', async () => {
		const clock = new VirtualClock();
		const api = new FakeApi(clock, (n) => ({ queueMs: n === 0 ? 0 : 60_000, runMs: 60_000 }));
		const guard = purse(1);
		const { run, stop } = makeRun(api, { purse: guard });
		clock.at(8_000, stop);
		await expect(
			clock.run(run.forEachItem(4, async (i) => await buyAndWait(run, i, order(i)))),
		).rejects.toMatchObject({ report: expect.stringContaining('Spent $0.06 on 1 request (') as string });
		expect(api.jobs.filter(({ cancelled }) => cancelled)).toHaveLength(3);
	});

	it('counts what an earlier try has bought, and does not refuse it', async () => {
		const { clock, api, guard } = setUp(0.06, PER_REQUEST, () => 0.06);
		const context = {};
		const first = makeRun(api, { purse: guard }, context);
		clock.at(3_000, first.stop);
		await expect(
			clock.run(first.run.forEachItem(1, async (i) => await buyAndWait(first.run, i, order(i)))),
		).rejects.toThrow('Stopped');
		const again = purse(0.06);
		const second = makeRun(api, { purse: again, continueOnFail: true }, context);
		const outcomes = await clock.run(
			second.run.forEachItem(
				2,
				async (i) => await buyAndWait(second.run, i, order(i, { includeCost: true })),
			),
		);
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual([true, false]);
		expect(api.jobs).toHaveLength(1);
		expect(again.report()).toContain('Spent $0.06 on 1 request,');
	});

	it('reports what was spent when the run gives up', async () => {
		const { clock, api, guard } = setUp(0.13, PER_REQUEST, () => 0.06);
		const { run } = makeRun(api, { purse: guard, maxConcurrency: 1 });
		const failure = await clock
			.run(run.forEachItem(3, async (i) => await buyAndWait(run, i, order(i, { includeCost: true }))))
			.catch((error: unknown) => error);
		expect(failure).toBeInstanceOf(ItemFailedError);
		expect((failure as ItemFailedError).others).toContain(
			'Finished and paid for: job-0, job-1. Spent $0.12 on 2 requests',
		);
	});

	it('works without asking for money when there is no limit', async () => {
		const clock = new VirtualClock();
		const api = new FakeApi(clock, () => ({ queueMs: 0, runMs: 1_000 }));
		const { run } = makeRun(api);
		await clock.run(run.forEachItem(1, async (i) => await buyAndWait(run, i, order(i))));
		expect(api.countCalls(/include_cost/)).toBe(0);
	});
});
