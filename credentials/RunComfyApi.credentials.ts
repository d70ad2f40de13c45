import type {
	IAuthenticateRuleResponseSuccessBody,
	ICredentialDataDecryptedObject,
	ICredentialTestRequest,
	ICredentialType,
	IHttpRequestOptions,
	INodeProperties,
	Icon,
} from 'n8n-workflow';

import {
	cleanBaseUrl,
	DEFAULT_BASE_URL,
	DEFAULT_PLATFORM_BASE_URL,
	ownProxy,
	readCredential,
} from '../nodes/RunComfy/api/urls';
import { mayStillLeave } from '../nodes/RunComfy/n8n/handOver';

/** The Model API's code (documented), and that of RunComfy's other APIs [assumed to mean the same here]. */
const TOKEN_CODES = [400004, 401001];
const TOKEN_NOT_ACCEPTED =
	'RunComfy did not accept the API token. Paste a fresh one from your RunComfy profile.';
const TOKEN_NOT_CONFIRMED =
	'RunComfy did not confirm the API token. Paste a fresh one from your RunComfy profile, and check the base URL if you use custom URLs.';

export class RunComfyApi implements ICredentialType {
	name = 'runComfyApi';

	displayName = 'RunComfy API';

	icon: Icon = { light: 'file:../icons/runcomfy.svg', dark: 'file:../icons/runcomfy.dark.svg' };

	documentationUrl = 'https://github.com/n8n-nodes-runcomfy/n8n-nodes-runcomfy#account-and-credential';

	properties: INodeProperties[] = [
		{
			displayName:
				'Copy the token from your <a href="https://www.runcomfy.com/profile" target="_blank">RunComfy profile</a>',
			name: 'notice',
			type: 'notice',
			default: '',
		},
		{
			displayName: 'API Token',
			name: 'apiToken',
			type: 'string',
			typeOptions: { password: true },
			required: true,
			default: '',
			description:
				'A token stops working as soon as a new one is generated. A pasted “Bearer” before it is cut off.',
		},
		{
			displayName: 'ComfyUI API Key',
			name: 'comfyOrgApiKey',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			description:
				'From <a href="https://platform.comfy.org" target="_blank">platform.comfy.org</a>, for ComfyUI deployments with API nodes, which ComfyUI bills. It is sent only to RunComfy, with the inputs of a deployment.',
		},
		{
			displayName: 'Use Custom URLs',
			name: 'useCustomUrls',
			type: 'boolean',
			default: false,
			description: 'Whether to call other addresses than RunComfy’s own, for example those of a sandbox',
		},
		{
			displayName: 'Base URL',
			name: 'baseUrl',
			type: 'string',
			displayOptions: { show: { useCustomUrls: [true] } },
			default: DEFAULT_BASE_URL,
			placeholder: 'e.g. https://model-api.runcomfy.net',
			description:
				'In place of RunComfy’s Model API. The token is sent to this address and to the platform base URL.',
		},
		{
			displayName: 'Platform Base URL',
			name: 'platformBaseUrl',
			type: 'string',
			displayOptions: { show: { useCustomUrls: [true] } },
			default: DEFAULT_PLATFORM_BASE_URL,
			placeholder: 'e.g. https://api.runcomfy.net',
			description: 'In place of RunComfy’s API for ComfyUI deployments and the account balance',
		},
	];

	/**
	 * Adds the token to a request, but only to a request for one of the two base URLs, and forbids redirects. The token
	 * is sent nowhere else, whichever node uses this credential.
	 * @throws Error when the credential is invalid, or when the request's address is another one or cannot be read.
	 */
	async authenticate(
		credentials: ICredentialDataDecryptedObject,
		requestOptions: AnyRequestOptions,
	): Promise<IHttpRequestOptions> {
		const { apiToken: token, baseUrl, platformBaseUrl } = readCredential(credentials);
		// A copy: what is checked is what is sent, whatever the original says when it is read again.
		const request: AnyRequestOptions = { ...requestOptions };
		const [unsafe] = Object.entries(request).find(([name, value]) => !isSafeOption(name, value)) ?? [];
		if (unsafe !== undefined)
			throw new Error(`The RunComfy token is not sent with a request that sets “${unsafe}”`);
		const targets = targetsOf(request);
		if (!targets.every((target) => [baseUrl, platformBaseUrl].some((base) => isBelow(target, base)))) {
			throw new Error(`The RunComfy token may only be sent to ${baseUrl} and ${platformBaseUrl}`);
		}
		if (!mayStillLeave(request)) throw new Error('The execution ended before the request was sent');
		return {
			...request,
			...NO_REDIRECTS,
			...ownProxy(targets.at(-1) ?? ''),
			headers: { ...request.headers, Authorization: `Bearer ${token}` },
		};
	}

	/**
	 * Reads the catalog entry of one model: free, and without side effects. How RunComfy answers an invalid token, and
	 * with which HTTP status, is not documented. So only the body counts: a token is valid when the answer holds the model and
	 * its inputs. n8n compares values only for equality, so this tells no more.
	 */
	test: ICredentialTestRequest = {
		request: {
			baseURL: `={{ $credentials.useCustomUrls && ($credentials.baseUrl ?? "").trim().replace(/\\/+$/, "") || "${DEFAULT_BASE_URL}" }}`,
			url: '/v1/models/ideogram/ideogram-v3/replace-background',
			disableFollowRedirect: true,
			ignoreHttpStatusErrors: true,
			timeout: 15_000,
		},
		rules: [
			...TOKEN_CODES.flatMap((code) => [code, String(code)]).map((value) =>
				failWhere('error_code', value, TOKEN_NOT_ACCEPTED),
			),
			failWhere('model_id', undefined, TOKEN_NOT_CONFIRMED),
			failWhere('input_schema.properties.prompt', undefined, TOKEN_NOT_CONFIRMED),
		],
	};
}

/**
 * A request in either of n8n's two formats: the address is in `url`, possibly relative to `baseURL`, or in `uri`, the
 * format of the older helper, which n8n's own HTTP Request node uses.
 */
interface AnyRequestOptions extends IHttpRequestOptions {
	uri?: unknown;
}

/** Options that decide what is sent, and what is done with the answer. */
const HARMLESS_OPTIONS = new Set([
	...['method', 'url', 'uri', 'baseURL', 'headers', 'body', 'form', 'formData', 'qs', 'json', 'timeout'],
	...['arrayFormat', 'qsStringifyOptions', 'useQuerystring', 'encoding', 'gzip', 'useStream', 'abortSignal'],
	...['returnFullResponse', 'resolveWithFullResponse', 'ignoreHttpStatusErrors', 'simple', 'allowedDomains'],
	...['disableFollowRedirect', 'followRedirect', 'followAllRedirects', 'maxRedirects'],
	...['sendCredentialsOnCrossOriginRedirect'],
]);

/** A server answers TRACE with the request, and so with the token. */
const METHOD = /^(get|head|post|put|patch|delete|options)$/i;

/** False for an option that may decide where a request goes, or how safely: a proxy, an agent, or one that is not known. */
function isSafeOption(name: string, value: unknown): boolean {
	if (value === undefined || value === null || value === '') return true;
	if (name === 'method') return typeof value === 'string' && METHOD.test(value);
	if (name === 'rejectUnauthorized') return value === true;
	if (name === 'skipSslCertificateValidation' || name === 'proxy') return value === false;
	if (typeof value !== 'object') return HARMLESS_OPTIONS.has(name);
	if (name === 'headers') return Object.keys(value).every((header) => header.toLowerCase() !== 'host');
	return HARMLESS_OPTIONS.has(name) || Object.keys(value).length === 0;
}

/**
 * All addresses that a request may reach: HTTP clients differ in how they combine an address with its base URL.
 * @returns one that is nowhere when the address cannot be read, or when `url` and `uri` differ.
 */
function targetsOf({ url, uri = url, baseURL }: AnyRequestOptions): string[] {
	const target: unknown = url ?? uri;
	if (typeof target !== 'string' || uri !== target) return [''];
	const base: unknown = baseURL === '' ? undefined : baseURL;
	if (base === undefined) return [target];
	if (typeof base !== 'string' || !URL.canParse(target, base)) return [''];
	const isAbsolute = /^([a-z][a-z\d+\-.]*:)?[/\\]{2}/i.test(target);
	const joined = isAbsolute
		? new URL(target, base).href
		: `${cleanBaseUrl(base)}/${target.replace(/^\/+/, '')}`;
	return [base, joined];
}

/** Two dots between separators, of which servers decode some before they resolve the path. */
const GOES_UP = /(^|[/\\]|%2f|%5c)(\.|%2e){2}($|[/\\;]|%2f|%5c|%3b)/i;

/** True for an address of the base's origin and at or below its path. */
function isBelow(address: string, base: string): boolean {
	if (!URL.canParse(address)) return false;
	const { origin, pathname, username, password } = new URL(address);
	const { origin: baseOrigin, pathname: basePath } = new URL(base);
	const path = cleanBaseUrl(basePath);
	if (path !== '' && GOES_UP.test(pathname)) return false;
	const isInside = pathname === path || pathname.startsWith(`${path}/`);
	return origin === baseOrigin && isInside && username === '' && password === '';
}

/** Without these options, n8n sends the token to the target of a redirect. They cover both formats and old n8n versions. */
const NO_REDIRECTS = {
	disableFollowRedirect: true,
	followRedirect: false,
	followAllRedirects: false,
	sendCredentialsOnCrossOriginRedirect: false,
};

function failWhere(key: string, value: unknown, message: string): IAuthenticateRuleResponseSuccessBody {
	return { type: 'responseSuccessBody', properties: { key, value, message } };
}
