import type { ApiAddresses } from '../api/http';
import { isLoopbackUrl, readCredential } from '../api/urls';
import { createRedact, type Redact } from '../util/redact';
import { type CallingContext, CREDENTIAL_NAME } from './request';

export interface Access extends ApiAddresses {
	/** Whether the base URL is on this machine, as the sandbox is. */
	isLoopback: boolean;
	/** Whether the platform base URL is. */
	isPlatformLoopback: boolean;
	/** The key for ComfyUI's own paid nodes. It is sent only in the body of a submit to a deployment. */
	comfyOrgApiKey: string | undefined;
	/** Redacts the token and the key in a text: a server may repeat them in an error. */
	redact: Redact;
}

/**
 * Reads and checks the credential before anything is sent. The token itself is not returned, because n8n adds it to requests.
 * @throws FieldError.
 */
export async function readAccess(context: CallingContext): Promise<Access> {
	const credential = await context.getCredentials(CREDENTIAL_NAME);
	const { apiToken, comfyOrgApiKey, baseUrl, platformBaseUrl } = readCredential(credential);
	const [redactToken, redactKey] = [createRedact(apiToken), createRedact(comfyOrgApiKey)];
	return {
		baseUrl,
		platformBaseUrl,
		isLoopback: isLoopbackUrl(baseUrl),
		isPlatformLoopback: isLoopbackUrl(platformBaseUrl),
		comfyOrgApiKey: comfyOrgApiKey === '' ? undefined : comfyOrgApiKey,
		redact: (text) => redactKey(redactToken(text)),
	};
}
