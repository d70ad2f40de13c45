import {
	cleanBaseUrl,
	findBaseUrlFault,
	findFileUrlFault,
	findTokenFault,
	hostKind,
	isLoopbackUrl,
} from '../../nodes/RunComfy/api/addresses';

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
		['https://intranet', 'private'],
		['https://printer.local', 'private'],
		['https://metadata.google.internal', 'private'],
	])('%s is %s', (url, kind) => expect(hostKind(hostOf(url))).toBe(kind));
});

describe('findFileUrlFault', () => {
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
		const found = findFileUrlFault(url, { allowLoopback: false });
		if (fault === undefined) expect(found).toBeUndefined();
		else expect(found).toContain(fault);
	});

	it('allows http and loopback, but no private network, while the base URL is on loopback', () => {
		const rules = { allowLoopback: true };
		expect(findFileUrlFault('http://127.0.0.1:4010/a.png', rules)).toBeUndefined();
		expect(findFileUrlFault('http://example.com/a.png', rules)).toBeUndefined();
		expect(findFileUrlFault('http://10.0.0.1/a.png', rules)).toContain('private network');
		expect(findFileUrlFault('http://u:p@127.0.0.1/a.png', rules)).toContain('user name');
	});

	it('never repeats a password', () => {
		expect(findFileUrlFault('https://user:secret@example.com', { allowLoopback: false })).not.toContain(
			'secret',
		);
	});
});

describe('findBaseUrlFault', () => {
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
		const found = findBaseUrlFault(url);
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

describe('findTokenFault', () => {
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
		const found = findTokenFault(token);
		if (fault === undefined) expect(found).toBeUndefined();
		else expect(found).toContain(fault);
	});
});
