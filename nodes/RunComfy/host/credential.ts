import type { IExecuteFunctions } from 'n8n-workflow';

import { cleanBaseUrl, findBaseUrlFault, findTokenFault, isLoopbackUrl } from '../api/addresses';
import { FieldError } from '../fieldError';
import { CREDENTIAL_NAME } from './transport';

/** No real token is shorter, and taking a short one out could hit words of the answer itself. */
const MIN_CONCEALED_LENGTH = 8;

export interface Access {
	/** Checked, and without a slash at its end. */
	baseUrl: string;
	/** The base URL is on this machine: the sandbox, to which local files are as good as public ones. */
	isLoopback: boolean;
	/** Takes the token out of a text: a server may echo it in an error. */
	conceal(text: string): string;
}

/**
 * Reads and checks the credential before anything is sent. The token itself is not handed on.
 * @throws FieldError.
 */
export async function readAccess(context: IExecuteFunctions): Promise<Access> {
	const credential = await context.getCredentials(CREDENTIAL_NAME, 0);
	const where = 'Correct it in the RunComfy credential in n8n.';
	const apiToken = String(credential.apiToken ?? '');
	const tokenFault = findTokenFault(apiToken);
	if (tokenFault !== undefined) throw new FieldError('API Token', tokenFault, where);
	const baseUrl = String(credential.baseUrl ?? '');
	const baseUrlFault = findBaseUrlFault(baseUrl);
	if (baseUrlFault !== undefined) throw new FieldError('Base URL', baseUrlFault, where);
	return {
		baseUrl: cleanBaseUrl(baseUrl),
		isLoopback: isLoopbackUrl(baseUrl),
		conceal: (text) => (apiToken.length < MIN_CONCEALED_LENGTH ? text : text.replaceAll(apiToken, '[token]')),
	};
}
