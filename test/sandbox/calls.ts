import type { FastifyReply, FastifyRequest } from 'fastify';

import type { CallKind, CallRule, Faults } from './faults';
import type { JobStore, SandboxStats } from './jobStore';
import { toJson } from './rawJson';

export interface Answer {
	status: number;
	body: unknown;
	headers?: Record<string, string>;
}

export type Handler = (request: FastifyRequest) => Answer | Promise<Answer>;

/** An error as RunComfy's APIs report it. */
export function error(status: number, code: number, message: string, detail?: unknown): Answer {
	return {
		status,
		body: { error_code: code, error_message: message, ...(detail === undefined ? {} : { detail }) },
	};
}

const COUNTED: Partial<Record<CallKind, keyof SandboxStats>> = {
	submit: 'submits',
	model: 'modelRequests',
	models: 'modelListRequests',
	deployment: 'deploymentRequests',
	deployments: 'deploymentListRequests',
};

export interface CallOptions {
	/** What faults know a submit by. */
	promptOf?: (request: FastifyRequest) => string;
	/** The answer to a missing or wrong token; without it, the Model API's. */
	badToken?: Answer;
}

/** What is the same for every call: token, counts and faults. */
export class Calls {
	private readonly hanging = new Set<FastifyReply>();
	/** The bodies of calls as they were sent. */
	readonly bodyTexts = new WeakMap<object, string>();

	constructor(
		private readonly token: string,
		readonly faults: Faults,
		readonly store: JobStore,
	) {}

	/** Puts token check, faults and counting around a handler. */
	on(kind: CallKind, handler: Handler, options: CallOptions = {}) {
		return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
			const { stats } = this.store;
			if (request.headers.authorization !== `Bearer ${this.token}`) {
				stats.refusedTokens++;
				const refusal = error(401, 400004, 'The API token is invalid, expired or revoked.');
				return await send(reply, options.badToken ?? refusal);
			}
			const counted = COUNTED[kind];
			if (counted !== undefined) stats[counted]++;
			const fault = this.faults.forCall(kind, this.subjectOf(request, options));
			return await this.answer(reply, fault, () => handler(request));
		};
	}

	/** Ends the calls that a fault has left without an answer. */
	close(): void {
		for (const reply of this.hanging) reply.raw.destroy();
	}

	/** Answers a call, or does what the fault says instead. */
	async answer(
		reply: FastifyReply,
		fault: CallRule | undefined,
		act: () => Answer | Promise<Answer>,
	): Promise<unknown> {
		switch (fault?.kind) {
			case 'tooMany':
				return await send(reply, {
					...error(429, 429001, 'Too many requests.'),
					...(fault.retryAfter === undefined ? {} : { headers: { 'retry-after': String(fault.retryAfter) } }),
				});
			case 'serverError':
				return await send(reply, error(500, 500001, 'Internal error.'));
			case 'badGateway':
				return await reply
					.code(502)
					.type('text/html')
					.send('<html><body><h1>502 Bad Gateway</h1></body></html>');
			case 'errorCode':
				return await send(reply, error(200, fault.errorCode ?? 400001, 'Refused, but politely.'));
			case 'answer':
				if (fault.isDone === true) await act();
				return await send(reply, { status: 200, body: {}, ...fault.answer });
			case 'redirectAway':
				return await reply.redirect(fault.location ?? 'http://127.0.0.1:1/', 307);
			case 'echoToken':
				return await send(reply, error(400, 422001, `Token ${this.token} may not do this.`));
			case 'notReady':
				return await send(reply, error(400, 400005, 'The request is not ready yet.'));
			case 'notFound':
				return await send(reply, error(404, 404001, 'No such request.'));
			case 'lostBefore':
				return this.drop(reply);
			case 'hangBefore':
				return this.hang(reply);
			case 'lostAfter':
				await act();
				return this.drop(reply);
			case 'hangAfter':
				await act();
				return this.hang(reply);
			case 'noId':
				await act();
				return await send(reply, { status: 200, body: { message: 'Thank you.' } });
			case 'truncated': {
				const text = toJson((await act()).body);
				return await reply
					.code(200)
					.type('application/json')
					.send(text.slice(0, Math.ceil(text.length / 2)));
			}
			case 'slow': {
				const answer = await act();
				await new Promise((resolve) => setTimeout(resolve, fault.delayMs ?? 1_000));
				return await send(reply, answer);
			}
			default:
				return await send(reply, await act());
		}
	}

	private subjectOf(request: FastifyRequest, { promptOf }: CallOptions) {
		const { requestId } = (request.params ?? {}) as { requestId?: string };
		if (requestId === undefined) return { prompt: promptOf?.(request) ?? '' };
		return { requestId, prompt: this.store.jobs.get(requestId)?.prompt ?? '' };
	}

	private drop(reply: FastifyReply): FastifyReply {
		reply.hijack();
		reply.raw.destroy();
		return reply;
	}

	private hang(reply: FastifyReply): FastifyReply {
		reply.hijack();
		this.hanging.add(reply);
		reply.raw.on('close', () => this.hanging.delete(reply));
		return reply;
	}
}

async function send(reply: FastifyReply, { status, body, headers }: Answer): Promise<unknown> {
	reply.code(status);
	const isJson = typeof body === 'object' && body !== null && !Buffer.isBuffer(body);
	if (isJson) reply.type('application/json; charset=utf-8');
	return await reply.headers(headers ?? {}).send(isJson ? toJson(body) : body);
}
