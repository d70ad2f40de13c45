import { readCancel, readPoll, readQuery, readRequestId, readSubmit } from '../../nodes/RunComfy/api/answers';
import { DEPLOYMENT_READER, readBalance } from '../../nodes/RunComfy/api/deploymentApi';
import { type ApiAnswer, readRetryAfterMs } from '../../nodes/RunComfy/api/call';
import { MODEL_CODES, MODEL_READER } from '../../nodes/RunComfy/api/modelApi';
import { answer } from './fakeApi';

const HTML = '<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>';
const NOT_FOUND = { kind: 'refused', problem: { isNotFound: true } };

describe('readRequestId', () => {
	it.each(['a', 'b7f0-1234_X', 'x'.repeat(1_000), 'a/b', '../x', 'a b', 'a?b#c%', 'ü', '…', '😀', 'a.b:c'])(
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
	it.each<[string, ApiAnswer, string]>([
		['the documented answer', answer(200, { request_id: 'r1', status_url: 'https://x' }), 'ok'],
		['202', answer(202, { request_id: 'r1' }), 'ok'],
		[
			'an id beside an error code, which must not be lost',
			answer(200, { request_id: 'r', error_code: 1 }),
			'ok',
		],
		['a number as id', answer(200, { request_id: 17 }), 'ok'],
		['an id with a slash', answer(200, { request_id: 'a/b' }), 'ok'],
		['429', answer(429, 'slow down'), 'transient'],
		['400001', answer(400, { error_code: 400001 }), 'refused'],
		['400002 as text', answer(400, { error_code: '400002' }), 'refused'],
		['422 with detail', answer(422, { error_code: 422001, detail: [{ msg: 'too long' }] }), 'refused'],
		['a documented code in a 200', answer(200, { error_code: 400002 }), 'refused'],
		['a documented code in a 500', answer(500, { error_code: 400004 }), 'refused'],
		['402 without a code', answer(402, {}), 'refused'],
		['401 without a code', answer(401, 'Unauthorized'), 'refused'],
		['403 with a web page', answer(403, HTML), 'refused'],
		...[404, 405, 407, 413, 415, 422].map((status): [string, ApiAnswer, string] => [
			`${status}`,
			answer(status, ''),
			'refused',
		]),
		['413 with an unknown code', answer(413, { error_code: 400099 }), 'refused'],
		['403 with an internal error', answer(403, { error_code: 500001 }), 'unknown'],
		['400 with an internal error', answer(400, { error_code: 500001 }), 'unknown'],
		['400 with an unknown code', answer(400, { error_code: 400099 }), 'unknown'],
		...[302, 303, 307, 408, 409, 503, 504].map((status): [string, ApiAnswer, string] => [
			`${status}`,
			answer(status, ''),
			'unknown',
		]),
		['500', answer(500, { error_code: 500001 }), 'unknown'],
		['502 with a web page', answer(502, HTML), 'unknown'],
		['an unknown code in a 200', answer(200, { error_code: 123456 }), 'unknown'],
		['truncated JSON', answer(200, '{"request_id":"r'), 'unknown'],
		['no id', answer(200, { ok: true }), 'unknown'],
		['an id that cannot be encoded', answer(200, { request_id: '\ud800' }), 'unknown'],
		['a number that has lost digits', answer(200, { request_id: Number('12345678901234567890') }), 'unknown'],
		['an empty body', answer(204, ''), 'unknown'],
		['null', answer(200, null), 'unknown'],
		['a list', answer(200, []), 'unknown'],
	])('a model: %s', (_name, given, kind) => expect(readSubmit(given, MODEL_READER).kind).toBe(kind));

	it.each<[ApiAnswer, string]>([
		[answer(200, { request_id: 'r1' }), 'ok'],
		[answer(429, {}), 'transient'],
		[answer(401, { error_code: 401001 }), 'refused'],
		[answer(403, { error_code: 403003 }), 'refused'],
		[answer(404, { error_code: 404001 }), 'refused'],
		[answer(422, { error_code: 422001, detail: [] }), 'refused'],
		[answer(402, { error_code: 10001 }), 'refused'],
		[answer(400, { error_code: 10003 }), 'refused'],
		// Not documented for deployments, or no code at all.
		[answer(400, { error_code: 400002 }), 'unknown'],
		[answer(400, { detail: [] }), 'unknown'],
		[answer(422, { detail: [] }), 'refused'],
		[answer(404, '<html>'), 'refused'],
		[answer(500, { error_code: 500001 }), 'unknown'],
		[answer(200, {}), 'unknown'],
		[answer(422, { error_code: 422001, request_id: 'r1' }), 'unknown'],
	])('a deployment: %j', (given, kind) => expect(readSubmit(given, DEPLOYMENT_READER).kind).toBe(kind));

	it.each<[string, ApiAnswer]>([
		['an internal error', answer(500, { error_code: 500001, request_id: 'r-1' })],
		['a redirect', answer(307, { request_id: 'r-1' })],
		['a refusal', answer(402, { error_code: 400002, request_id: 'r-1' })],
		['too many requests', answer(429, { request_id: 'r-1' })],
		['JSON that broke off', answer(200, '{"request_id": "r-1", "stat')],
		['another place', answer(200, { data: { request_id: 'r-1' } })],
		['another spelling', answer(401, { requestId: 'r-1' })],
		['an address', answer(200, { status_url: 'https://x/v1/requests/r-1/status' })],
		[
			'an address of a deployment',
			answer(200, { url: 'https://x/prod/v2/deployments/d/requests/r-1/status' }),
		],
	])('names an id in %s, and does not know the outcome', (_what, given) => {
		const read = readSubmit(given, MODEL_READER);
		expect(read).toMatchObject({ kind: 'unknown', requestId: 'r-1' });
		expect(JSON.stringify(read)).toContain('named the request r-1');
	});

	it('does not pass on a web page', () =>
		expect(JSON.stringify(readSubmit(answer(502, HTML), MODEL_READER))).not.toContain('<h1>'));
});

describe('readPoll', () => {
	it.each<[string, string[]]>([
		['queued', ['in_queue', 'IN_QUEUE', 'queued', 'pending', 'waiting']],
		['running', ['in_progress', 'starting', 'processing']],
		['finished', ['completed', 'Succeeded']],
		['failed', ['failed', 'error']],
		['cancelled', ['cancelled', 'Canceled']],
		['unknown', ['archived', 'constructor']],
	])('is %s for %j', (phase, words) => {
		for (const word of words) {
			const value = { phase, status: word.toLowerCase() };
			expect(readPoll(answer(200, { status: word }), 'r1', MODEL_READER)).toMatchObject({
				kind: 'ok',
				value,
			});
		}
	});

	it.each<[object, object]>([
		[
			{ status: 'in_queue', queue_position: 3 },
			{ phase: 'queued', queuePosition: 3 },
		],
		[{ status: 'failed', error_code: 500001 }, { phase: 'failed' }],
		[{ status: 'Canceled', error_code: 1 }, { phase: 'cancelled' }],
	])('reads the state %j', (body, value) =>
		expect(readPoll(answer(200, body), 'r1', MODEL_READER)).toMatchObject({ kind: 'ok', value }),
	);

	it.each<[string, ApiAnswer, object]>([
		[
			'not ready',
			answer(400, { error_code: 400005 }),
			{ kind: 'transient', tooMany: false, hasNoState: true },
		],
		['408', answer(408, ''), { kind: 'transient', tooMany: false }],
		['429', answer(429, ''), { kind: 'transient', tooMany: true }],
		['500', answer(500, {}), { kind: 'transient', why: 'it answered with HTTP 500' }],
		['502 with a web page', answer(502, HTML), { kind: 'transient' }],
		['a web page with 200', answer(200, HTML), { kind: 'transient', hasNoState: true }],
		['truncated JSON', answer(200, '{"status":'), { kind: 'transient', hasNoState: true }],
		['no status', answer(200, {}), { kind: 'transient', hasNoState: true }],
		[
			'another request',
			answer(200, { request_id: 'r2', status: 'completed', output: {} }),
			{ kind: 'transient', hasNoState: true },
		],
		['500001 in a 200', answer(200, { error_code: 500001 }), { kind: 'transient' }],
		['the server’s own error', answer(200, { status: 'error', error_code: 500001 }), { kind: 'transient' }],
		[
			'running with a code',
			answer(200, { status: 'in_progress', error_code: 500001 }),
			{ kind: 'transient' },
		],
		['404001', answer(404, { error_code: 404001 }), NOT_FOUND],
		['404', answer(404, HTML), NOT_FOUND],
		['410', answer(410, { message: 'Gone' }), NOT_FOUND],
		['404001 in a 200', answer(200, { error_code: 404001 }), NOT_FOUND],
		['400001', answer(400, { error_code: 400001 }), { kind: 'refused', problem: { isNotFound: false } }],
		['400004', answer(400, { error_code: 400004 }), { kind: 'refused', problem: { requestId: 'r1' } }],
		['403', answer(403, {}), { kind: 'refused' }],
		['a redirect', answer(301, ''), { kind: 'refused' }],
	])('%s', (_name, given, expected) => expect(readPoll(given, 'r1', MODEL_READER)).toMatchObject(expected));

	/** The result that a poll of a model finds. */
	const resultOf = (facts: object) => {
		const read = readPoll(answer(200, { status: 'completed', ...facts }), 'r1', MODEL_READER);
		return read.kind === 'ok' ? read.value.result : undefined;
	};

	it('takes no URL from anywhere but the output', () =>
		expect(resultOf({ image: 'https://echo/a.png', input: { image: 'https://echo' } })).toEqual({
			requestId: 'r1',
		}));

	it.each([
		[0.06, 0.06],
		[0, 0],
		['0.06', 0.06],
		[-1, undefined],
		['free', undefined],
		['', undefined],
		[Infinity, undefined],
	])('reads the cost %j as %j', (cost, usd) => expect(resultOf({ cost })?.cost).toBe(usd));

	it('keeps cost and dates only where they are what they should be', () => {
		const facts = { cost: 0.06, createdAt: 'a', finishedAt: 'b' };
		expect(resultOf({ cost: 0.06, created_at: 'a', finished_at: 'b' })).toMatchObject(facts);
		expect(resultOf({ cost: {}, created_at: 7, output: null })).toEqual({ requestId: 'r1' });
		const output = { lyrics: 'la', timings: [1, 2] };
		expect(resultOf({ output })).toEqual({ requestId: 'r1', output });
	});
});

describe('readCancel', () => {
	it.each<[string, ApiAnswer, object]>([
		[
			'cancelled',
			answer(202, { outcome: 'cancelled', status: 'completed' }),
			{ kind: 'ok', value: 'cancelled' },
		],
		['not any more', answer(202, { outcome: 'NOT_CANCELLABLE' }), { kind: 'ok', value: 'not_cancellable' }],
		['requested', answer(200, { outcome: 'cancellation_requested' }), { value: 'cancellation_requested' }],
		['a status alone means nothing', answer(202, { status: 'cancelled' }), { kind: 'transient' }],
		['500', answer(500, ''), { kind: 'transient' }],
		['404', answer(404, { error_code: 404001 }), NOT_FOUND],
		['429', answer(429, ''), { kind: 'transient', tooMany: true }],
		['403001', answer(403, { error_code: 403001 }), { kind: 'refused' }],
	])('a model: %s', (_name, given, expected) =>
		expect(readCancel(given, 'r1', MODEL_READER)).toMatchObject(expected),
	);
});

describe('readQuery', () => {
	const WHAT = 'The list could not be read';
	const read = (status: number, body: unknown, codes = MODEL_CODES) =>
		readQuery(answer(status, body), { url: '', what: WHAT, codes, read: readBalance });

	it.each<[string, number, unknown, object]>([
		['an answer', 200, { balance_usd: 1 }, { kind: 'ok' }],
		['a gateway’s page', 502, '<html>', { kind: 'transient' }],
		['too many requests', 429, {}, { kind: 'transient' }],
		['something else', 200, 'hello', { kind: 'transient' }],
		['a bad token', 401, { error_code: 400004 }, { kind: 'refused' }],
		['a polite refusal', 200, { error_code: 400001 }, NOT_FOUND],
		['no such thing', 404, 'x', NOT_FOUND],
	])('recognizes %s', (_, status, body, expected) => expect(read(status, body)).toMatchObject(expected));

	it.each<[string, number, unknown, string]>([
		['a status alone', 400, {}, ''],
		['a reason', 422, { detail: 'limit: too large' }, ': “limit: too large”'],
		['a code', 400, { error_code: 422001 }, ''],
	])('does not speak of inputs or fields, which a query has none of (%s)', (_, status, body, reason) => {
		for (const codes of [MODEL_CODES, DEPLOYMENT_READER.codes]) {
			const message = `${WHAT}: RunComfy did not accept the request${reason}`;
			const advice = expect.not.stringMatching(/input|field/) as string;
			expect(read(status, body, codes)).toMatchObject({ kind: 'refused', problem: { message, advice } });
		}
	});
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
