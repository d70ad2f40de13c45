import {
	readRequestId,
	phaseOf,
	readCancel,
	readPoll,
	readOutput,
	readResult,
	readRetryAfterMs,
	readSubmit,
} from '../../nodes/RunComfy/api/responses';
import type { ApiAnswer } from '../../nodes/RunComfy/api/transport';

const answer = (status: number, body: unknown, headers: Record<string, unknown> = {}): ApiAnswer => ({
	status,
	body,
	headers,
});
const HTML = '<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>';

describe('phaseOf', () => {
	it.each([
		['in_queue', 'queued'],
		['IN_QUEUE', 'queued'],
		['queued', 'queued'],
		['pending', 'queued'],
		['waiting', 'queued'],
		['in_progress', 'running'],
		['starting', 'running'],
		['processing', 'running'],
		['completed', 'finished'],
		['Succeeded', 'finished'],
		['failed', 'failed'],
		['error', 'failed'],
		['cancelled', 'cancelled'],
		['canceled', 'cancelled'],
		['archived', 'unknown'],
		['', 'unknown'],
		['toString', 'unknown'],
		['constructor', 'unknown'],
	])('%j means %s', (status, phase) => expect(phaseOf(status)).toBe(phase));
});

describe('readRequestId', () => {
	it.each(['a', 'b7f0-1234_X', 'x'.repeat(1_000), 'a/b', '../x', 'a b', 'a?b#c%', 'ü', '…', 'a.b:c'])(
		'takes %s',
		(id) => expect(readRequestId(id)).toBe(id),
	);
	it('takes a number as text', () => expect(readRequestId(4711)).toBe('4711'));
	it.each(['', ' ', '.', '..', '\ud800', 'x'.repeat(1_001), NaN, null, undefined, {}, ['a']])(
		'refuses %j',
		(id) => expect(readRequestId(id)).toBeUndefined(),
	);
});

describe('readSubmit', () => {
	it.each([
		['the documented answer', answer(200, { request_id: 'r1', status_url: 'https://x' }), 'accepted'],
		['202', answer(202, { request_id: 'r1' }), 'accepted'],
		[
			'an id beside an error code: the id wins, so that it is not lost',
			answer(200, { request_id: 'r1', error_code: 1 }),
			'accepted',
		],
		['429', answer(429, 'slow down'), 'busy'],
		['400001', answer(400, { error_code: 400001 }), 'refused'],
		['400002 as text', answer(400, { error_code: '400002' }), 'refused'],
		['402 without a code', answer(402, {}), 'outcomeUnknown'],
		['401 without a code', answer(401, 'Unauthorized'), 'outcomeUnknown'],
		['403 with a web page', answer(403, HTML), 'outcomeUnknown'],
		['400 with an internal error', answer(400, { error_code: 500001 }), 'outcomeUnknown'],
		['400 with an unknown code', answer(400, { error_code: 400099 }), 'outcomeUnknown'],
		['422 with detail', answer(422, { error_code: 422001, detail: [{ msg: 'too long' }] }), 'refused'],
		['a number as id', answer(200, { request_id: 17 }), 'accepted'],
		['an id with a slash', answer(200, { request_id: 'a/b' }), 'accepted'],
		['a documented code in a 200', answer(200, { error_code: 400002 }), 'refused'],
		['a documented code in a 500', answer(500, { error_code: 400004 }), 'refused'],
		['302', answer(302, ''), 'outcomeUnknown'],
		['303', answer(303, '', { location: 'https://x' }), 'outcomeUnknown'],
		['307', answer(307, ''), 'outcomeUnknown'],
		['408', answer(408, ''), 'outcomeUnknown'],
		['409', answer(409, ''), 'outcomeUnknown'],
		['500', answer(500, { error_code: 500001 }), 'outcomeUnknown'],
		['502 with a web page', answer(502, HTML), 'outcomeUnknown'],
		['503', answer(503, ''), 'outcomeUnknown'],
		['504', answer(504, ''), 'outcomeUnknown'],
		['an unknown code in a 200', answer(200, { error_code: 123456 }), 'outcomeUnknown'],
		['truncated JSON', answer(200, '{"request_id":"r'), 'outcomeUnknown'],
		['no id', answer(200, { ok: true }), 'outcomeUnknown'],
		['an id that cannot be encoded', answer(200, { request_id: '\ud800' }), 'outcomeUnknown'],
		['an empty body', answer(204, ''), 'outcomeUnknown'],
		['null', answer(200, null), 'outcomeUnknown'],
		['a list', answer(200, []), 'outcomeUnknown'],
	] as const)('%s', (_name, given, kind) => expect(readSubmit(given, 0).kind).toBe(kind));

	it.each([
		['an internal error', answer(500, { error_code: 500001, request_id: 'r-1' })],
		['a redirect', answer(307, { request_id: 'r-1' })],
		['a refusal', answer(402, { error_code: 400002, request_id: 'r-1' })],
		['too many requests', answer(429, { request_id: 'r-1' })],
		['JSON that broke off', answer(200, '{"request_id": "r-1", "stat')],
		['another place', answer(200, { data: { request_id: 'r-1' } })],
		['an address', answer(200, { status_url: 'https://x/v1/requests/r-1/status' })],
	])('names an id in %s, and does not know the outcome', (_what, given) => {
		const read = readSubmit(given, 0);
		expect(read).toMatchObject({ kind: 'outcomeUnknown', requestId: 'r-1' });
		expect(JSON.stringify(read)).toContain('named the request r-1');
	});

	it('does not use a number that has lost digits', () =>
		expect(readSubmit(answer(200, { request_id: Number('12345678901234567890') }), 0).kind).toBe(
			'outcomeUnknown',
		));

	it('does not pass on a web page', () => {
		const read = readSubmit(answer(502, HTML), 0);
		expect(JSON.stringify(read)).not.toContain('<h1>');
	});
});

describe('readPoll', () => {
	it.each([
		[
			'queued',
			answer(200, { status: 'in_queue', queue_position: 3 }),
			{ kind: 'state', phase: 'queued', queuePosition: 3 },
		],
		[
			'running',
			answer(200, { status: 'IN_PROGRESS' }),
			{ kind: 'state', phase: 'running', status: 'in_progress' },
		],
		['finished', answer(200, { status: 'succeeded', output: {} }), { kind: 'state', phase: 'finished' }],
		['unknown', answer(200, { status: 'archived' }), { kind: 'state', phase: 'unknown' }],
		['not ready', answer(400, { error_code: 400005 }), { kind: 'again', tooMany: false }],
		['408', answer(408, ''), { kind: 'again', tooMany: false }],
		['429', answer(429, '', { 'retry-after': '7' }), { kind: 'again', tooMany: true, retryAfterMs: 7_000 }],
		['500', answer(500, {}), { kind: 'again' }],
		['502 with a web page', answer(502, HTML), { kind: 'again' }],
		['a web page with 200', answer(200, HTML), { kind: 'again' }],
		['truncated JSON', answer(200, '{"status":'), { kind: 'again' }],
		['no status', answer(200, {}), { kind: 'again' }],
		['500001 in a 200', answer(200, { error_code: 500001 }), { kind: 'again' }],
		['404001', answer(404, { error_code: 404001 }), { kind: 'notFound' }],
		['404', answer(404, HTML), { kind: 'notFound' }],
		['410', answer(410, { message: 'Gone' }), { kind: 'notFound' }],
		['404001 in a 200', answer(200, { error_code: 404001 }), { kind: 'notFound' }],
		[
			'failed with an internal error code',
			answer(200, { status: 'failed', error_code: 500001 }),
			{ kind: 'state', phase: 'failed' },
		],
		[
			'cancelled with a code',
			answer(200, { status: 'Canceled', error_code: 1 }),
			{ kind: 'state', phase: 'cancelled' },
		],
		['the server’s own error', answer(200, { status: 'error', error_code: 500001 }), { kind: 'again' }],
		[
			'in progress with a code',
			answer(200, { status: 'in_progress', error_code: 500001 }),
			{ kind: 'again' },
		],
		['400004', answer(400, { error_code: 400004 }), { kind: 'refused' }],
		['403', answer(403, {}), { kind: 'refused' }],
		['a redirect', answer(301, ''), { kind: 'refused' }],
	] as const)('%s', (_name, given, expected) => expect(readPoll(given, 'r1', 0)).toMatchObject(expected));
});

describe('readOutput and readResult', () => {
	it.each([
		['one image', { image: 'https://a/1' }, ['https://a/1'], []],
		['several', { images: ['https://a/1', 'https://a/2'] }, ['https://a/1', 'https://a/2'], []],
		[
			'the same twice',
			{ image: 'https://a/1', images: ['https://a/1', 'https://a/2'] },
			['https://a/1', 'https://a/2'],
			[],
		],
		['a list that is not one', { images: 'https://a/1' }, ['https://a/1'], []],
		['video', { video: 'https://a/v', videos: ['https://a/w'] }, [], ['https://a/v', 'https://a/w']],
		['nothing', {}, [], []],
		['null', null, [], []],
		['no URLs', { image: '', images: [null, 7, 'file:///etc/passwd', { href: 'x' }] }, [], []],
		['objects with a url', { images: [{ url: 'https://a/1' }, { url: 7 }] }, ['https://a/1'], []],
		['an object as the image', { image: { url: 'https://a/1', width: 8 } }, ['https://a/1'], []],
		[
			'a list',
			['https://a/1.png', { url: 'https://a/2.mp4?x=1' }],
			['https://a/1.png'],
			['https://a/2.mp4?x=1'],
		],
		['a text', 'https://a/1', ['https://a/1'], []],
	])('%s', (_name, output, images, videos) => {
		const read = readOutput(output);
		expect(read).toEqual({
			images,
			videos,
			audios: [],
			otherUrls: [],
			...(images[0] === undefined ? {} : { image: images[0] }),
			...(videos[0] === undefined ? {} : { video: videos[0] }),
		});
	});

	it('reads audio', () => {
		const output = { audio: 'https://a/1.wav', audios: ['https://a/2.wav'], lyrics: 'la', timings: [1, 2] };
		expect(readOutput(output)).toMatchObject({
			audio: 'https://a/1.wav',
			audios: ['https://a/1.wav', 'https://a/2.wav'],
		});
	});

	it('lists URLs under other names, however deep, without taking them for files', () => {
		const output = {
			image: 'https://a/1',
			mesh: { files: [{ href: 'https://a/2.glb' }] },
			input: 'https://a/3',
		};
		expect(readOutput(output)).toMatchObject({
			images: ['https://a/1'],
			otherUrls: ['https://a/2.glb', 'https://a/3'],
		});
	});

	it('takes no URL from anywhere but the output', () => {
		const body = { image: 'https://echo/input.png', input: { image: 'https://echo' } };
		expect(readResult('r1', body)).toEqual({ requestId: 'r1' });
	});

	it.each([
		[0.06, 0.06],
		[0, 0],
		['0.06', 0.06],
		[-1, undefined],
		['free', undefined],
		['', undefined],
		[Infinity, undefined],
	])('reads the cost %j as %j', (cost, usd) => expect(readResult('r1', { cost }).cost).toBe(usd));

	it('keeps cost and dates only where they are what they should be', () => {
		expect(readResult('r1', { cost: 0.06, created_at: 'a', finished_at: 'b' })).toMatchObject({
			cost: 0.06,
			createdAt: 'a',
			finishedAt: 'b',
		});
		expect(readResult('r1', { cost: {}, created_at: 7, output: null })).toEqual({ requestId: 'r1' });
		const output = { lyrics: 'la', timings: [1, 2] };
		expect(readResult('r1', { output })).toEqual({ requestId: 'r1', output });
	});
});

describe('readCancel', () => {
	it.each([
		[
			'cancelled',
			answer(202, { outcome: 'cancelled', status: 'completed' }),
			{ kind: 'outcome', outcome: 'cancelled' },
		],
		[
			'not any more',
			answer(202, { outcome: 'NOT_CANCELLABLE' }),
			{ kind: 'outcome', outcome: 'not_cancellable' },
		],
		[
			'requested',
			answer(200, { outcome: 'cancellation_requested' }),
			{ kind: 'outcome', outcome: 'cancellation_requested' },
		],
		['a status alone means nothing', answer(202, { status: 'cancelled' }), { kind: 'again' }],
		['500', answer(500, ''), { kind: 'again' }],
		['404', answer(404, { error_code: 404001 }), { kind: 'notFound' }],
		['429', answer(429, '', { 'retry-after': '2' }), { kind: 'again', tooMany: true, retryAfterMs: 2_000 }],
		['403001', answer(403, { error_code: 403001 }), { kind: 'refused' }],
	] as const)('%s', (_name, given, expected) => expect(readCancel(given, 'r1', 0)).toMatchObject(expected));
});

describe('readRetryAfterMs', () => {
	const now = Date.parse('2026-01-01T00:00:00Z');
	it.each([
		['7', 7_000],
		['0', 0],
		['1.5', 1_500],
		[['3'], 3_000],
		['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
		['Wed, 31 Dec 2025 00:00:00 GMT', 0],
		['soon', undefined],
		['-5', undefined],
		['', undefined],
		[undefined, undefined],
	])('%j', (header, ms) => expect(readRetryAfterMs({ 'retry-after': header }, now)).toBe(ms));
});
