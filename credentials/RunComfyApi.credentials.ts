import type {
	ICredentialDataDecryptedObject,
	ICredentialTestRequest,
	ICredentialType,
	IHttpRequestOptions,
	INodeProperties,
	Icon,
} from 'n8n-workflow';

import {
	cleanBaseUrl,
	DEFAULT_ACCOUNT_BASE_URL,
	DEFAULT_BASE_URL,
	findBaseUrlFault,
	findTokenFault,
} from '../nodes/RunComfy/api/addresses';

const TOKEN_NOT_ACCEPTED =
	'RunComfy did not accept the API token. Paste a fresh one from your RunComfy profile.';

export class RunComfyApi implements ICredentialType {
	name = 'runComfyApi';

	displayName = 'RunComfy API';

	icon: Icon = { light: 'file:../icons/runcomfy.svg', dark: 'file:../icons/runcomfy.dark.svg' };

	documentationUrl = 'https://github.com/n8n-nodes-runcomfy/n8n-nodes-runcomfy#credential';

	properties: INodeProperties[] = [
		{
			displayName: 'API Token',
			name: 'apiToken',
			type: 'string',
			typeOptions: { password: true },
			required: true,
			default: '',
			description:
				'From your <a href="https://www.runcomfy.com/profile" target="_blank">RunComfy profile</a>, without the word “Bearer”. A token stops working as soon as a new one is generated.',
		},
		{
			displayName: 'Base URL',
			name: 'baseUrl',
			type: 'string',
			required: true,
			default: DEFAULT_BASE_URL,
			placeholder: 'e.g. https://model-api.runcomfy.net',
			description:
				'Where RunComfy’s Model API is. Change it only for tests with a sandbox. The token is sent nowhere but here and to the account’s address.',
		},
		{
			displayName: 'Account Base URL',
			name: 'accountBaseUrl',
			type: 'string',
			default: DEFAULT_ACCOUNT_BASE_URL,
			placeholder: 'e.g. https://api.runcomfy.net',
			description:
				'Where RunComfy answers questions about your balance. Only the operation Get Balance uses it. Change it only for tests with a sandbox.',
		},
	];

	/** Puts the token on a request, but only on one to the two base URLs: whoever uses this credential, it goes nowhere else. */
	async authenticate(
		credentials: ICredentialDataDecryptedObject,
		requestOptions: IHttpRequestOptions,
	): Promise<IHttpRequestOptions> {
		const token = String(credentials.apiToken ?? '').trim();
		const tokenFault = findTokenFault(token);
		if (tokenFault !== undefined) throw new Error(`The API token ${tokenFault}`);
		const baseUrl = cleanBaseUrl(String(credentials.baseUrl ?? ''));
		const baseUrlFault = findBaseUrlFault(baseUrl);
		if (baseUrlFault !== undefined) throw new Error(`The base URL ${baseUrlFault}`);
		const accountBaseUrl = cleanBaseUrl(String(credentials.accountBaseUrl || DEFAULT_ACCOUNT_BASE_URL));
		const accountFault = findBaseUrlFault(accountBaseUrl);
		if (accountFault !== undefined) throw new Error(`The account base URL ${accountFault}`);
		const target = new URL(requestOptions.url, requestOptions.baseURL ?? baseUrl);
		if (![baseUrl, accountBaseUrl].some((allowed) => new URL(allowed).origin === target.origin)) {
			throw new Error(`The RunComfy token may only be sent to ${baseUrl} and ${accountBaseUrl}`);
		}
		return {
			...requestOptions,
			headers: { ...requestOptions.headers, Authorization: `Bearer ${token}` },
		};
	}

	/** Free and without side effect: the catalogue entry of the model. */
	test: ICredentialTestRequest = {
		request: {
			baseURL: '={{ $credentials.baseUrl.trim().replace(/\\/+$/, "") }}',
			url: '/v1/models/ideogram/ideogram-v3/replace-background',
			disableFollowRedirect: true,
			timeout: 15_000,
		},
		// Which of these RunComfy sends for a bad token is not documented.
		rules: [400, 401, 403].map((value) => ({
			type: 'responseCode',
			properties: { value, message: TOKEN_NOT_ACCEPTED },
		})),
	};
}
