import {
	cleanBaseUrl,
	DEFAULT_ACCOUNT_BASE_URL,
	findBaseUrlFault,
	findTokenFault,
	isLoopbackUrl,
} from '../api/addresses';
import type { ApiAddresses } from '../api/client';
import { FieldError } from '../fieldError';
import { CREDENTIAL_NAME, type CallingContext } from './transport';

/** No real token is shorter, and taking a short one out could hit words of the answer itself. */
const MIN_CONCEALED_LENGTH = 8;

export interface Access extends ApiAddresses {
	/** The base URL is on this machine: the sandbox, to which local files are as good as public ones. */
	isLoopback: boolean;
	/** Takes the token out of a text: a server may echo it in an error. */
	conceal(text: string): string;
}

/**
 * Reads and checks the credential before anything is sent. The token itself is not handed on.
 * @throws FieldError.
 */
export async function readAccess(context: CallingContext): Promise<Access> {
	const credential = await context.getCredentials(CREDENTIAL_NAME);
	const where = 'Correct it in the RunComfy credential in n8n.';
	const apiToken = String(credential.apiToken ?? '');
	const tokenFault = findTokenFault(apiToken);
	if (tokenFault !== undefined) throw new FieldError('API Token', tokenFault, where);
	const readUrl = (label: string, value: unknown) => {
		const url = String(value ?? '');
		const fault = findBaseUrlFault(url);
		if (fault !== undefined) throw new FieldError(label, fault, where);
		return cleanBaseUrl(url);
	};
	const baseUrl = readUrl('Base URL', credential.baseUrl);
	return {
		baseUrl,
		// Credentials that were saved before there was this field do not have it.
		accountBaseUrl: readUrl('Account Base URL', credential.accountBaseUrl || DEFAULT_ACCOUNT_BASE_URL),
		isLoopback: isLoopbackUrl(baseUrl),
		conceal: (text) => (apiToken.length < MIN_CONCEALED_LENGTH ? text : text.replaceAll(apiToken, '[token]')),
	};
}
