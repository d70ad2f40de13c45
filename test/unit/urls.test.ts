import { BlockList } from 'node:net';
import * as fc from 'fast-check';

import {
	cleanBaseUrl,
	findBaseUrlProblem,
	findFileUrlProblem,
	findTokenProblem,
	hostKind,
	isLoopbackUrl,
	isPublicAddress,
} from '../../nodes/RunComfy/api/urls';

const hostOf = (url: string) => new URL(url).hostname;

describe('hostKind', () => {
	it.each([
		[
			'public',
			'model-api.runcomfy.net 8.8.8.8 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.20.0.1 223.1.1.1',
		],
		['loopback', 'localhost LOCALHOST. a.localhost 127.0.0.1 127.1 2130706433 0x7f.0.0.1 0177.0.0.1 [::1]'],
		['private', '0.0.0.0 10.1.2.3 100.64.0.1 100.127.255.255 169.254.169.254 172.16.0.1 172.31.255.255'],
		[
			'private',
			'192.0.0.192 192.168.1.1 198.18.0.1 198.19.255.255 224.0.0.1 255.255.255.255 0xa.1 167772161',
		],
		['private', '[2606:4700::1111] [64:ff9b::808:808] [::] [::ffff:127.0.0.1] [::ffff:8.8.8.8] [fe80::1]'],
		['private', 'localhost.. a..b intranet printer.local metadata.google.internal a.lan a.home.arpa. a.corp'],
	])('is %s for %s', (kind, hosts) => {
		const kinds = hosts.split(' ').map((host) => [host, hostKind(hostOf(`https://${host}`))]);
		expect(kinds).toEqual(hosts.split(' ').map((host) => [host, kind]));
	});

	it('property: no IPv4 address of a private range is public, in whatever spelling, and every other is', () => {
		// Another implementation of the same ranges: Node's own.
		const special = new BlockList();
		special.addSubnet('0.0.0.0', 8);
		special.addSubnet('10.0.0.0', 8);
		special.addSubnet('100.64.0.0', 10);
		special.addSubnet('127.0.0.0', 8);
		special.addSubnet('169.254.0.0', 16);
		special.addSubnet('172.16.0.0', 12);
		special.addSubnet('192.0.0.0', 24);
		special.addSubnet('192.0.2.0', 24);
		special.addSubnet('192.88.99.0', 24);
		special.addSubnet('192.168.0.0', 16);
		special.addSubnet('198.18.0.0', 15);
		special.addSubnet('198.51.100.0', 24);
		special.addSubnet('203.0.113.0', 24);
		special.addRange('224.0.0.0', '255.255.255.255');
		const octets = fc.tuple(
			fc.oneof(fc.constantFrom(0, 10, 100, 127, 169, 172, 192, 198, 224), fc.nat(255)),
			fc.oneof(fc.constantFrom(0, 16, 18, 64, 168, 254), fc.nat(255)),
			fc.oneof(fc.constant(0), fc.nat(255)),
			fc.nat(255),
		);
		fc.assert(
			fc.property(octets, fc.nat(2), ([a, b, c, d], spelling) => {
				const address = [a, b, c, d].join('.');
				const number = ((a * 256 + b) * 256 + c) * 256 + d;
				const written = [address, String(number), `0x${number.toString(16)}`][spelling];
				expect(hostKind(hostOf(`https://${written}/`)) === 'public').toBe(!special.check(address));
				expect(isPublicAddress(address)).toBe(!special.check(address));
				const mapped = `::ffff:${address}`;
				expect(isPublicAddress(mapped)).toBe(!special.check(address));
			}),
			{ numRuns: 2_000 },
		);
	});

	it('property: no IPv6 address is public', () =>
		fc.assert(
			fc.property(fc.ipV6(), (address) =>
				expect(hostKind(hostOf(`https://[${address}]/`))).not.toBe('public'),
			),
		));
});

describe('isPublicAddress', () => {
	it.each([
		[
			true,
			'2606:4700::1111 2a00:1450:4001:82a::200e 64:ff9b::808:808 64:ff9b::8.8.8.8 ::ffff:808:808 8.8.8.8',
		],
		[
			false,
			':: ::1 ::a00:1 ::ffff:10.0.0.1 64:ff9b::a00:5 64:ff9b:1::808:808 fe80::1%eth0 fec0::1 fc00::1 fd00::1',
		],
		[
			false,
			'2002:a00:1:: 2002:808:808::1 2001::1 2001:db8::1 3fff::1 5f00::1 ff02::1 100::1 100.64.0.1 240.0.0.1',
		],
		[false, '192.88.99.1 127.0.0.1 nonsense ... '],
	])('is %s for %s', (isPublic, addresses) => {
		const all = addresses.split(' ');
		expect(all.map((one) => [one, isPublicAddress(one)])).toEqual(all.map((one) => [one, isPublic]));
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
		['https://192.168.0.10/a.png', 'points to this computer or a private network (192.168.0.10)'],
		['https://[2606:4700::1111]/a.png', 'must name a host, not an IPv6 address ([2606:4700::1111])'],
		['https://user:secret@[::1]/a.png', 'must not contain a user name or password'],
	])('%s', (url, fault) => {
		const found = findFileUrlProblem(url, { allowLoopback: false });
		expect(found).toEqual(fault && expect.stringContaining(fault));
	});

	it('allows http and loopback, but no private network, while the base URL is on loopback', () => {
		const rules = { allowLoopback: true };
		expect(findFileUrlProblem('http://127.0.0.1:4010/a.png', rules)).toBeUndefined();
		expect(findFileUrlProblem('http://[::1]:4010/a.png', rules)).toBeUndefined();
		expect(findFileUrlProblem('http://example.com/a.png', rules)).toContain('must begin with https://');
		expect(findFileUrlProblem('https://10.0.0.1/a.png', rules)).toContain('private network');
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
});

describe('findBaseUrlProblem', () => {
	it.each([
		['https://model-api.runcomfy.net', undefined],
		['https://model-api.runcomfy.net/', undefined],
		[' https://model-api.runcomfy.net ', undefined],
		['http://127.0.0.1:4010', undefined],
		['http://localhost:4010', undefined],
		['http://[::1]:4010', undefined],
		['http://[::2]:4010', 'must begin with https://'],
		['http://model-api.runcomfy.net', 'must begin with https://'],
		['http://192.168.0.2', 'must begin with https://'],
		['model-api.runcomfy.net', 'is not a complete web address'],
		['', 'is not a complete web address'],
		['https://a:b@model-api.runcomfy.net', 'user name'],
		['https://model-api.runcomfy.net/?x=1', 'must not contain'],
	])('%s', (url, fault) => {
		const found = findBaseUrlProblem(url);
		expect(found).toEqual(fault && expect.stringContaining(fault));
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
		['abc def', 'must not contain spaces'],
		['abc\n', 'must not contain spaces'],
		['abc“', 'contains a character'],
	])('%j', (token, fault) => {
		const found = findTokenProblem(token);
		expect(found).toEqual(fault && expect.stringContaining(fault));
	});
});
