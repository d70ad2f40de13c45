import type { ApiAddresses } from '../api/http';
import {
	cleanBaseUrl,
	cleanToken,
	DEFAULT_PLATFORM_BASE_URL,
	findBaseUrlProblem,
	findTokenProblem,
	isLoopbackUrl,
} from '../api/urls';
import { FieldError } from '../util/errors';
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
	const where = 'Correct it in the RunComfy credential in n8n.';
	const apiToken = cleanToken(credential.apiToken);
	const tokenProblem = findTokenProblem(apiToken);
	if (tokenProblem !== undefined) throw new FieldError('API Token', tokenProblem, where);
	const key = cleanToken(credential.comfyOrgApiKey);
	const keyProblem = key === '' ? undefined : findTokenProblem(key);
	if (keyProblem !== undefined) throw new FieldError('ComfyUI API Key', keyProblem, where);
	const [redactToken, redactKey] = [createRedact(apiToken), createRedact(key)];
	const readUrl = (label: string, value: unknown) => {
		const url = String(value ?? '');
		const problem = findBaseUrlProblem(url);
		if (problem !== undefined) throw new FieldError(label, problem, where);
		return cleanBaseUrl(url);
	};
	const baseUrl = readUrl('Base URL', credential.baseUrl);
	// The field may be empty.
	const platformUrl = credential.platformBaseUrl || DEFAULT_PLATFORM_BASE_URL;
	const platformBaseUrl = readUrl('Platform Base URL', platformUrl);
	return {
		baseUrl,
		platformBaseUrl,
		isLoopback: isLoopbackUrl(baseUrl),
		isPlatformLoopback: isLoopbackUrl(platformBaseUrl),
		comfyOrgApiKey: key === '' ? undefined : key,
		redact: (text) => redactKey(redactToken(text)),
	};
}
