import type { ApiAddresses } from '../api/http';
import { isLoopbackUrl, readCredential } from '../api/urls';
import { createRedact, type Redact } from '../util/redact';
import { type CallingContext, CREDENTIAL_NAME } from './request';

export interface Access extends ApiAddresses {
	/** Whether the base URL is on this machine, as the sandbox is. */
	isLoopback: boolean;
	/** Whether the platform base URL is. */
	isPlatformLoopback: boolean;
	/** Redacts the token in a text: a server may repeat it in an error. */
	redact: Redact;
}

/**
 * Reads and checks the credential before anything is sent. The token itself is not returned.
 * @throws FieldError.
 */
export async function readAccess(context: CallingContext): Promise<Access> {
	const credential = await context.getCredentials(CREDENTIAL_NAME);
	const { apiToken, baseUrl, platformBaseUrl } = readCredential(credential);
	return {
		baseUrl,
		platformBaseUrl,
		isLoopback: isLoopbackUrl(baseUrl),
		isPlatformLoopback: isLoopbackUrl(platformBaseUrl),
		redact: createRedact(apiToken),
	};
}
