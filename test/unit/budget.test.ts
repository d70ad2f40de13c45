import type { JobResult } from '../../nodes/RunComfy/api/answers';
import type { RunComfyError } from '../../nodes/RunComfy/api/problems';
import { Budget } from '../../nodes/RunComfy/jobs/budget';
import type { LedgerEntry } from '../../nodes/RunComfy/jobs/entry';
import { Ledger } from '../../nodes/RunComfy/jobs/ledger';
import { ItemFailedError, type JobRequest, type ListedPrice } from '../../nodes/RunComfy/jobs/types';
import { callOf, FakeApi, httpOf, makeRun, ok, openTurn, PER_REQUEST, request } from './fakeApi';
import { VirtualClock } from './virtualClock';

const never = new AbortController().signal;

async function budgetOf(
	limit: number,
	price: ListedPrice = PER_REQUEST,
	context: Record<string, unknown> = {},
): Promise<Budget> {
	const budget = new Budget(limit, Ledger.of(context));
	await budget.readPrice(pricedAt('a/b', price));
	return budget;
}

const http = httpOf(async () => await Promise.reject(new Error('Nothing is sent')), new VirtualClock());
const pricedAt = (modelId: string, price: ListedPrice) => ({
	...request({ http, clock: new VirtualClock() }, 0, {}, modelId),
	getPrice: async () => price,
});

/** A budget and a run of the node to try it with. */
async function setUpTurn(limit: number, price?: ListedPrice) {
	const context = {};
	const turn = openTurn(context);
	const budget = await budgetOf(limit, price, context);
	const reserve = async (itemIndex: number): Promise<LedgerEntry> => {
		const entry = await budget.reserve(turn, itemIndex, { endpointId: 'a/b', waits: true }, never);
		if (entry === undefined) throw new Error('Not reserved');
		// As after a timeout. Another item would wait as long as an item waits for this request.
		turn.ledger.setWaitedFor(entry, false);
		return entry;
	};
	const submit = async (itemIndex: number): Promise<LedgerEntry> => {
		const entry = await reserve(itemIndex);
		turn.ledger.move(entry, 'submitting');
		turn.ledger.move(entry, 'queued', { requestId: `r${itemIndex}`, submittedAt: 0 });
		return entry;
	};
	const finish = (entry: LedgerEntry, cost?: number) =>
		turn.ledger.end(entry, 'finished', resultOf(cost), false);
	return { turn, budget, reserve, submit, finish };
}

const resultOf = (cost?: number): JobResult => ({
	requestId: 'r',
	...(cost === undefined ? {} : { cost }),
});

const planned = (count: number, waits = true) =>
	Array.from({ length: count }, () => ({ endpointId: 'a/b', waits }));

describe('Budget', () => {
	it('allows as many as the limit covers, to the cent', async () => {
		const { reserve } = await setUpTurn(0.18);
		for (let item = 0; item < 3; item++) await reserve(item);
		await expect(reserve(3)).rejects.toThrow('the Spending Limit of $0.18 does not pay for it');
	});

	it.each(['refused', 'cancelled while queued'])(
		'releases at once the reservation of what was %s',
		async (how) => {
			const { turn, submit, reserve } = await setUpTurn(0.06);
			if (how === 'refused') turn.ledger.move(await reserve(0), 'refused');
			else turn.ledger.move(await submit(0), 'cancelled');
			await reserve(1);
		},
	);

	it('counts a cost reported with a failure or without any output', async () => {
		const { turn, budget, submit, finish, reserve } = await setUpTurn(1, { usd: 0.06, unit: 'request' });
		turn.ledger.end(await submit(0), 'failed', resultOf(0.5), false);
		finish(await submit(1), 0.4);
		await expect(reserve(2)).rejects.toThrow('does not pay for it');
		expect(budget.report()).toContain('Spent $0.90 on 2 requests');
	});

	it('raises the reservations of running requests at once when a real cost exceeds the price', async () => {
		const { budget, submit, finish, reserve } = await setUpTurn(10, { usd: 1, unit: 'request' });
		const first = await submit(0);
		for (let item = 1; item < 4; item++) await submit(item);
		finish(first, 3);
		// Spent 3, and 3 under way at 3 each.
		await expect(reserve(4)).rejects.toThrow('does not pay for it');
		expect(budget.report()).toContain('Spent $12.00 on 4 requests');
	});

	it('treats a listed price of 0 as unknown: one request of unknown cost, and no more', async () => {
		const { submit, finish, reserve } = await setUpTurn(0.01, { usd: 0, unit: 'request' });
		finish(await submit(0));
		await expect(reserve(1)).rejects.toThrow('the cost of an earlier request is not known (r0)');
	});

	it('counts over retries, turns and parallel tool calls of one execution', async () => {
		const context = {};
		const budget = await budgetOf(0.18, PER_REQUEST, context);
		for (const turn of [0, 1, 2]) {
			const run = openTurn(context, turn);
			const entry = await budget.reserve(run, 0, { endpointId: 'a/b', waits: true }, never);
			if (entry === undefined) throw new Error('Not reserved');
			run.ledger.move(entry, 'submitting');
			run.ledger.move(entry, 'queued', { requestId: `r${turn}`, submittedAt: 0 });
			run.ledger.end(entry, 'failed', resultOf(0.06), false);
			run.close(false);
		}
		await expect(
			budget.reserve(openTurn(context, 3), 0, { endpointId: 'a/b', waits: true }, never),
		).rejects.toThrow('does not pay for it');
		expect(budget.report()).toContain('Spent $0.18 on 3 requests');
	});

	it('starts no second request of unknown price while the first may still run, timed out or not', async () => {
		const { submit, reserve } = await setUpTurn(0.01, { usd: 0.05, unit: 'second' });
		await submit(0);
		await expect(reserve(1)).rejects.toThrow('the cost of an earlier request is not known (r0)');
	});

	it.each([
		['is no longer planned in this turn', new Map<string, ListedPrice>()],
		['has become cheaper in the list', new Map([['a/b', { usd: 0.01, unit: 'request' }]])],
	])('counts what was reserved at its price though the model %s', async (_what, prices) => {
		const context = {};
		const turn = openTurn(context);
		const first = await budgetOf(1, { usd: 1, unit: 'request' }, context);
		const entry = await first.reserve(turn, 0, { endpointId: 'a/b', waits: true }, never);
		if (entry === undefined) throw new Error('Not reserved');
		turn.ledger.setWaitedFor(entry, false);
		turn.ledger.move(entry, 'submitting');
		turn.ledger.move(entry, 'queued', { requestId: 'r', submittedAt: 0 });
		prices.set('c/d', { usd: 0.5, unit: 'request' });
		const later = new Budget(1, Ledger.of(context));
		for (const [endpointId, price] of prices) await later.readPrice(pricedAt(endpointId, price));
		await expect(
			later.reserve(openTurn(context, 1), 1, { endpointId: 'c/d', waits: true }, never),
		).rejects.toThrow('does not pay for it');
		expect(later.report()).toContain('Spent $1.00 on 1 request');
	});

	it('counts the expected cost where none is reported, and says so', async () => {
		const { budget, submit, finish } = await setUpTurn(1);
		finish(await submit(0));
		expect(budget.report()).toBe(
			'Spent $0.06 on 1 request (RunComfy did not report the cost of 1; the expected cost was counted), of a Spending Limit of $1.00.',
		);
	});

	it.each([
		[1, 3, undefined],
		[0.18, 3, undefined],
		[0.1, 3, 'Nothing was submitted: 3 items cost about $0.18, more than the Spending Limit of $0.10'],
	])('with a limit of %d checks %i items in advance', async (limit, items, message) =>
		expect((await budgetOf(limit)).findProblem(planned(items), false)?.message).toBe(message),
	);

	it.each([
		{ usd: 0.06, unit: 'image' },
		{ usd: 0.06, unit: 'output' },
	])('refuses in advance what costs too much even at the least: %j', async (price) =>
		expect((await budgetOf(0.1, price)).findProblem(planned(2), false)?.message).toContain(
			'2 items cost at least $0.12',
		),
	);

	it.each([
		[{ usd: 0.12, unit: 'second' }, 'RunComfy lists $0.12 per second'],
		[{ usd: 0.06, unit: 'image' }, 'RunComfy lists $0.06 per image'],
		[{ usd: 0, unit: 'request' }, 'RunComfy lists no price for it'],
		[{}, 'RunComfy lists no price for it'],
		[{ usd: 1 }, 'RunComfy lists no price for it'],
	])('warns about %j', async (price, why) => {
		const [warning, ...others] = (await budgetOf(1, price)).warningsOf(planned(3));
		expect(warning).toContain(`What a request to “a/b” will cost is not known (${why}).`);
		expect(warning).toContain('one after another');
		expect(warning).toContain('add the option “Expected Cost (USD)”');
		expect(others).toEqual([]);
	});

	it('refuses none in advance when some may run', async () =>
		expect((await budgetOf(0.1)).findProblem(planned(3), true)).toBeUndefined());

	it.each([[{ usd: 0.12, unit: 'second' }], [{}]])(
		'refuses %j when results, and so costs, are not waited for',
		async (price) => {
			expect((await budgetOf(1, price)).findProblem(planned(1, false), true)?.message).toBe(
				'Nothing was submitted: the Spending Limit of $1.00 cannot be kept for “a/b” without waiting',
			);
			expect((await budgetOf(1)).findProblem(planned(1, false), true)).toBeUndefined();
		},
	);

	it('gives no warning for a price per request, nor where the user knows the cost', async () => {
		expect((await budgetOf(1)).warningsOf(planned(3))).toEqual([]);
		const known = planned(3).map((one) => ({ ...one, expectedUsd: 0.02 }));
		expect((await budgetOf(1, {})).warningsOf(known)).toEqual([]);
	});
});

describe('A spending limit, on a virtual clock', () => {
	function setUp(limit: number, price: ListedPrice, costs: (job: number) => number | undefined) {
		const clock = new VirtualClock();
		const api = new FakeApi(clock, () => ({ queueMs: 0, runMs: 5_000 }));
		api.costOf = costs;
		const context = {};
		const budget = new Budget(limit, Ledger.of(context));
		const open = (more: object = {}, asked: Partial<JobRequest> = {}) => {
			const run = makeRun(api, { limitUsd: limit, ...more }, context);
			const requestOf = (i: number) => ({
				...request(api, i, { includeCost: true }),
				getPrice: async () => price,
				...asked,
			});
			return { ...run, start: async (items: number) => await run.start(items, requestOf) };
		};
		return { clock, api, budget, open };
	}

	it('sends one item first where the price is for a second, and then as many as its real cost allows', async () => {
		const { clock, api, budget, open } = setUp(1, { usd: 0.05, unit: 'second' }, () => 0.25);
		const { start } = open({ continueOnFail: true });
		const outcomes = await clock.run(start(8));
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
		expect(budget.report()).toContain('Spent $1.00 on 4 requests');
	});

	it('starts no second item when the first one’s cost is never reported', async () => {
		const { clock, api, open } = setUp(1, {}, () => undefined);
		const { start } = open({ continueOnFail: true });
		const outcomes = await clock.run(start(3));
		expect(api.jobs).toHaveLength(1);
		const [, second] = outcomes;
		expect(second?.ok === false && (second.error as RunComfyError).problem.advice).toContain(
			'The limit allows only one request of unknown cost at a time',
		);
	});

	it.each([
		[
			'starts no second item when the first failed at an unknown cost',
			undefined,
			[false, false, false, false],
			1,
		],
		['lets the next one go first when the first failed at no cost', 0, [false, true, true, true], 4],
	])('%s', async (_, cost, succeeded, jobs) => {
		const { clock, api, open } = setUp(1, {}, () => 0.1);
		api.intercept = (_request, path) => {
			const [, id] = /job-(\d+)/.exec(path) ?? [];
			return Number(id) === 0 ? ok({ status: 'failed', cost }) : undefined;
		};
		const { start } = open({ continueOnFail: true });
		const outcomes = await clock.run(start(4));
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual(succeeded);
		expect(api.jobs).toHaveLength(jobs);
	});

	it('does not take a failed request’s cost of zero as the price of the next', async () => {
		const { clock, api, budget, open } = setUp(0.25, {}, () => 0.1);
		api.intercept = (_request, path) =>
			path.includes('job-0') ? ok({ status: 'failed', cost: 0 }) : undefined;
		const { start } = open({ continueOnFail: true });
		await clock.run(start(6));
		expect(api.jobs).toHaveLength(4);
		expect(budget.report()).toContain('Spent $0.30 on 4 requests, of');
	});

	it('polls again for a cost that is reported late', async () => {
		const { clock, budget, open } = setUp(1, PER_REQUEST, () => (clock.now() < 8_000 ? undefined : 0.07));
		const { start } = open();
		const [outcome] = await clock.run(start(1));
		expect(outcome?.ok && outcome.value.result?.cost).toBe(0.07);
		expect(budget.report()).toContain('Spent $0.07 on 1 request,');
	});

	it.each([
		['of unknown cost', 1, {}],
		['that the limit does not pay for as long as the first is sent', 0.2, { usd: 0.1, unit: 'request' }],
	])('lets one %s go when the first was refused', async (_which, limit, price) => {
		const { clock, api, budget, open } = setUp(limit, price, () => 0.1);
		api.intercept = (_, path) =>
			api.calls.length === 1 && path.includes('models')
				? { status: 422, headers: {}, body: { error_code: 422001 } }
				: undefined;
		const { start } = open({ continueOnFail: true });
		const outcomes = await clock.run(start(3));
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual([false, true, true]);
		expect(budget.report()).toContain('Spent $0.20 on 2 requests');
	});

	it.each([
		['one after another, where the cost is not known', undefined, 2, 2],
		['as many as the limit pays for at the expected cost', 0.25, 4, 4],
	])('runs %s, whatever one has cost', async (_, expectedUsd, submitted, jobs) => {
		const { clock, api, budget, open } = setUp(1, { usd: 0.01, unit: 'second' }, (job) =>
			job === 0 ? 0.01 : 1,
		);
		const { start } = open({ continueOnFail: true, maxConcurrency: 100 }, { expectedUsd });
		await clock.run(start(98));
		expect(api.jobs).toHaveLength(jobs);
		expect(api.mostAlive).toBe(expectedUsd === undefined ? 1 : submitted);
		if (expectedUsd !== undefined)
			expect(budget.report()).toContain('A request cost $1.00 instead of the expected $0.25.');
	});

	it.each([1, 2, 100])(
		'submits all of different expected costs that are true, %d at once',
		async (maxConcurrency) => {
			const costs = [1.2, 0.24, 0.24, 0.24, 0.24];
			const clock = new VirtualClock();
			const api = new FakeApi(clock, () => ({ queueMs: 0, runMs: 5_000 }));
			api.costOf = (job) => costs[job];
			const { start } = makeRun(api, { limitUsd: 2.16, maxConcurrency });
			const requestOf = (i: number) => ({
				...request(api, i, { includeCost: true }),
				getPrice: async () => ({ usd: 0.12, unit: 'second' }),
				expectedUsd: costs[i],
			});
			await clock.run(start(costs.length, requestOf));
			expect(api.jobs).toHaveLength(costs.length);
		},
	);

	it('lets one of unknown cost wait while others have what is left of the limit, rather than refuse it', async () => {
		const clock = new VirtualClock();
		const api = new FakeApi(clock, () => ({ queueMs: 0, runMs: 5_000 }));
		api.intercept = (_, path) => (path.includes('job-0') ? ok({ status: 'failed', cost: 0 }) : undefined);
		const { start } = makeRun(api, { limitUsd: 0.1, continueOnFail: true });
		const requestOf = (i: number) => ({
			...request(api, i, { includeCost: true }, i === 0 ? 'c/d' : 'a/b'),
			getPrice: async () => (i === 0 ? {} : { usd: 0.1, unit: 'request' }),
		});
		const outcomes = await clock.run(start(2, requestOf));
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual([true, false]);
	});

	it('waits for a request as long as one of several equal calls does', async () => {
		const clock = new VirtualClock();
		const api = new FakeApi(clock, () => ({ queueMs: 0, runMs: 10_000 }));
		api.intercept = (_, path) =>
			path.includes('job-0') && clock.now() > 9_000 ? ok({ status: 'failed', cost: 0 }) : undefined;
		const context = {};
		const call = async (args: string, runIndex: number, timeoutMs: number) => {
			const more = { limitUsd: 0.06, runIndex, continueOnFail: true };
			const { start } = makeRun(api, more, context, () => callOf(args));
			const [outcome] = await start(1, (i) => request(api, i, { includeCost: true, timeoutMs }));
			return outcome?.ok;
		};
		const calls = [call('A', 0, 3_000), call('A', 1, 60_000), call('B', 2, 60_000)];
		expect(await clock.run(Promise.all(calls))).toEqual([false, false, true]);
	});

	it('pays once for equal calls of an agent at the same time, though one reads its fields for longer', async () => {
		const clock = new VirtualClock();
		const api = new FakeApi(clock, () => ({ queueMs: 0, runMs: 5_000 }));
		const context = {};
		const calls = [0, 1_000].map(async (readMs, runIndex) => {
			const { start } = makeRun(api, { limitUsd: 0.06, runIndex }, context, () => callOf('A'));
			return await start(1, async (i) => {
				await clock.sleep(readMs);
				return request(api, i);
			});
		});
		const [first, second] = await clock.run(Promise.all(calls));
		expect(second).toEqual(first);
		expect(api.jobs).toHaveLength(1);
	});

	it('submits another item when requests have cost less than expected', async () => {
		const { clock, budget, open } = setUp(0.5, {}, () => 0.1);
		const { start } = open({ continueOnFail: true }, { expectedUsd: 0.25 });
		const outcomes = await clock.run(start(4));
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual([true, true, true, false]);
		expect(budget.report()).toContain('Spent $0.30 on 3 requests,');
	});

	it('counts the expected cost where a finished request is reported to cost nothing', async () => {
		const { clock, api, budget, open } = setUp(0.2, PER_REQUEST, () => 0);
		const { start } = open({ continueOnFail: true });
		await clock.run(start(20));
		expect(api.jobs).toHaveLength(3);
		expect(budget.report()).toContain('did not report the cost of 3; the expected cost was counted');
	});

	it('ends the waiting for the first one when the run is stopped', async () => {
		const { clock, api, open } = setUp(1, {}, () => 0.1);
		const { start, stop } = open();
		clock.at(2_000, stop);
		await expect(clock.run(start(5))).rejects.toThrow('Stopped');
		expect(clock.now()).toBe(2_000);
		expect(api.jobs).toHaveLength(1);
	});

	it('does not count what was cancelled while it was queued', async () => {
		const clock = new VirtualClock();
		const api = new FakeApi(clock, (n) => ({ queueMs: n === 0 ? 0 : 60_000, runMs: 60_000 }));
		const context = {};
		const { start, stop } = makeRun(api, { limitUsd: 1 }, context);
		clock.at(8_000, stop);
		await expect(clock.run(start(4))).rejects.toMatchObject({
			report: expect.stringContaining('Spent $0.06 on 1 request, of') as string,
		});
		expect(api.jobs.filter(({ cancelled }) => cancelled)).toHaveLength(3);
	});

	it('counts what an earlier try has submitted, and does not refuse it', async () => {
		const { clock, api, budget, open } = setUp(0.06, PER_REQUEST, () => 0.06);
		const first = open();
		clock.at(3_000, first.stop);
		await expect(clock.run(first.start(1))).rejects.toThrow('Stopped');
		const second = open({ continueOnFail: true });
		const outcomes = await clock.run(second.start(2));
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual([true, false]);
		expect(api.jobs).toHaveLength(1);
		expect(budget.report()).toContain('Spent $0.06 on 1 request,');
	});

	it('reports what was spent when the run gives up', async () => {
		const { clock, open } = setUp(0.12, { usd: 0.05, unit: 'second' }, () => 0.06);
		const { start } = open({ maxConcurrency: 1 });
		const failure = await clock.run(start(3)).catch((error: unknown) => error);
		expect(failure).toBeInstanceOf(ItemFailedError);
		expect((failure as ItemFailedError).others).toContain(
			'Finished and paid for: job-0, job-1. Spent $0.12 on 2 requests',
		);
	});

	it('works without asking for money when there is no limit', async () => {
		const clock = new VirtualClock();
		const api = new FakeApi(clock, () => ({ queueMs: 0, runMs: 1_000 }));
		const { start } = makeRun(api);
		await clock.run(start(1));
		expect(api.countCalls(/include_cost/)).toBe(0);
	});
});
