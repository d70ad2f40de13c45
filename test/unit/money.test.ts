import { dollars } from '../../nodes/RunComfy/util/values';

describe('dollars', () => {
	it.each([
		[0.06, '$0.06'],
		[1, '$1.00'],
		[0.1 + 0.2, '$0.30'],
		[0.0125, '$0.0125'],
		[0.000012, '$0.000012'],
	])('%d', (usd, text) => expect(dollars(usd)).toBe(text));
});
