import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../api/json';
import { isPublicAddress } from '../api/urls';

type EgressFilter = ReturnType<IExecuteFunctions['helpers']['getSecureEgressFilter']>;

/** What n8n offers to judge an address; older versions have nothing. */
export type EgressHelpers = Partial<Pick<IExecuteFunctions['helpers'], 'getSecureEgressFilter'>>;

/** As n8n looks a name up under its protection against such requests. */
async function addressesOf(
	lookup: ReturnType<EgressFilter['createSecureLookup']>,
	hostname: string,
): Promise<string[]> {
	return await new Promise((resolve, reject) => {
		lookup(hostname, { all: true }, (error, found) => {
			if (error) reject(error);
			else resolve([found].flat().map((one) => (typeof one === 'string' ? one : one.address)));
		});
	});
}

/**
 * Newer versions of n8n resolve a host name. It refuses some private addresses itself, unless its operator allows them;
 * whatever else is not on the internet is refused here, with the same exception. When n8n cannot resolve the name, a proxy
 * may be able to: then the request is made.
 * @returns what is wrong with where the name leads (completes “its address …”).
 */
export async function findPrivateAddress(
	helpers: EgressHelpers,
	hostname: string,
): Promise<string | undefined> {
	const filter = helpers.getSecureEgressFilter?.('enforced');
	if (filter === undefined) return undefined;
	const problem = (address: string) =>
		`leads to a private network (${address}). If that is right for this n8n, its operator can allow it with N8N_SSRF_ALLOWED_HOSTNAMES or N8N_SSRF_ALLOWED_IP_RANGES`;
	try {
		const addresses = await addressesOf(filter.createSecureLookup(), hostname);
		const address = addresses.find((one) => !isPublicAddress(one) && !isAllowed(filter, hostname, one));
		return address === undefined ? undefined : problem(`${hostname}, ${address}`);
	} catch (error) {
		return error instanceof Error && error.name.startsWith('SsrfBlocked') ? problem(hostname) : undefined;
	}
}

/**
 * Whether n8n's operator allows an address that the secure lookup has given. n8n asks its list only about addresses that
 * it blocks itself: those are allowed when they come. For others its list is read [assumed: as n8n 2.41 keeps it].
 */
function isAllowed(filter: object, hostname: string, address: string): boolean {
	const { blockedIps, allowedIps, allowedHostnameMatcher }: JsonObject = { ...filter };
	const family = address.includes(':') ? 'ipv6' : 'ipv4';
	const says = (list: unknown, method: string, ...of: string[]): boolean =>
		isJsonObject(list) && typeof list[method] === 'function' && list[method](...of) === true;
	return (
		says(blockedIps, 'check', address, family) ||
		says(allowedIps, 'check', address, family) ||
		says(allowedHostnameMatcher, 'matches', hostname)
	);
}
