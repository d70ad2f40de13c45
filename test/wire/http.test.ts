import { request } from 'undici';

import { NoAnswerError, noAnswerOf, type Send } from '../../nodes/RunComfy/api/call';
import { Http } from '../../nodes/RunComfy/api/http';
import { modelEndpoint } from '../../nodes/RunComfy/api/modelApi';
import { parseJson } from '../../nodes/RunComfy/api/json';
import { MODEL_ID, Sandbox, SANDBOX_TOKEN } from '../sandbox/sandbox';
import { until } from '../until';

const INPUT = { image: 'https://example.com/a.png', prompt: 'A beach', seed: 1 };

/** A model over a real connection, without n8n in between. No call times out by itself: tests say when. */
function connect(baseUrl: string) {
	const timeout = new AbortController();
	const send: Send = async ({ method, url, body, signal }) => {
		const stop = new AbortController();
		signal?.addEventListener('abort', () => stop.abort());
		try {
			const answer = await request(url, {
				method,
				headers: {
					authorization: `Bearer ${SANDBOX_TOKEN}`,
					...(body === undefined ? {} : { 'content-type': 'application/json' }),
				},
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
				signal: AbortSignal.any([timeout.signal, stop.signal]),
			});
			const text = await answer.body.text();
			return { status: answer.statusCode, headers: answer.headers, body: parseJson(text) ?? text };
		} catch (error) {
			if (timeout.signal.aborted) throw new NoAnswerError('timeout');
			throw noAnswerOf(error);
		}
	};
	const http = new Http({ baseUrl, platformBaseUrl: baseUrl }, send, Date.now);
	return { model: modelEndpoint(http, MODEL_ID), timeOut: () => timeout.abort() };
}

describe('Calls over a real local HTTP server', () => {
	let sandbox: Sandbox;
	let model: ReturnType<typeof connect>['model'];
	let timeOut: () => void;

	beforeAll(async () => {
		sandbox = await Sandbox.start({ pictures: 'plain', queueMs: 60_000, runMs: 60_000 });
	});
	beforeEach(() => {
		sandbox.reset();
		({ model, timeOut } = connect(sandbox.url));
	});
	afterAll(async () => await sandbox.close());

	const submit = async () => {
		const answer = await model.submit(INPUT);
		if (answer.kind !== 'ok') throw new Error(`Not accepted: ${JSON.stringify(answer)}`);
		return answer.value;
	};

	it('follow a job from the queue to its result', async () => {
		const requestId = await submit();
		const [job] = sandbox.jobs;
		if (job === undefined) throw new Error('No job');
		expect(job.input).toEqual(INPUT);
		expect(await model.getStatus(requestId)).toMatchObject({ value: { phase: 'queued', queuePosition: 0 } });
		job.runsAt = 0;
		expect(await model.getResult(requestId)).toMatchObject({ value: { phase: 'running' } });
		job.endsAt = 0;
		await job.product;
		const finished = { status: 'completed', phase: 'finished' };
		expect(await model.getStatus(requestId)).toMatchObject({ value: finished });
		const output = { image: expect.stringContaining('http') as string };
		expect(await model.getResult(requestId, { includeCost: true })).toMatchObject({
			value: { phase: 'finished', result: { cost: 0.06, output } },
		});
		expect(await model.getResult(requestId)).toMatchObject({
			value: { result: { cost: undefined, output } },
		});
	});

	it('cancel only what is queued', async () => {
		const requestId = await submit();
		expect(await model.cancel(requestId)).toEqual({ kind: 'ok', value: 'cancelled' });
		expect(await model.cancel(requestId)).toEqual({ kind: 'ok', value: 'not_cancellable' });
		expect(await model.getResult(requestId)).toMatchObject({ value: { phase: 'cancelled' } });
		expect(await model.cancel('nobody')).toMatchObject({ kind: 'refused', problem: { isNotFound: true } });
	});

	it.each([
		['lostBefore', 0],
		['lostAfter', 1],
		['hangBefore', 0],
		['hangAfter', 1],
		['truncated', 1],
		['noId', 1],
		['serverError', 0],
		['badGateway', 0],
	] as const)(
		'do not know the outcome of a submit after %s, whether a job exists or not',
		async (kind, jobs) => {
			sandbox.faults.add({ on: 'submit', kind });
			const answer = model.submit(INPUT);
			if (kind.startsWith('hang')) {
				await until(
					'the submit has been received',
					() => sandbox.stats.submits === 1 && sandbox.jobs.length === jobs,
				);
				timeOut();
			}
			expect(await answer).toMatchObject({ kind: 'unknown' });
			expect(sandbox.stats).toMatchObject({ submits: 1, accepted: jobs });
		},
	);

	it('know that a submit without a server was not sent', async () => {
		const nowhere = connect('http://127.0.0.1:1').model;
		expect(await nowhere.submit(INPUT)).toMatchObject({ kind: 'unsent' });
		expect(await nowhere.getStatus('x')).toMatchObject({ kind: 'transient' });
	});

	it('are refused with the reason for an input that the API page does not allow', async () => {
		const message = expect.stringContaining('must be >= 0') as string;
		expect(await model.submit({ ...INPUT, seed: -1 })).toMatchObject({
			kind: 'refused',
			problem: { message },
		});
		expect(sandbox.stats.accepted).toBe(0);
	});

	it('end when their signal is aborted', async () => {
		const requestId = await submit();
		sandbox.faults.add({ on: 'result', kind: 'hangAfter' });
		const controller = new AbortController();
		const poll = model.getResult(requestId, { signal: controller.signal });
		await until('the poll has been received', () => sandbox.stats.resultPolls === 1);
		controller.abort();
		expect(await poll).toMatchObject({ kind: 'transient' });
	});
});
