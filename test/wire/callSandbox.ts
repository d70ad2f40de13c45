import { request } from 'undici';

import { SANDBOX_TOKEN, type Sandbox } from '../sandbox/sandbox';

export interface SandboxAnswer {
	status: number;
	body: Record<string, unknown>;
}

/** One call of the sandbox's API. A body that is a text is sent as it is. */
export async function callSandbox(
	{ url }: Sandbox,
	method: 'GET' | 'POST',
	path: string,
	body?: unknown,
	token = SANDBOX_TOKEN,
): Promise<SandboxAnswer> {
	const answer = await request(`${url}${path}`, {
		method,
		headers: {
			authorization: `Bearer ${token}`,
			...(body === undefined ? {} : { 'content-type': 'application/json' }),
		},
		...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
	});
	return { status: answer.statusCode, body: (await answer.body.json()) as SandboxAnswer['body'] };
}
