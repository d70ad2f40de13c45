import { networkCodeOf, noAnswerReason } from '../../nodes/RunComfy/api/transport';

describe('Network errors', () => {
	it.each([
		['ECONNREFUSED', 'unreachable'],
		['ENOTFOUND', 'unreachable'],
		['EAI_AGAIN', 'unreachable'],
		['CERT_HAS_EXPIRED', 'untrusted'],
		['DEPTH_ZERO_SELF_SIGNED_CERT', 'untrusted'],
		['ETIMEDOUT', 'timeout'],
		['ECONNABORTED', 'timeout'],
		['ECONNRESET', 'lost'],
		['EHOSTUNREACH', 'lost'],
		['ERR_CANCELED', 'stopped'],
		['SOMETHING_NEW', 'lost'],
		[undefined, 'lost'],
	])('%s means %s', (code, reason) => expect(noAnswerReason(code)).toBe(reason));

	it('finds the code wherever it is wrapped', () => {
		const inner = Object.assign(new Error('x'), { code: 'ECONNRESET' });
		expect(networkCodeOf(inner)).toBe('ECONNRESET');
		expect(networkCodeOf(new Error('outer', { cause: new Error('middle', { cause: inner }) }))).toBe(
			'ECONNRESET',
		);
		expect(networkCodeOf({ errorResponse: inner })).toBe('ECONNRESET');
		expect(networkCodeOf('text')).toBeUndefined();
	});
});
