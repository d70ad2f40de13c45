import fastify, { type FastifyInstance } from 'fastify';

import { Calls, error } from './calls';
import { MODEL_ID } from './catalog';
import { DeploymentRoutes, type DeploymentOptions } from './deploymentRoutes';
import { Faults, type FaultRule } from './faults';
import { FileServer } from './files';
import { JobStore, stateOf, type SandboxJob } from './jobStore';
import { ModelRoutes, type ModelOptions } from './modelRoutes';
import { Queue, type QueueOptions } from './queue';

/**
 * A fake of RunComfy's Model API, and of the API of its ComfyUI deployments, on loopback. It follows RunComfy's pages
 * where they are specific, and injects network and server faults on request. It calls no RunComfy server.
 */
export interface SandboxOptions extends QueueOptions, ModelOptions, DeploymentOptions {
	/** 0, the default, takes a free one. */
	port?: number;
	/** Size of a plain picture; large ones are made up while they are sent. */
	pictureBytes?: number;
	/** Decides fault rates. */
	seed?: number;
}

export const SANDBOX_TOKEN = 'sandbox-token';
export { MODEL_ID };

/** Room for a data URI of the largest input. */
const BODY_LIMIT = 110_000_000;

export class Sandbox {
	readonly faults: Faults;
	private readonly store = new JobStore();
	private readonly calls: Calls;
	private readonly queue: Queue;
	private readonly deployments: DeploymentRoutes;
	private readonly app: FastifyInstance;
	url = '';
	/** Of the latest call that had one. */
	lastBody: unknown;

	private constructor(options: SandboxOptions) {
		const origin = () => this.url;
		this.faults = new Faults(options.seed ?? 1);
		this.calls = new Calls(SANDBOX_TOKEN, this.faults, this.store);
		this.queue = new Queue(this.calls, options);
		const files = new FileServer(this.calls, options, origin);
		this.deployments = new DeploymentRoutes(this.calls, this.queue, files, options, origin);
		this.app = fastify({
			bodyLimit: BODY_LIMIT,
			forceCloseConnections: true,
			ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
		});
		this.app.setErrorHandler(
			({ statusCode: status = 500, message }: { statusCode?: number; message: string }, _request, reply) => {
				const answer = error(status, status === 500 ? 500001 : 422001, message);
				void reply.code(answer.status).send(answer.body);
			},
		);
		// RunComfy's own clients send this content type without a body, too.
		this.app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
			try {
				const body: unknown = text === '' ? undefined : JSON.parse(String(text));
				this.calls.bodyTexts.set(request, String(text));
				done(null, body);
			} catch {
				done(Object.assign(new Error('The body is not JSON.'), { statusCode: 400 }));
			}
		});
		// A page in the browser may reach this machine under a name of its own, and knows no token.
		this.app.addHook('onRequest', async ({ headers, url, hostname }, reply) => {
			const isOwnHost = ['127.0.0.1', 'localhost'].includes(hostname);
			const mayControl = !url.startsWith('/sandbox/') || headers.authorization === `Bearer ${SANDBOX_TOKEN}`;
			if (!isOwnHost) return await reply.code(421).send({ message: 'This host is not the sandbox.' });
			if (!mayControl) return await reply.code(401).send({ message: 'Send the sandbox’s token.' });
			return undefined;
		});
		this.app.addHook('preValidation', async ({ body }) => {
			if (body !== undefined) this.lastBody = body;
		});
		new ModelRoutes(this.calls, this.queue, files, options, origin).addRoutes(this.app);
		this.deployments.addRoutes(this.app);
		files.addRoutes(this.app);
		this.addOwnRoutes();
		this.app.addContentTypeParser('*', (_request, _payload, done) => done(null));
	}

	static async start(options: SandboxOptions = {}): Promise<Sandbox> {
		const sandbox = new Sandbox(options);
		sandbox.url = await sandbox.app.listen({ host: '127.0.0.1', port: options.port ?? 0 });
		return sandbox;
	}

	get stats() {
		return this.store.stats;
	}

	get jobs(): SandboxJob[] {
		return [...this.store.jobs.values()];
	}

	stateOf(requestId: string): string | undefined {
		const job = this.store.jobs.get(requestId);
		return job && stateOf(job);
	}

	/** Forgets jobs, counts and faults. */
	reset(): void {
		this.queue.reset();
		this.deployments.reset();
		this.faults.clear();
	}

	async close(): Promise<void> {
		this.calls.close();
		this.queue.close();
		await this.app.close();
	}

	/** The balance, and what is for tests only. */
	private addOwnRoutes(): void {
		const { app } = this;
		app.get(
			'/prod/v2/balance',
			this.calls.on('balance', () => ({
				status: 200,
				body: {
					balance_usd: this.queue.balanceUsd,
					balance_microdollars: Math.round(this.queue.balanceUsd * 1e6),
					currency: 'USD',
				},
			})),
		);
		app.get('/sandbox/stats', async () => this.stats);
		app.post('/sandbox/faults', async (request, reply) => {
			const rules = Array.isArray(request.body) ? request.body : [request.body];
			for (const rule of rules as FaultRule[]) this.faults.add(rule);
			return await reply.code(204).send();
		});
	}
}
