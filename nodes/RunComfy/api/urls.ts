/**
 * Which addresses are safe to call, to pass to RunComfy, or to download from. Pure: host names are judged by their
 * spelling, because a node cannot resolve them (shipped code may import nothing but n8n-workflow).
 */

/** RunComfy's Model API (documented). */
export const DEFAULT_BASE_URL = 'https://model-api.runcomfy.net';
/** The API for deployments and the account balance [assumed: RunComfy's own clients use it]. */
export const DEFAULT_PLATFORM_BASE_URL = 'https://api.runcomfy.net';

export type HostKind = 'public' | 'loopback' | 'private';

/** What is wrong with an address. Completes a sentence that begins with the name of a field: “Image URL must …”. */
export type AddressProblem = string;

export interface AddressRules {
	/** True only while the API that takes or gives the file is itself on loopback, that is, for the sandbox. */
	allowLoopback: boolean;
}

/**
 * Address ranges that are not globally reachable: the first address, then the length of the prefix in bits. From IANA's
 * registry of special-purpose IPv4 addresses, and multicast.
 */
const NON_PUBLIC_IPV4: ReadonlyArray<readonly [number, number, HostKind]> = [
	[ipv4(0, 0, 0, 0), 8, 'private'],
	[ipv4(10, 0, 0, 0), 8, 'private'],
	[ipv4(100, 64, 0, 0), 10, 'private'],
	[ipv4(127, 0, 0, 0), 8, 'loopback'],
	[ipv4(169, 254, 0, 0), 16, 'private'],
	[ipv4(172, 16, 0, 0), 12, 'private'],
	[ipv4(192, 0, 0, 0), 24, 'private'],
	[ipv4(192, 0, 2, 0), 24, 'private'],
	[ipv4(192, 88, 99, 0), 24, 'private'],
	[ipv4(192, 168, 0, 0), 16, 'private'],
	[ipv4(198, 18, 0, 0), 15, 'private'],
	[ipv4(198, 51, 100, 0), 24, 'private'],
	[ipv4(203, 0, 113, 0), 24, 'private'],
	[ipv4(224, 0, 0, 0), 4, 'private'],
	[ipv4(240, 0, 0, 0), 4, 'private'],
];

/**
 * Parts of 2000::/3 that are not globally reachable: the first 32 bits, then the length of the prefix in bits. No address
 * outside of 2000::/3 is public. From IANA's registry of special-purpose IPv6 addresses: protocol assignments (with
 * Teredo, benchmarking, and ORCHID), documentation, 6to4, documentation.
 */
const NON_PUBLIC_IPV6: ReadonlyArray<readonly [number, number]> = [
	[ipv6Start(0x2001, 0), 23],
	[ipv6Start(0x2001, 0xdb8), 32],
	[ipv6Start(0x2002, 0), 16],
	[ipv6Start(0x3fff, 0), 20],
];

const PRIVATE_NAME_ENDINGS = ['.local', '.internal', '.lan', '.home.arpa', '.intranet', '.corp'];

function ipv4(a: number, b: number, c: number, d: number): number {
	return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** The first 32 bits of an IPv6 address. */
function ipv6Start(g0: number, g1: number): number {
	return ((g0 << 16) | g1) >>> 0;
}

function isIn(address: number, range: number, bits: number): boolean {
	return address >>> (32 - bits) === range >>> (32 - bits);
}

function ipv4Kind(address: number): HostKind {
	for (const [range, bits, kind] of NON_PUBLIC_IPV4) {
		if (isIn(address, range, bits)) return kind;
	}
	return 'public';
}

function parseIpv4(host: string): number | undefined {
	const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host);
	if (!match) return undefined;
	const [a, b, c, d] = match.slice(1).map(Number) as [number, number, number, number];
	return Math.max(a, b, c, d) <= 255 ? ipv4(a, b, c, d) : undefined;
}

/** The eight 16-bit groups of an IPv6 address as `URL` writes it (hexadecimal, `::` at most once). */
function parseIpv6(address: string): number[] | undefined {
	const [head = '', tail, more] = address.split('::');
	if (more !== undefined) return undefined;
	const groups = (text: string) => (text === '' ? [] : text.split(':').map((g) => parseInt(g, 16)));
	const left = groups(head);
	const right = tail === undefined ? [] : groups(tail);
	const missing = 8 - left.length - right.length;
	if (missing < 0 || (tail === undefined && missing !== 0)) return undefined;
	const all = [...left, ...Array.from({ length: missing }, () => 0), ...right];
	return all.every((group) => Number.isInteger(group) && group >= 0 && group <= 0xffff) ? all : undefined;
}

function ipv6Kind(groups: number[]): HostKind {
	const [g0 = 0, g1 = 0, , , , g5 = 0, g6 = 0, g7 = 0] = groups;
	const embedded = ipv4Kind(ipv6Start(g6, g7));
	const leadingZeros = groups.findIndex((group) => group !== 0);
	if (leadingZeros === 7 && g7 === 1) return 'loopback';
	// IPv4 in IPv6: mapped and compatible addresses are not on the internet, translated ones (64:ff9b::/96) are.
	const isMapped = leadingZeros === 5 && g5 === 0xffff;
	if ((isMapped || leadingZeros === 6) && embedded === 'loopback') return 'loopback';
	const isTranslated = g0 === 0x64 && g1 === 0xff9b && groups.slice(2, 6).every((group) => group === 0);
	if (isTranslated) return embedded === 'public' ? 'public' : 'private';
	const start = ipv6Start(g0, g1);
	const isPublic = isIn(start, 0x2000_0000, 3) && !NON_PUBLIC_IPV6.some((range) => isIn(start, ...range));
	return isPublic ? 'public' : 'private';
}

/**
 * Where a host name or IP literal points, judged by its spelling alone.
 * @param hostname as `URL.hostname` gives it: lower case, IPv4 in dotted form, IPv6 in brackets.
 */
export function hostKind(hostname: string): HostKind {
	const host = hostname.toLowerCase().replace(/\.$/, '');
	if (host.startsWith('[')) {
		const groups = parseIpv6(host.slice(1, -1));
		return groups ? ipv6Kind(groups) : 'private';
	}
	const address = parseIpv4(host);
	if (address !== undefined) return ipv4Kind(address);
	if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback';
	const labels = host.split('.');
	if (labels.length < 2 || labels.includes('')) return 'private';
	if (PRIVATE_NAME_ENDINGS.some((ending) => host.endsWith(ending))) return 'private';
	return 'public';
}

function parseUrl(text: string): URL | undefined {
	try {
		return new URL(text);
	} catch {
		return undefined;
	}
}

/**
 * Checks the address of a file that RunComfy or this node will fetch.
 * @returns what is wrong with it, or undefined when it may be fetched.
 */
export function findFileUrlProblem(text: string, rules: AddressRules): AddressProblem | undefined {
	const url = parseUrl(text);
	if (!url) return 'is not a complete web address (it must begin with https://)';
	const kind = hostKind(url.hostname);
	const onAllowedLoopback = rules.allowLoopback && kind === 'loopback';
	if (url.protocol !== 'https:' && !(url.protocol === 'http:' && rules.allowLoopback)) {
		return 'must begin with https://';
	}
	if (url.username !== '' || url.password !== '') return 'must not contain a user name or password';
	if (kind !== 'public' && !onAllowedLoopback) {
		return `points to this computer or a private network (${url.hostname}), which cannot be reached from the internet`;
	}
	return undefined;
}

/** True when a base URL (already checked) is on this machine, as the sandbox is. */
export function isLoopbackUrl(text: string): boolean {
	const url = parseUrl(text);
	return url !== undefined && hostKind(url.hostname) === 'loopback';
}

/**
 * Checks the credential's base URL: https, or http on loopback only, and nothing but an origin and a path.
 * @returns what is wrong with it, or undefined when the token may be sent there.
 */
export function findBaseUrlProblem(text: string): AddressProblem | undefined {
	const url = parseUrl(text.trim());
	if (!url) return 'is not a complete web address (usually https://model-api.runcomfy.net)';
	const loopback = hostKind(url.hostname) === 'loopback';
	if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
		return 'must begin with https:// so that the token is never sent unencrypted';
	}
	if (url.username !== '' || url.password !== '') return 'must not contain a user name or password';
	if (/[?#]/.test(text)) return 'must not contain "?" or "#"';
	return undefined;
}

/** A checked base URL without surrounding white space and trailing slashes. */
export function cleanBaseUrl(text: string): string {
	return text.trim().replace(/\/+$/, '');
}

/** The API token without surrounding white space, which is easily pasted with it. */
export function cleanToken(value: unknown): string {
	return String(value ?? '').trim();
}

/**
 * Checks the API token as the user pasted it.
 * @returns what is wrong with it, or undefined. The token itself is never part of the text.
 */
export function findTokenProblem(token: string): string | undefined {
	if (token.trim() === '') return 'is empty';
	if (/^bearer\s/i.test(token.trim())) return 'must be pasted without the word "Bearer" before it';
	if (/\s/.test(token)) return 'must not contain spaces or line breaks';
	if (/[^\x21-\x7e]/.test(token)) return 'contains a character that cannot be part of a token';
	return undefined;
}
