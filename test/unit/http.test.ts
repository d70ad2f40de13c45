import {
	type ApiRequest,
	networkCodeOf,
	NoAnswerError,
	noAnswerOf,
	type NoAnswerReason,
} from '../../nodes/RunComfy/api/call';
import { queryBalance } from '../../nodes/RunComfy/api/deploymentApi';
import { createFreeQuery } from '../../nodes/RunComfy/api/http';
import { modelEndpoint } from '../../nodes/RunComfy/api/modelApi';
import { answer, httpOf, ok } from './fakeApi';
import { VirtualClock } from './virtualClock';

/** An error of Node as axios and n8n wrap it. */
const wrapped = (facts: object, message = 'x') =>
	Object.assign(new Error('outer', { cause: Object.assign(new Error(message), facts) }), facts, {
		syscall: undefined,
	});

describe('Network errors', () => {
	it.each<[object, NoAnswerReason]>([
		[{ code: 'ECONNREFUSED' }, 'unreachable'],
		[{ code: 'ENOTFOUND' }, 'unreachable'],
		[{ code: 'EAI_AGAIN', syscall: 'getaddrinfo' }, 'unreachable'],
		[{ code: 'EAI_FAIL' }, 'unreachable'],
		...['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'EMFILE', 'EPERM', 'ETIMEDOUT'].map(
			(code): [object, NoAnswerReason] => [{ code, syscall: 'connect' }, 'unreachable'],
		),
		[
			{
				code: 'ETIMEDOUT',
				errors: ['ETIMEDOUT', 'ENETUNREACH'].map((code) => ({ code, syscall: 'connect' })),
			},
			'unreachable',
		],
		[
			{ code: 'ETIMEDOUT', errors: [{ code: 'ETIMEDOUT', syscall: 'connect' }, { code: 'ECONNRESET' }] },
			'timeout',
		],
		[{ code: 'EHOSTUNREACH', syscall: 'read' }, 'lost'],
		[{ code: 'EPIPE', syscall: 'write' }, 'lost'],
		[{ code: 'EHOSTUNREACH' }, 'lost'],
		[{ code: 'CERT_HAS_EXPIRED' }, 'untrusted'],
		[{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'untrusted'],
		[{ code: 'ETIMEDOUT' }, 'timeout'],
		[{ code: 'ECONNABORTED' }, 'timeout'],
		[{ code: 'ECONNRESET', syscall: 'read' }, 'lost'],
		[{ code: 'ERR_CANCELED' }, 'stopped'],
		[{ code: 'SOMETHING_NEW' }, 'lost'],
		[{}, 'lost'],
	])('%j means %s', (facts, reason) => {
		expect(noAnswerOf(Object.assign(new Error('x'), facts)).reason).toBe(reason);
		expect(noAnswerOf(wrapped(facts)).reason).toBe(reason);
	});

	it.each<[string, NoAnswerReason]>([
		[
			'Credentials could not be decrypted. The likely reason is that a different "encryptionKey" was used',
			'heldBack',
		],
		['The request was blocked because it resolves to a restricted IP address', 'heldBack'],
		['The request was blocked because the destination hostname is restricted', 'heldBack'],
		['Proxy connection ended before receiving CONNECT response', 'unreachable'],
		['socket hang up', 'lost'],
	])('%s: %s', (message, reason) => expect(noAnswerOf(wrapped({}, message)).reason).toBe(reason));

	it('finds the code wherever it is wrapped', () => {
		const inner = Object.assign(new Error('x'), { code: 'ECONNRESET' });
		const wrapped = new Error('outer', { cause: new Error('middle', { cause: inner }) });
		for (const error of [inner, wrapped, { errorResponse: inner }])
			expect(networkCodeOf(error)).toBe('ECONNRESET');
		expect(networkCodeOf('text')).toBeUndefined();
	});
});

describe('A call', () => {
	it.each<[NoAnswerReason, string, string]>([
		['unreachable', 'unsent', 'transient'],
		['untrusted', 'refused', 'refused'],
		['heldBack', 'refused', 'refused'],
		['timeout', 'unknown', 'transient'],
		['lost', 'unknown', 'transient'],
		['stopped', 'unknown', 'transient'],
	])('without an answer (%s): a submit is %s, a free call %s', async (reason, submit, free) => {
		const http = httpOf(async () => await Promise.reject(new NoAnswerError(reason)), new VirtualClock());
		const model = modelEndpoint(http, 'a/b');
		expect(await model.submit({})).toMatchObject({ kind: submit });
		for (const call of [model.getResult, model.getStatus, model.cancel])
			expect(await call('r')).toMatchObject({ kind: free });
		expect(await http.query(queryBalance(http))).toMatchObject({ kind: free });
	});

	it('that has no connection names the field of the credential that holds the address', async () => {
		const http = httpOf(
			async () => await Promise.reject(new NoAnswerError('unreachable')),
			new VirtualClock(),
		);
		expect(await http.query(queryBalance(http))).toMatchObject({
			why: 'The balance could not be read: RunComfy could not be reached at the credential’s “Platform Base URL”',
		});
		expect(await modelEndpoint(http, 'a/b').getStatus('r')).toMatchObject({
			why: 'RunComfy could not be reached',
		});
	});

	it('that fails for any other reason counts as lost', async () => {
		const http = httpOf(async () => await Promise.reject(new Error('odd')), new VirtualClock());
		expect(await modelEndpoint(http, 'a/b').submit({})).toMatchObject({ kind: 'unknown' });
	});

	it('has a timeout: a large body is given the time that its upload takes', async () => {
		const sent: ApiRequest[] = [];
		const http = httpOf(async (request) => {
			sent.push(request);
			return ok({});
		}, new VirtualClock());
		const model = modelEndpoint(http, 'a/b');
		await model.submit({ prompt: 'x', image: `data:image/png;base64,${'A'.repeat(9_000_000)}` });
		await model.submit({ prompt: 'x' });
		await model.getResult('r', { timeoutMs: 90_000, includeCost: true });
		await model.cancel('r', { timeoutMs: 2_000 });
		expect(sent.map(({ method, url }) => `${method} ${url}`)).toEqual([
			'POST https://api.test/v1/models/a/b',
			'POST https://api.test/v1/models/a/b',
			'GET https://api.test/v1/requests/r/result?include_cost=true',
			'POST https://api.test/v1/requests/r/cancel',
		]);
		const [large = 0, ...others] = sent.map(({ timeoutMs }) => timeoutMs);
		expect(large).toBeGreaterThan(200_000);
		expect(others).toEqual([60_001, 30_000, 2_000]);
	});
});

describe('A free query', () => {
	const query = async (...statuses: number[]) => {
		const clock = new VirtualClock();
		const send = async () => {
			const status = statuses.shift() ?? 500;
			const headers = status === 425 ? { 'retry-after': '60' } : {};
			return { ...answer(status, { balance_usd: 1 }), headers };
		};
		const http = httpOf(send, clock);
		const tools = { http, clock, random: () => 0.5, stopSignal: undefined, patienceMs: 10_000 };
		const value = await clock.run(
			createFreeQuery(tools)(queryBalance).catch((error: Error) => error.message),
		);
		expect(clock.now()).toBeLessThan(10_000);
		return value;
	};

	it.each<[number[], unknown]>([
		[[503, 429, 200], { balance: 1, currency: 'USD' }],
		[[503, 503, 503, 502, 200], 'The balance could not be read: it answered with HTTP 502'],
		[[425, 200], 'The balance could not be read: it answered with HTTP 425'],
		[[401, 200], 'The balance could not be read: RunComfy did not accept the API token'],
	])('answered with HTTP %j', async (statuses, expected) =>
		expect(await query(...statuses)).toEqual(expected),
	);
});
