import { BlockList } from 'node:net';
import * as fc from 'fast-check';

import {
	cleanBaseUrl,
	findBaseUrlProblem,
	findFileUrlProblem,
	findTokenProblem,
	hostKind,
	isLoopbackUrl,
} from '../../nodes/RunComfy/api/urls';

const hostOf = (url: string) => new URL(url).hostname;

describe('hostKind', () => {
	it.each([
		['https://model-api.runcomfy.net', 'public'],
		['https://8.8.8.8', 'public'],
		['https://172.15.0.1', 'public'],
		['https://172.32.0.1', 'public'],
		['https://[2606:4700::1111]', 'public'],
		['https://[64:ff9b::808:808]', 'public'],
		['https://localhost', 'loopback'],
		['https://LOCALHOST.', 'loopback'],
		['https://a.localhost', 'loopback'],
		['https://127.0.0.1', 'loopback'],
		['https://127.1', 'loopback'],
		['https://2130706433', 'loopback'],
		['https://0x7f.0.0.1', 'loopback'],
		['https://0177.0.0.1', 'loopback'],
		['https://[::1]', 'loopback'],
		['https://[::ffff:127.0.0.1]', 'loopback'],
		['https://[::127.0.0.1]', 'loopback'],
		['https://0.0.0.0', 'private'],
		['https://10.1.2.3', 'private'],
		['https://100.64.0.1', 'private'],
		['https://169.254.169.254', 'private'],
		['https://172.16.0.1', 'private'],
		['https://172.31.255.255', 'private'],
		['https://192.168.1.1', 'private'],
		['https://198.18.0.1', 'private'],
		['https://224.0.0.1', 'private'],
		['https://255.255.255.255', 'private'],
		['https://[::]', 'private'],
		['https://[::ffff:10.0.0.1]', 'private'],
		['https://[64:ff9b::a00:1]', 'private'],
		['https://[2002:a00:1::]', 'private'],
		['https://[2001:db8::1]', 'private'],
		['https://[fc00::1]', 'private'],
		['https://[fe80::1]', 'private'],
		['https://[ff02::1]', 'private'],
		['https://100.127.255.255', 'private'],
		['https://100.128.0.1', 'public'],
		['https://192.88.99.1', 'private'],
		['https://192.88.100.1', 'public'],
		['https://[::ffff:8.8.8.8]', 'private'],
		['https://[::8.8.8.8]', 'private'],
		['https://[64:ff9b:1::808:808]', 'private'],
		['https://[64:ff9b::7f00:1]', 'private'],
		['https://[100::1]', 'private'],
		['https://[100:0:0:1::1]', 'private'],
		['https://[2001::1]', 'private'],
		['https://[2001:2::1]', 'private'],
		['https://[2001:1ff:ffff::1]', 'private'],
		['https://[2001:200::1]', 'public'],
		['https://[2002:808:808::1]', 'private'],
		['https://[3fff::1]', 'private'],
		['https://[3fff:fff::1]', 'private'],
		['https://[3fff:1000::1]', 'public'],
		['https://[5f00::1]', 'private'],
		['https://[fec0::1]', 'private'],
		['https://localhost..', 'private'],
		['https://a..b', 'private'],
		['https://intranet', 'private'],
		['https://printer.local', 'private'],
		['https://metadata.google.internal', 'private'],
	])('%s is %s', (url, kind) => expect(hostKind(hostOf(url))).toBe(kind));
});

describe('Which IP addresses are public', () => {
	// Another implementation of the same registries: Node's own.
	const special4 = new BlockList();
	const special6 = new BlockList();
	for (const range of [
		'0.0.0.0/8',
		'10.0.0.0/8',
		'100.64.0.0/10',
		'127.0.0.0/8',
		'169.254.0.0/16',
		'172.16.0.0/12',
		'192.0.0.0/24',
		'192.0.2.0/24',
		'192.88.99.0/24',
		'192.168.0.0/16',
		'198.18.0.0/15',
		'198.51.100.0/24',
		'203.0.113.0/24',
		'224.0.0.0/4',
		'240.0.0.0/4',
	]) {
		const [address = '', bits] = range.split('/');
		special4.addSubnet(address, Number(bits), 'ipv4');
	}
	for (const range of [
		'::/3',
		'2001::/23',
		'2001:db8::/32',
		'2002::/16',
		'3fff::/20',
		'4000::/2',
		'8000::/1',
	]) {
		const [address = '', bits] = range.split('/');
		special6.addSubnet(address, Number(bits), 'ipv6');
	}

	it('property: no IPv4 address of the registry, in whatever spelling', () => {
		const octets = fc.tuple(
			fc.oneof(fc.constantFrom(0, 10, 100, 127, 169, 172, 192, 198, 203, 224), fc.nat(255)),
			fc.oneof(fc.constantFrom(0, 16, 18, 51, 64, 88, 168, 254), fc.nat(255)),
			fc.oneof(fc.constantFrom(0, 2, 99, 100, 113), fc.nat(255)),
			fc.nat(255),
		);
		fc.assert(
			fc.property(octets, fc.nat(2), ([a, b, c, d], spelling) => {
				const address = [a, b, c, d].join('.');
				const number = ((a * 256 + b) * 256 + c) * 256 + d;
				const written = [address, String(number), `0x${number.toString(16)}`][spelling];
				expect(hostKind(hostOf(`https://${written}/`)) === 'public').toBe(!special4.check(address, 'ipv4'));
			}),
			{ numRuns: 2_000 },
		);
	});

	it('property: no IPv6 address of the registry', () => {
		const first = fc.constantFrom(
			0,
			0x64,
			0x100,
			0x2001,
			0x2002,
			0x3ffe,
			0x3fff,
			0x5f00,
			0xfc00,
			0xfe80,
			0xff02,
		);
		const group = fc.oneof(fc.constantFrom(0, 0, 1, 0x200, 0xdb8, 0xff9b, 0xffff), fc.nat(0xffff));
		fc.assert(
			fc.property(
				fc.oneof(first, fc.nat(0xffff)),
				fc.array(group, { minLength: 7, maxLength: 7 }),
				(g0, rest) => {
					const address = [g0, ...rest].map((one) => one.toString(16)).join(':');
					const isTranslated = address.startsWith('64:ff9b:0:0:0:0:');
					const kind = hostKind(hostOf(`https://[${address}]/`));
					if (!isTranslated) expect(kind === 'public').toBe(!special6.check(address, 'ipv6'));
				},
			),
			{ numRuns: 2_000 },
		);
	});
});

describe('findFileUrlProblem', () => {
	it.each([
		['https://example.com/a.png', undefined],
		['https://example.com:8443/a.png?signature=x%20y', undefined],
		['', 'is not a complete web address'],
		['product.png', 'is not a complete web address'],
		['//example.com/a.png', 'is not a complete web address'],
		['http://example.com/a.png', 'must begin with https://'],
		['ftp://example.com/a.png', 'must begin with https://'],
		['data:image/png;base64,AAAA', 'must begin with https://'],
		['file:///etc/passwd', 'must begin with https://'],
		['javascript:alert(1)', 'must begin with https://'],
		['https://user@example.com/a.png', 'must not contain a user name or password'],
		['https://user:secret@example.com/a.png', 'must not contain a user name or password'],
		['https://localhost/a.png', 'points to this computer or a private network'],
		['https://192.168.0.10/a.png', 'points to this computer or a private network'],
	])('%s', (url, fault) => {
		const found = findFileUrlProblem(url, { allowLoopback: false });
		if (fault === undefined) expect(found).toBeUndefined();
		else expect(found).toContain(fault);
	});

	it('allows http and loopback, but no private network, while the base URL is on loopback', () => {
		const rules = { allowLoopback: true };
		expect(findFileUrlProblem('http://127.0.0.1:4010/a.png', rules)).toBeUndefined();
		expect(findFileUrlProblem('http://example.com/a.png', rules)).toBeUndefined();
		expect(findFileUrlProblem('http://10.0.0.1/a.png', rules)).toContain('private network');
		expect(findFileUrlProblem('http://u:p@127.0.0.1/a.png', rules)).toContain('user name');
	});

	it('property: never throws, and lets through nothing but public addresses with https', () => {
		const part = fc.constantFrom(
			'https://', 'http://', 'user:secret@', '10.0.0.1', '[::1]', 'example.com', '%', '..', '/', ':443', '\\', '0x7f.1',
			'localhost', '127.1', '\u3002', '２', '#', '?',
		); // prettier-ignore
		const text = fc.oneof(
			fc.string(),
			fc.webUrl(),
			fc.array(part).map((parts) => parts.join('')),
		);
		fc.assert(
			fc.property(text, (address) => {
				const fault = findFileUrlProblem(address, { allowLoopback: false });
				if (fault !== undefined) return expect(fault).not.toContain('secret');
				const { protocol, hostname, username } = new URL(address);
				expect([protocol, hostKind(hostname), username]).toEqual(['https:', 'public', '']);
			}),
			{ numRuns: 2_000 },
		);
	});

	it('never repeats a password', () => {
		expect(findFileUrlProblem('https://user:secret@example.com', { allowLoopback: false })).not.toContain(
			'secret',
		);
	});
});

describe('findBaseUrlProblem', () => {
	it.each([
		['https://model-api.runcomfy.net', undefined],
		['https://model-api.runcomfy.net/', undefined],
		[' https://model-api.runcomfy.net ', undefined],
		['http://127.0.0.1:4010', undefined],
		['http://localhost:4010', undefined],
		['http://model-api.runcomfy.net', 'must begin with https://'],
		['http://192.168.0.2', 'must begin with https://'],
		['model-api.runcomfy.net', 'is not a complete web address'],
		['', 'is not a complete web address'],
		['https://a:b@model-api.runcomfy.net', 'user name'],
		['https://model-api.runcomfy.net/?x=1', 'must not contain'],
	])('%s', (url, fault) => {
		const found = findBaseUrlProblem(url);
		if (fault === undefined) expect(found).toBeUndefined();
		else expect(found).toContain(fault);
	});

	it('is cleaned of what people paste along', () => {
		expect(cleanBaseUrl(' https://model-api.runcomfy.net// ')).toBe('https://model-api.runcomfy.net');
		expect(isLoopbackUrl('http://127.0.0.1:1')).toBe(true);
		expect(isLoopbackUrl('https://model-api.runcomfy.net')).toBe(false);
		expect(isLoopbackUrl('nonsense')).toBe(false);
	});
});

describe('findTokenProblem', () => {
	it.each([
		['rc_abc-123', undefined],
		['', 'is empty'],
		['   ', 'is empty'],
		['Bearer abc', 'without the word'],
		['bearer  abc', 'without the word'],
		['abc def', 'must not contain spaces'],
		['abc\n', 'must not contain spaces'],
		['abc“', 'contains a character'],
	])('%j', (token, fault) => {
		const found = findTokenProblem(token);
		if (fault === undefined) expect(found).toBeUndefined();
		else expect(found).toContain(fault);
	});
});
