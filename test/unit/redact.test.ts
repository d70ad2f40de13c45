import * as fc from 'fast-check';

import { createRedact, redactJson } from '../../nodes/RunComfy/util/redact';

describe('createRedact', () => {
	const awkward = 'tok"en\\with/all=of%it';
	const redact = createRedact(awkward);
	const everyCharacter = (write: (code: number) => string) =>
		[...awkward].map((character) => write(character.charCodeAt(0))).join('');

	it.each([
		['as it is', awkward],
		['in JSON', JSON.stringify(awkward).slice(1, -1)],
		['in JSON within JSON', JSON.stringify(JSON.stringify(awkward)).slice(3, -3)],
		['in JSON as PHP writes it', JSON.stringify(awkward).slice(1, -1).replaceAll('/', '\\/')],
		['in JSON with codes', 'tok\\u0022en\\u005Cwith\\u002fall=of%it'],
		['in a URL', encodeURIComponent(awkward)],
		['in a URL, in small letters', encodeURIComponent(awkward).toLowerCase()],
		['in a URL, twice', encodeURIComponent(encodeURIComponent(awkward))],
		['in a URL, three times', encodeURIComponent(encodeURIComponent(encodeURIComponent(awkward)))],
		['in JavaScript', everyCharacter((code) => `\\x${code.toString(16)}`)],
		['in HTML, twice', everyCharacter((code) => `&amp;#${code};`)],
		['with every character as in a URL', everyCharacter((code) => `%${code.toString(16)}`)],
		['with every character as in JSON', everyCharacter((code) => `\\u00${code.toString(16)}`)],
		['in HTML', everyCharacter((code) => `&#${code};`)],
		['in HTML, with hexadecimal codes', everyCharacter((code) => `&#x${code.toString(16)};`)],
		['in HTML, with names', awkward.replace('"', '&quot;')],
		['in capitals', awkward.toUpperCase()],
		['in hexadecimal digits', Buffer.from(awkward).toString('hex')],
	])('redacts the token %s', (_, written) =>
		expect(redact(`a ${written} b ${written}`)).toBe('a [token] b [token]'),
	);

	it.each(['', 'a', 'ab', 'abc'])('redacts the token in base64, after “%s”', (before) => {
		for (const encoding of ['base64', 'base64url'] as const) {
			const redacted = redact(Buffer.from(`${before}${awkward}:x`).toString(encoding));
			expect(redacted).toContain('[token]');
			expect(Buffer.from(redacted.replace('[token]', ''), encoding).toString()).not.toContain('en\\with');
		}
	});

	it.each<[string, (base64: string) => string]>([
		['broken into lines', (base64) => base64.replace(/(.{8})/g, '$1\r\n')],
		['broken into lines, in JSON', (base64) => base64.replace(/(.{8})/g, '$1\\r\\n')],
		['in a URL', encodeURIComponent],
		['in JSON as PHP writes it', (base64) => base64.replaceAll('/', '\\/')],
		['in HTML', (base64) => base64.replaceAll('/', '&#x2F;').replaceAll('+', '&#43;')],
	])('redacts the token in base64 that is %s', (_, write) => {
		const token = 'aB+/9=xyZZZ~~~???>>>';
		const base64 = Buffer.from(token).toString('base64');
		expect(base64).toMatch(/\+.*\//);
		expect(createRedact(token)(write(base64))).toMatch(/^\[token\].{0,6}$/s);
	});

	it('redacts temporary links to files, also encoded ones, and nothing around them', () => {
		const link = 'https://n8n.example.com/base/rest/binary-data/signed?token=eyJh.eyJp-_.c2ln';
		for (const written of [
			link,
			link.replaceAll('/', '\\/'),
			encodeURIComponent(link),
			link.replace('=', '\\u003d'),
			link.replaceAll('/', '&#x2F;').replaceAll('=', '&#x3D;'),
			link
				.replaceAll('/', '&#47;')
				.replaceAll('=', '&#61;')
				.replaceAll('?', '&quest;')
				.replaceAll('.', '&#46;'),
			link.replaceAll('/', '\\x2f').replaceAll('=', '\\x3d').replaceAll('-', '\\u002d'),
			encodeURIComponent(link).replaceAll('-', '%2D').replaceAll('.', '%2E'),
			encodeURIComponent(encodeURIComponent(encodeURIComponent(link))),
		])
			expect(redact(`https://a.example/b.png "${written}" c`)).toBe(
				'https://a.example/b.png "[temporary link]" c',
			);
		for (const other of [
			'https://a.example/binary-data/signed.png',
			'The binary-data (signed) token holder was Alice.',
		])
			expect(redact(other)).toBe(other);
	});

	it('leaves other texts alone, and a token so short that it may be a word', () => {
		expect(redact('tok en with')).toBe('tok en with');
		expect(createRedact('short')('a short word')).toBe('a short word');
	});

	it('redacts all texts of an answer, and leaves its structure as it is', () =>
		expect(
			redactJson({ [`x${awkward}`]: [awkward, 7, null, { deep: `é ${awkward}` }], __proto: true }, redact),
		).toEqual({ 'x[token]': ['[token]', 7, null, { deep: 'é [token]' }], __proto: true }));

	const tokens = fc.string({
		unit: fc.integer({ min: 0x21, max: 0x7e }).map((n) => String.fromCharCode(n)),
		minLength: 8,
	});

	it('property: no spelling of any token is left', () => {
		fc.assert(
			fc.property(tokens, fc.string(), fc.string(), (token, before, after) => {
				const once = JSON.stringify(token).slice(1, -1);
				for (const written of [token, once, JSON.stringify(once).slice(1, -1), encodeURIComponent(token)]) {
					const redacted = createRedact(token)(`${before}${written}${after}`);
					expect(redacted).toContain('[token]');
					// What remains may hold the token only where the replacement itself completes it.
					if (!token.includes('[token]')) expect(redacted.replaceAll('[token]', '\0')).not.toContain(written);
				}
			}),
		);
	});

	it('property: an answer stays what it is but for the token', () => {
		fc.assert(
			fc.property(tokens, fc.jsonValue(), (token, value) => {
				const text = JSON.stringify(value);
				fc.pre(!text.includes(token) && createRedact(token)(text) === text);
				expect(JSON.stringify(redactJson(value, createRedact(token)))).toBe(text);
			}),
		);
	});

	it('is fast on hostile text', () => {
		const hostile = createRedact('\\\\""\\\\""\\\\""')('\\'.repeat(400_000));
		expect(hostile).toHaveLength(400_000);
		expect(redact(`binary-data${'https://'.repeat(200_000)}`)).toHaveLength(1_600_011);
		expect(redact('binary-data/'.repeat(100_000))).toHaveLength(1_200_000);
	}, 5_000);
});
