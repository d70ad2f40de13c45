import type { INode } from 'n8n-workflow';

import { NoAnswerError, type ApiAnswer } from '../../nodes/RunComfy/api/call';
import { RunComfyError, type Problem } from '../../nodes/RunComfy/api/problems';
import { Ledger } from '../../nodes/RunComfy/jobs/ledger';
import type { JobRequest } from '../../nodes/RunComfy/jobs/types';
import { toNodeError } from '../../nodes/RunComfy/n8n/nodeErrors';
import { FieldError } from '../../nodes/RunComfy/util/errors';
import { answer, callOf, makeRun, ok, request, SECOND, setUp, tooMany } from './fakeApi';

/** Submits one item, and returns what has become of it. */
async function submitOne(
	answers: Array<ApiAnswer | NoAnswerError | undefined>,
	asked: Partial<JobRequest> = {},
	timeoutMs = 60 * SECOND,
) {
	const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
	clock.jumpMs = 1_000_000;
	let next = 0;
	api.intercept = ({ method }) =>
		method === 'POST' ? answers[Math.min(next++, answers.length - 1)] : undefined;
	const { start, log, context } = makeRun(api, { continueOnFail: true, limitUsd: 1 });
	const [outcome] = await clock.run(start(1, (i) => ({ ...request(api, i, { timeoutMs }), ...asked })));
	const error = outcome?.ok === false ? outcome.error : undefined;
	const problem: Partial<Problem> = error instanceof RunComfyError ? error.problem : {};
	const [entry] = Ledger.of(context).costs;
	const posts = api.calls.filter(({ method }) => method === 'POST').map(({ at }) => at);
	return { outcome, error, problem, log, entry, posts, endedAt: clock.now() };
}

const UNREACHABLE = new NoAnswerError('unreachable', 'ECONNREFUSED');

describe('A submit', () => {
	it('that is accepted is in the ledger and the log, with its seeds and the time of day', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 600 * SECOND }));
		clock.jumpMs = 1_000_000;
		const { start, stop, log, context } = makeRun(api);
		clock.at(500, stop);
		const seeds = { seed: 7 };
		await expect(clock.run(start(1, (i) => ({ ...request(api, i), seeds })))).rejects.toThrow('Stopped');
		const { handling } = request(api, 0);
		expect(Ledger.of(context).entries).toMatchObject([
			{ requestId: 'job-0', submittedAt: 1_000_000, seeds, handling },
		]);
		expect(log[0]).toBe('RunComfy request job-0 submitted for item 0');
	});

	it('of an unknown outcome is not sent again, counts as paid for, and is in the log', async () => {
		const { problem, posts, entry, log } = await submitOne([answer(500, { url: '/requests/r-7/status' })]);
		expect(posts).toHaveLength(1);
		expect(problem).toEqual({
			message:
				'It is not known whether RunComfy accepted this request: it answered with HTTP 500, and named the request r-7. It was not sent again, so that you do not pay twice',
			advice:
				'Check the Generations page of your RunComfy account. If the result is there, fetch it with the operation “Get Result” and its request ID. If it is not, run this item again in a new execution.',
			httpStatus: 500,
			requestId: 'r-7',
		});
		expect(entry).toMatchObject({ state: 'outcomeUnknown', expectedUsd: 0.06 });
		expect(log[0]).toBe(`RunComfy, item 0: ${problem.message}`);
	});

	it('of an unknown outcome says nothing of a status or an ID that there is not', async () => {
		const { problem } = await submitOne([new NoAnswerError('lost')]);
		expect(Object.keys(problem)).toEqual(['message', 'advice']);
	});

	it.each([
		['an input', 422, 'Use a smaller photo.', 'Use a smaller photo. Otherwise: Correct the field'],
		['an input of which nothing is known', 422, undefined, 'Correct the field'],
		['anything else', 402, 'Use a smaller photo.', 'Nothing was paid for. Top up'],
	])(
		'that is refused because of %s ends its item, costs nothing, and says why',
		async (_, status, inputAdvice, advice) => {
			const { problem, posts, entry } = await submitOne([answer(status, {})], { inputAdvice });
			expect(posts).toHaveLength(1);
			expect(problem.advice?.startsWith(advice)).toBe(true);
			expect(entry?.state).toBe('refused');
		},
	);

	it('that was never sent is tried four times, with growing pauses, and costs nothing', async () => {
		const { problem, posts, entry } = await submitOne([UNREACHABLE]);
		expect(posts).toEqual([0, 375, 1_125, 2_625]);
		expect(problem.message).toBe('Nothing was submitted: RunComfy could not be reached');
		expect(entry?.state).toBe('refused');
	});

	it.each([
		[1_126, 3],
		[1_125, 2],
	])('that was never sent is not tried after the timeout (%i ms)', async (timeoutMs, tries) => {
		const { posts, endedAt } = await submitOne([UNREACHABLE], {}, timeoutMs);
		expect(posts).toHaveLength(tries);
		expect(endedAt).toBeLessThan(timeoutMs);
	});

	it.each([
		[10_001, 2, 10_000],
		[10_000, 1, 0],
	])(
		'that came too often is sent again only within the timeout (%i ms)',
		async (timeoutMs, tries, endsAt) => {
			// The pause is half a second longer, by jitter.
			const { problem, posts, entry, endedAt } = await submitOne([tooMany(9.75)], {}, timeoutMs);
			expect(posts).toHaveLength(tries);
			// It does not wait for a timeout that it cannot meet.
			expect(endedAt).toBe(endsAt);
			expect(problem.advice).toContain('Lower “Max Concurrency”');
			expect(problem).toMatchObject({
				httpStatus: 429,
				message: expect.stringContaining('too many') as string,
			});
			expect(entry?.state).toBe('refused');
		},
	);

	it('whose body cannot be built leaves nothing reserved', async () => {
		const buildInput = async () => await Promise.reject(new Error('The file is gone'));
		const { error, posts, entry } = await submitOne([undefined], { buildInput });
		expect(error).toMatchObject({ message: 'The file is gone' });
		expect(posts).toEqual([]);
		expect(entry?.state).toBe('refused');
	});

	it('whose body cannot be built leaves its share of the limit to another item', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		const { start } = makeRun(api, { continueOnFail: true, limitUsd: 0.06 });
		const buildInput = async () => await Promise.reject(new Error('The file is gone'));
		const requestOf = (i: number) => ({ ...request(api, i), ...(i === 0 ? { buildInput } : {}) });
		const outcomes = await clock.run(start(2, requestOf));
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual([false, true]);
	});

	it('may leave until Stop comes', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		api.latencyMs = 2 * SECOND;
		const mayLeave: Array<boolean | undefined> = [];
		api.intercept = (sent) => {
			for (const ms of [500, 1_500]) clock.at(ms, () => void mayLeave.push(sent.mayLeave?.()));
			return undefined;
		};
		const { start, stop } = makeRun(api, { cancelOnStop: false });
		clock.at(1_000, stop);
		await expect(clock.run(start(1))).rejects.toThrow('Stopped');
		expect(mayLeave).toEqual([true, false]);
	});

	it('is not sent when Stop comes while its body is built', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		const { start, stop, context } = makeRun(api);
		clock.at(100, stop);
		const buildInput = async () => {
			await clock.sleep(200);
			return {};
		};
		const running = start(1, (i) => ({ ...request(api, i), buildInput }));
		await expect(clock.run(running)).rejects.toThrow('Stopped');
		expect(api.calls).toEqual([]);
		expect(Ledger.of(context).entries).toMatchObject([{ state: 'refused' }]);
	});

	it('is refused when the limit no longer pays for it once its body is built', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		api.costOf = () => 1;
		const { start } = makeRun(api, { continueOnFail: true, limitUsd: 0.5 });
		const requestOf = (i: number) => ({
			...request(api, i, { includeCost: true }),
			buildInput: async () => {
				await clock.sleep(i * 5 * SECOND);
				return {};
			},
		});
		const outcomes = await clock.run(start(2, requestOf));
		expect(outcomes.map(({ ok: isOk }) => isOk)).toEqual([true, false]);
		expect(api.countCalls(/^POST/)).toBe(1);
	});

	it('sends one body after another where they are large', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 1 * SECOND }));
		api.latencyMs = 1 * SECOND;
		const { start } = makeRun(api);
		await clock.run(start(3, (i) => ({ ...request(api, i), inputBytes: 20_000_000 })));
		const posts = api.calls.filter(({ method }) => method === 'POST').map(({ at }) => at);
		expect(posts).toEqual([0, 1_000, 2_000]);
	});
});

describe('A retry', () => {
	const failed = ok({ status: 'failed' });
	const notFound = answer(404, { error_code: 404001 });

	/** A first try that is stopped after two seconds without a cancel, and a second one. */
	async function tryTwice(later: ApiAnswer | undefined, runMs: number, stopAfterMs = Infinity) {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs }));
		const more = { cancelOnStop: false };
		const first = makeRun(api, more);
		clock.at(2 * SECOND, first.stop);
		await expect(clock.run(first.start(1))).rejects.toThrow('Stopped');
		await clock.advance(60 * SECOND);
		const before = api.calls.length;
		if (later !== undefined)
			api.intercept = ({ method }, path) => (method === 'GET' && path.includes('job-0') ? later : undefined);
		const second = makeRun(api, {}, first.context);
		if (stopAfterMs < Infinity) clock.at(clock.now() + stopAfterMs, second.stop);
		const result = await clock.run(second.start(1).catch((error: unknown) => error));
		const calls = api.calls.slice(before).map(({ method }) => method);
		return { api, result, calls, log: second.log };
	}

	it('waits for a request that still runs', async () => {
		const { api, result, calls, log } = await tryTwice(undefined, 70 * SECOND);
		expect(result).toMatchObject([{ ok: true, value: { requestId: 'job-0', state: 'finished' } }]);
		expect(calls).not.toContain('POST');
		// Its first poll comes at once: it may have ended long ago.
		expect(api.jobs[0]?.polls.find((at) => at > 2 * SECOND)).toBe(62 * SECOND);
		expect(log[0]).toBe('RunComfy request job-0 resumed for item 0; nothing was submitted again');
	});

	it('submits again what has failed meanwhile', async () => {
		const { api, result } = await tryTwice(failed, 70 * SECOND);
		expect(result).toMatchObject([{ ok: true, value: { requestId: 'job-1' } }]);
		expect(api.jobs).toHaveLength(2);
	});

	it('does not submit again what cannot be found any more', async () => {
		const { api, result } = await tryTwice(notFound, 70 * SECOND);
		expect(result).toMatchObject({ reason: { problem: { requestId: 'job-0' } } });
		expect(api.jobs).toHaveLength(1);
	});

	it('with an item that is wrong now submits nothing, but waits first for what an earlier try has submitted', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 10 * SECOND }));
		const more = { cancelOnStop: false, limitUsd: 1 };
		const first = makeRun(api, more);
		clock.at(2 * SECOND, first.stop);
		await expect(clock.run(first.start(1))).rejects.toThrow('Stopped');
		const wrong = new FieldError('Prompt', 'must not be empty');
		const requestOf = (i: number) => {
			if (i === 2) throw wrong;
			return request(api, i);
		};
		const second = makeRun(api, more, first.context);
		await expect(clock.run(second.start(3, requestOf))).rejects.toMatchObject({
			itemIndex: 2,
			reason: wrong,
			others:
				'Finished and paid for: job-0. Spent $0.06 on 1 request (RunComfy did not report the cost of 1; the expected cost was counted), of a Spending Limit of $1.00.',
			resumable: 'byRetry',
		});
		expect(api.jobs).toHaveLength(1);
		const { log, start } = makeRun(api, more);
		await expect(clock.run(start(3, requestOf))).rejects.toMatchObject({ others: '', resumable: 'no' });
		expect(log).toEqual([]);
	});

	it('returns what an earlier try has read without a call', async () => {
		const { clock, api } = setUp((n) => ({ queueMs: 0, runMs: n === 0 ? 1 * SECOND : 600 * SECOND }));
		const first = makeRun(api, {});
		clock.at(20 * SECOND, first.stop);
		await expect(clock.run(first.start(2))).rejects.toThrow('Stopped');
		const before = api.jobs[0]?.polls.length;
		const second = makeRun(api, {}, first.context);
		clock.at(40 * SECOND, second.stop);
		await expect(clock.run(second.start(2))).rejects.toThrow('Stopped');
		expect(api.jobs[0]?.polls).toHaveLength(before ?? NaN);
		expect(api.jobs).toHaveLength(2);
	});

	it('does not know either what became of a submit of unknown outcome', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 0 }));
		api.intercept = () => new NoAnswerError('lost');
		const context = {};
		for (const _try of [1, 2])
			await expect(clock.run(makeRun(api, {}, context).start(1))).rejects.toMatchObject({
				reason: { problem: { message: expect.stringContaining('the connection was lost') as string } },
			});
		expect(api.calls).toHaveLength(1);
	});

	it('cancels again on Stop what a first try could not cancel', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 600 * SECOND, runMs: 0 }));
		api.intercept = (_request, path) =>
			path.endsWith('/cancel') && clock.now() < 20 * SECOND ? answer(500, {}) : undefined;
		const first = makeRun(api);
		clock.at(1_500, first.stop);
		await expect(clock.run(first.start(1))).rejects.toMatchObject({
			report: 'Not known: whether job-0 was cancelled.',
		});
		await clock.advance(60 * SECOND);
		const second = makeRun(api, {}, first.context);
		clock.at(clock.now() + 500, second.stop);
		await expect(clock.run(second.start(1))).rejects.toMatchObject({ report: 'Cancelled: job-0.' });
	});
});

describe('The error of a failed item', () => {
	it('leaves alone the request that it names, and cancels those that wait beside it', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 600 * SECOND, runMs: 0 }));
		const { start } = makeRun(api);
		const running = start(2, (i) => request(api, i, { timeoutMs: (3 + 60 * i) * SECOND }));
		await expect(clock.run(running)).rejects.toMatchObject({ itemIndex: 0, others: 'Cancelled: job-1.' });
		expect(api.jobs.map(({ cancelled }) => cancelled)).toEqual([false, true]);
	});

	it.each([
		['of unknown outcome: its own request once, and no retry', new NoAnswerError('lost'), 'byHand'],
		['that was refused: the others, and a retry', answer(402, {}), 'byRetry'],
	])('%s', async (_, given, resumable) => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 600 * SECOND }));
		api.intercept = ({ method }) => (method === 'POST' && api.countCalls(/^POST/) === 2 ? given : undefined);
		const { start } = makeRun(api, { maxConcurrency: 2 });
		// The second waits until the first has been seen running.
		const requestOf = async (i: number) => {
			const buildInput = async () => await clock.sleep(i * 5 * SECOND).then(() => ({}));
			return { ...request(api, i), buildInput };
		};
		const error: unknown = await clock.run(start(3, requestOf)).catch((reason: unknown) => reason);
		const others = 'Still running at RunComfy: job-0 (item 0, running).';
		expect(error).toMatchObject({ itemIndex: 1, others, resumable });
		const node = {} as INode;
		expect(toNodeError(node, error).description?.includes('Retry On Fail')).toBe(resumable === 'byRetry');
	});
});

describe('Parallel equal calls of an agent', () => {
	it('make one request, and neither submits again when it fails', async () => {
		const { clock, api } = setUp(() => ({ queueMs: 0, runMs: 5 * SECOND }));
		api.intercept = ({ method }) =>
			method === 'GET' && clock.now() > 3 * SECOND ? ok({ status: 'failed' }) : undefined;
		const context = {};
		const runs = [0, 1].map((runIndex) => makeRun(api, { runIndex }, context, () => callOf('A')));
		const failures = await clock.run(
			Promise.all(runs.map(async ({ start }) => await start(1).catch((error: unknown) => error))),
		);
		expect(failures).toMatchObject(Array(2).fill({ reason: { problem: { requestId: 'job-0' } } }));
		expect(api.jobs).toHaveLength(1);
	});
});
