import { ItemFailedError } from '../../nodes/RunComfy/jobs/types';
import { makeRun, request, SECOND, setUp, tooMany } from './fakeApi';

describe('“Too many requests”', () => {
	it('pauses all workers for as long as the server asks', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 30 * SECOND }));
		let refused = false;
		api.intercept = () => {
			if (clock.now() < 5 * SECOND || refused) return undefined;
			refused = true;
			return tooMany(20);
		};
		const { start } = makeRun(api);
		await clock.run(start(10));
		const refusedAt = api.calls.find(({ at }) => at >= 5 * SECOND)?.at ?? 0;
		const during = api.calls.filter(({ at }) => at > refusedAt && at < refusedAt + 20 * SECOND);
		expect(during).toEqual([]);
		expect(api.calls.some(({ at }) => at >= refusedAt + 20 * SECOND)).toBe(true);
	});

	it('caps Retry-After at one minute, and some jitter', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		api.intercept = () => (api.calls.length === 1 ? tooMany(86_400) : undefined);
		const { start } = makeRun(api);
		await clock.run(start(1));
		expect(api.calls[1]?.at).toBeGreaterThanOrEqual(60 * SECOND);
		expect(api.calls[1]?.at).toBeLessThan(61 * SECOND);
	});

	it('does not make an item fail whose request ends before its timeout, after a single refusal', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 58 * SECOND }));
		let refused = false;
		api.intercept = () => {
			if (clock.now() < 30 * SECOND || refused) return undefined;
			refused = true;
			return tooMany(1);
		};
		const { start } = makeRun(api, { continueOnFail: true });
		const limits = { timeoutMs: 60 * SECOND };
		const outcomes = await clock.run(start(10, (i) => request(api, i, limits)));
		expect(outcomes.filter(({ ok }) => ok)).toHaveLength(10);
	});

	it.each([
		['GET', 16],
		['POST', 10],
	])('does not hold an item back beyond its timeout, and the last poll (%s)', async (method, seconds) => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 3_600 * SECOND }));
		api.intercept = (call) => (call.method === method ? tooMany(4) : undefined);
		const { start } = makeRun(api, { continueOnFail: true });
		const limits = { timeoutMs: 10 * SECOND };
		const outcomes = await clock.run(start(10, (i) => request(api, i, limits)));
		expect(outcomes.every(({ ok }) => !ok)).toBe(true);
		expect(clock.now()).toBeLessThanOrEqual(seconds * SECOND);
		expect(clock.sleeping).toBe(0);
	});

	it('submits nothing after the timeout', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		clock.at(15 * SECOND, () => (api.intercept = () => undefined));
		api.intercept = () => tooMany(4);
		const { start } = makeRun(api, { continueOnFail: true });
		const limits = { timeoutMs: 10 * SECOND };
		await clock.run(start(10, (i) => request(api, i, limits)));
		expect(api.jobs).toHaveLength(0);
	});

	it('counts an item’s time from its own turn, where a large body waits for others', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		const { start } = makeRun(api, { continueOnFail: true });
		const large = (i: number, timeoutMs: number) => ({
			...request(api, i, { timeoutMs }),
			inputBytes: 20_000_000,
			buildInput: async () => {
				await clock.sleep(20 * SECOND);
				return { prompt: `item ${i}` };
			},
		});
		const outcomes = await clock.run(start(3, (i) => large(i, 25 * SECOND)));
		expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, true]);
	});

	it.each([0, 'Thu, 01 Jan 1970 00:00:00 GMT'])(
		'backs off even when Retry-After asks for no pause (%s)',
		async (retryAfter) => {
			const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
			clock.at(4 * SECOND, () => (api.intercept = () => undefined));
			api.intercept = ({ method }) => (method === 'POST' ? tooMany(retryAfter) : undefined);
			const { start } = makeRun(api);
			await clock.run(start(10));
			const posts = api.calls.filter(({ method, at }) => method === 'POST' && at < 4 * SECOND);
			expect(posts.length).toBeLessThanOrEqual(10 + 5 + 2);
			expect(api.jobs).toHaveLength(10);
		},
	);

	it('spreads the next calls of runs that were given the same Retry-After', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		api.intercept = () => (clock.now() === 0 ? tooMany(20) : undefined);
		const runs = [0.1, 0.5, 0.9].map((draw) => makeRun(api, { random: () => draw }));
		await clock.run(Promise.all(runs.map(async ({ start }) => await start(1))));
		const again = api.calls.slice(3).filter(({ method }) => method === 'POST');
		expect(new Set(again.map(({ at }) => at)).size).toBe(3);
	});

	it('paces the calls of a run that is refused again and again, and lets it recover', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 10 * SECOND }));
		const accepted: number[] = [];
		// Others take all but one call in five seconds, for the first ten minutes.
		api.intercept = () => {
			const previous = accepted.at(-1) ?? -Infinity;
			if (clock.now() < 600 * SECOND && clock.now() - previous < 5 * SECOND) return tooMany();
			accepted.push(clock.now());
			return undefined;
		};
		const { start } = makeRun(api);
		await clock.run(start(200));
		const count = (list: number[], from: number, to: number) =>
			list.filter((at) => at >= from * SECOND && at < to * SECOND).length;
		const all = api.calls.map(({ at }) => at);
		expect(count(accepted, 100, 600)).toBeGreaterThan(60);
		expect(count(all, 100, 600)).toBeLessThan(2 * count(accepted, 100, 600));
		// Within two minutes it calls about as often as it would have without the limit.
		expect(count(all, 720, 730)).toBeGreaterThan(30);
		expect(clock.sleeping).toBe(0);
	});

	it('backs off exponentially without a Retry-After, and submits again because nothing was accepted', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		api.intercept = () => (api.calls.length <= 4 ? tooMany() : undefined);
		const { start } = makeRun(api);
		await clock.run(start(1));
		const pauses = api.calls.slice(1, 5).map(({ at }, i) => at - (api.calls[i]?.at ?? 0));
		expect(pauses).toEqual([750, 1_500, 3_000, 6_000]);
		expect(api.jobs).toHaveLength(1);
	});

	it('gives up at the deadline, and reports that nothing was submitted', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 0 }));
		api.intercept = () => tooMany(10);
		const { start } = makeRun(api);
		const running = start(1, (i) => request(api, i, { timeoutMs: 60_000 }));
		const error: unknown = await clock.run(running).catch((reason: unknown) => reason);
		expect(error).toBeInstanceOf(ItemFailedError);
		expect((error as ItemFailedError).reason).toMatchObject({
			problem: { httpStatus: 429 },
		});
		expect(clock.now()).toBeLessThanOrEqual(60_000);
	});
});
