import { FieldError } from '../util/errors';
import { isEmpty } from '../util/values';

/**
 * Which addresses are safe to call, to pass to RunComfy, or to download from. Pure: host names are judged by their
 * spelling, and what they lead to by `isPublicAddress`.
 */

/** RunComfy's Model API (documented). */
export const DEFAULT_BASE_URL = 'https://model-api.runcomfy.net';
/** The API for deployments and the account balance [assumed: RunComfy's own clients use it]. */
export const DEFAULT_PLATFORM_BASE_URL = 'https://api.runcomfy.net';

export interface AddressRules {
	/** True only while the API that takes or gives the file is itself on loopback, that is, for the sandbox. */
	allowLoopback: boolean;
}

/** Ranges that lead to a private network, to a cloud's metadata, or nowhere: the first address, and the bits that count. */
const PRIVATE_IPV4: ReadonlyArray<readonly [string, number]> = [
	['0.0.0.0', 8],
	['10.0.0.0', 8],
	['100.64.0.0', 10],
	['127.0.0.0', 8],
	['169.254.0.0', 16],
	['172.16.0.0', 12],
	['192.0.0.0', 24],
	['192.0.2.0', 24],
	['192.88.99.0', 24],
	['192.168.0.0', 16],
	['198.18.0.0', 15],
	['198.51.100.0', 24],
	['203.0.113.0', 24],
	['224.0.0.0', 3],
];
const PRIVATE_NAME = /\.(local|internal|lan|home\.arpa|intranet|corp)$/;

function isInRange(address: string, [first, bits]: readonly [string, number]): boolean {
	const prefixOf = (ipv4: string) =>
		ipv4.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0) >>> (32 - bits);
	return prefixOf(address) === prefixOf(first);
}

function isPublicIpv4(address: string): boolean {
	return !PRIVATE_IPV4.some((range) => isInRange(address, range));
}

/** The eight groups of an IPv6 address; empty for what is none. */
function groupsOf(ipv6: string): number[] {
	// `URL` writes an address in one way, without dots.
	if (!URL.canParse(`http://[${ipv6}]`)) return [];
	const { hostname } = new URL(`http://[${ipv6}]`);
	const [before = [], after = []] = hostname
		.slice(1, -1)
		.split('::')
		.map((half) => (half === '' ? [] : half.split(':').map((group) => Number.parseInt(group, 16))));
	return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
}

/**
 * Whether an IP address that a name leads to is on the internet, by the registries of IANA. Of IPv6, only what is
 * allocated there, without its special ranges (2001::/23, 2001:db8::/32, 2002::/16, 3fff::/20); an address that holds one
 * of IPv4 (::ffff:0:0/96, 64:ff9b::/96) is as public as that one.
 */
export function isPublicAddress(address: string): boolean {
	if (/^\d+(\.\d+){3}$/.test(address)) return isPublicIpv4(address);
	// A zone follows `%`.
	const groups = groupsOf(address.replace(/%.*$/, ''));
	const [first = 0, second = 0, ...rest] = groups;
	const prefix = groups.slice(0, 6).join(':');
	if (prefix === '0:0:0:0:0:65535' || prefix === `${0x64}:${0xff9b}:0:0:0:0`)
		return isPublicIpv4(
			rest
				.slice(-2)
				.flatMap((group) => [group >> 8, group & 255])
				.join('.'),
		);
	const isSpecial = first === 0x2001 && (second < 0x200 || second === 0xdb8);
	return first >> 13 === 1 && !isSpecial && first !== 0x2002 && !(first === 0x3fff && second < 0x1000);
}

/**
 * Where a host name or IP literal points, judged by its spelling alone. Of IPv6 addresses, only `[::1]` has a kind other
 * than `private`.
 * @param hostname as `URL.hostname` gives it: lower case, IPv4 in dotted form, IPv6 in brackets.
 */
export function hostKind(hostname: string): 'public' | 'loopback' | 'private' {
	const host = hostname.toLowerCase().replace(/\.$/, '');
	if (/^(127(\.\d+){3}|\[::1\]|(.*\.)?localhost)$/.test(host)) return 'loopback';
	if (/^\d+(\.\d+){3}$/.test(host)) {
		return isPublicIpv4(host) ? 'public' : 'private';
	}
	// A name of one label is local. An IPv6 address has no dots here, and so counts as one label.
	const labels = host.split('.');
	const isName = labels.length > 1 && !labels.includes('');
	return isName && !PRIVATE_NAME.test(host) ? 'public' : 'private';
}

/** True for a text that begins as a web address does. Nothing else about it has been checked. */
export function isWebUrl(value: unknown): value is string {
	return typeof value === 'string' && /^https?:\/\/./i.test(value);
}

function parseUrl(text: string): URL | undefined {
	return URL.canParse(text) ? new URL(text) : undefined;
}

/**
 * Checks the address of a file that RunComfy or this node will fetch.
 * @returns what is wrong with it (completes “Image URL …”), or undefined when it may be fetched.
 */
export function findFileUrlProblem(text: string, { allowLoopback }: AddressRules): string | undefined {
	const url = parseUrl(text);
	if (!url) return 'is not a complete web address (it must begin with https://)';
	const { protocol, username, password, hostname } = url;
	const kind = hostKind(hostname);
	const isOwnHttp = protocol === 'http:' && kind === 'loopback' && allowLoopback;
	if (protocol !== 'https:' && !isOwnHttp) return 'must begin with https://';
	if (username !== '' || password !== '') return 'must not contain a user name or password';
	if (kind === 'public' || (kind === 'loopback' && allowLoopback)) return undefined;
	return hostname.startsWith('[')
		? `must name a host, not an IPv6 address (${hostname})`
		: `points to this computer or a private network (${hostname}), which cannot be reached from the internet`;
}

/** True when a base URL (already checked) is on this machine, as the sandbox is. */
export function isLoopbackUrl(text: string): boolean {
	const url = parseUrl(text);
	return url !== undefined && hostKind(url.hostname) === 'loopback';
}

/**
 * For http, which is allowed on this machine only: a server that is named as its own proxy is reached by no other, whatever
 * n8n's environment says. Servers understand such requests.
 */
export function ownProxy(address: string): { proxy?: { protocol: string; host: string; port: number } } {
	const { protocol, hostname: host, port } = new URL(address);
	return protocol === 'http:' ? { proxy: { protocol: 'http', host, port: Number(port || 80) } } : {};
}

/**
 * Checks a base URL of the credential: https, or http on loopback only, and nothing but an origin and a path.
 * @param usual the one that RunComfy's own API has.
 * @returns what is wrong with it, or undefined when the token may be sent there.
 */
export function findBaseUrlProblem(text: string, usual = DEFAULT_BASE_URL): string | undefined {
	const url = parseUrl(text.trim());
	if (!url) return `is not a complete web address (usually ${usual})`;
	if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackUrl(url.href)))
		return 'must begin with https:// so that the token is never sent unencrypted';
	if (url.username !== '' || url.password !== '') return 'must not contain a user name or password';
	return /[?#]/.test(text) ? 'must not contain "?" or "#"' : undefined;
}

/** A checked base URL without surrounding white space and trailing slashes. */
export function cleanBaseUrl(text: string): string {
	const trimmed = text.trim();
	let end = trimmed.length;
	// A pattern for it would take quadratic time.
	while (trimmed[end - 1] === '/') end--;
	return trimmed.slice(0, end);
}

/**
 * Reads and checks what a credential holds. Its addresses count only where the user has switched them on.
 * @throws FieldError; its texts never contain the token or the key.
 */
export function readCredential(credential: Readonly<Record<string, unknown>>) {
	const where = 'Correct it in the RunComfy credential in n8n.';
	const apiToken = cleanToken(credential.apiToken);
	const tokenProblem = findTokenProblem(apiToken);
	if (tokenProblem !== undefined) throw new FieldError('API Token', tokenProblem, where);
	const comfyOrgApiKey = cleanToken(credential.comfyOrgApiKey);
	const keyProblem = comfyOrgApiKey === '' ? undefined : findTokenProblem(comfyOrgApiKey);
	if (keyProblem !== undefined) throw new FieldError('ComfyUI API Key', keyProblem, where);
	const readUrl = (label: string, value: unknown, usual: string): string => {
		if (credential.useCustomUrls !== true || isEmpty(value)) return usual;
		const problem = findBaseUrlProblem(String(value), usual);
		if (problem !== undefined) throw new FieldError(label, problem, where);
		return cleanBaseUrl(String(value));
	};
	return {
		apiToken,
		/** Empty where the user has none. */
		comfyOrgApiKey,
		baseUrl: readUrl('Base URL', credential.baseUrl, DEFAULT_BASE_URL),
		platformBaseUrl: readUrl('Platform Base URL', credential.platformBaseUrl, DEFAULT_PLATFORM_BASE_URL),
	};
}

/** The API token without white space and the word “Bearer” before it, which are easily pasted with it. */
export function cleanToken(value: unknown): string {
	return String(value ?? '')
		.trim()
		.replace(/^bearer\s+/i, '');
}

/** What is wrong with the API token as the user pasted it, if anything. The text never contains the token. */
export function findTokenProblem(token: string): string | undefined {
	if (token.trim() === '') return 'is empty';
	if (/\s/.test(token)) return 'must not contain spaces or line breaks';
	return /[^\x21-\x7e]/.test(token) ? 'contains a character that cannot be part of a token' : undefined;
}
