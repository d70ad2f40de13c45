import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';

import { RunComfyClient } from '../../nodes/RunComfy/api/client';
import { NoAnswerError, noAnswerReason, type Send } from '../../nodes/RunComfy/api/transport';
import { omitUndefined } from '../../nodes/RunComfy/util/values';
import { MODEL_ID, Sandbox, SANDBOX_TOKEN } from '../sandbox/sandbox';

/** The client over a real connection, without n8n in between. */
const send: Send = async ({ method, url, body, timeoutMs, signal }) => {
	const timeout = AbortSignal.timeout(timeoutMs);
	const stop = new AbortController();
	signal?.addEventListener('abort', () => stop.abort());
	try {
		const answer = await request(url, {
			method,
			headers: {
				authorization: `Bearer ${SANDBOX_TOKEN}`,
				...omitUndefined({ 'content-type': body === undefined ? undefined : 'application/json' }),
			},
			...omitUndefined({ body: body === undefined ? undefined : JSON.stringify(body) }),
			signal: AbortSignal.any([timeout, stop.signal]),
		});
		const text = await answer.body.text();
		return { status: answer.statusCode, headers: answer.headers, body: parse(text) };
	} catch (error) {
		if (timeout.aborted) throw new NoAnswerError('timeout');
		const code = (error as { code?: string }).code;
		throw new NoAnswerError(noAnswerReason(code), code);
	}
};

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return text;
	}
}

const INPUT = { image: 'https://example.com/a.png', prompt: 'A beach', seed: 1 };

describe('The client over a real local HTTP server', () => {
	let sandbox: Sandbox;
	let client: RunComfyClient;
	/** Gives up soon, for calls that get no answer. */
	let impatient: RunComfyClient;

	beforeAll(async () => {
		sandbox = await Sandbox.start({ pictures: 'plain', queueMs: 60_000, runMs: 60_000 });
	});
	beforeEach(() => {
		sandbox.reset();
		const access = { baseUrl: sandbox.url, platformBaseUrl: sandbox.url };
		client = new RunComfyClient(access, send, Date.now);
		impatient = new RunComfyClient(access, send, Date.now, { submitMs: 500, pollMs: 300, cancelMs: 300 });
	});
	afterAll(async () => await sandbox.close());

	const submit = async () => {
		const answer = await client.submit(MODEL_ID, INPUT);
		if (answer.kind !== 'accepted') throw new Error(`Not accepted: ${JSON.stringify(answer)}`);
		return answer.requestId;
	};

	it('follows a job from the queue to its result', async () => {
		const requestId = await submit();
		const [job] = sandbox.jobs;
		if (job === undefined) throw new Error('No job');
		expect(job.input).toEqual(INPUT);
		expect(await client.getStatus(requestId)).toMatchObject({ phase: 'queued', queuePosition: 0 });
		job.runsAt = 0;
		expect(await client.getResult(requestId)).toMatchObject({ phase: 'running' });
		job.endsAt = 0;
		await job.product;
		expect(await client.getStatus(requestId)).toMatchObject({ status: 'completed', phase: 'finished' });
		const finished = await client.getResult(requestId, { includeCost: true });
		expect(finished).toMatchObject({
			phase: 'finished',
			result: { cost: 0.06, output: { image: expect.stringContaining('http') } },
		});
		expect(await client.getResult(requestId)).not.toMatchObject({ result: { cost: 0.06 } });
	});

	it('cancels only what is queued', async () => {
		const requestId = await submit();
		expect(await client.cancel(requestId)).toEqual({ kind: 'outcome', outcome: 'cancelled' });
		expect(await client.cancel(requestId)).toEqual({ kind: 'outcome', outcome: 'not_cancellable' });
		expect(await client.getResult(requestId)).toMatchObject({ phase: 'cancelled' });
		expect(await client.cancel('nobody')).toMatchObject({ kind: 'notFound' });
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
		'does not know the outcome of a submit after %s, whether a job exists or not',
		async (kind, jobs) => {
			sandbox.faults.add({ on: 'submit', kind });
			const caller = kind.startsWith('hang') ? impatient : client;
			expect(await caller.submit(MODEL_ID, INPUT)).toMatchObject({ kind: 'outcomeUnknown' });
			expect(sandbox.stats).toMatchObject({ submits: 1, accepted: jobs });
		},
	);

	it('knows that a submit without a server was not sent', async () => {
		const nowhere = new RunComfyClient(
			{ baseUrl: 'http://127.0.0.1:1', platformBaseUrl: 'http://127.0.0.1:1' },
			send,
			Date.now,
		);
		expect(await nowhere.submit(MODEL_ID, INPUT)).toMatchObject({ kind: 'unreachable' });
		expect(await nowhere.getStatus('x')).toMatchObject({ kind: 'again' });
	});

	it('is refused with the reason for an input that the API page does not allow', async () => {
		const answer = await client.submit(MODEL_ID, { ...INPUT, seed: -1 });
		expect(answer).toMatchObject({
			kind: 'refused',
			problem: { message: expect.stringContaining('must be >= 0') },
		});
		expect(sandbox.stats.accepted).toBe(0);
	});

	it('aborts a poll when its signal is aborted', async () => {
		const requestId = await submit();
		sandbox.faults.add({ on: 'result', kind: 'hangBefore' });
		const controller = new AbortController();
		const poll = client.getResult(requestId, { signal: controller.signal, timeoutMs: 15_000 });
		setTimeout(() => controller.abort(), 20);
		const from = Date.now();
		expect(await poll).toMatchObject({ kind: 'again' });
		expect(Date.now() - from).toBeLessThan(5_000);
	});

	it('gives a large body the time that its upload takes', async () => {
		let received = 0;
		const server = createServer((request, response) => {
			// A slow line: much more time than the 500 ms that a small submit is given.
			request.pause();
			setTimeout(() => request.resume(), 1_500);
			request.on('data', (chunk: Buffer) => (received += chunk.length));
			request.on('end', () => {
				response.setHeader('content-type', 'application/json');
				response.end(JSON.stringify({ request_id: 'uploaded' }));
			});
		});
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
		const { port } = server.address() as AddressInfo;
		const slow = new RunComfyClient(
			{ baseUrl: `http://127.0.0.1:${port}`, platformBaseUrl: `http://127.0.0.1:${port}` },
			send,
			Date.now,
			{ submitMs: 500, pollMs: 300, cancelMs: 300 },
		);
		const image = `data:image/png;base64,${'A'.repeat(9_000_000)}`;
		expect(await slow.submit(MODEL_ID, { ...INPUT, image })).toEqual({
			kind: 'accepted',
			requestId: 'uploaded',
		});
		expect(received).toBeGreaterThan(9_000_000);
		await new Promise((resolve) => server.close(resolve));
	});
});
