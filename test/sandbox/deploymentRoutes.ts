import { isDeepStrictEqual } from 'node:util';

import type { FastifyInstance, FastifyRequest } from 'fastify';

import { error, type Answer, type Calls } from './calls';
import { isRecord, promptOfGraph, readGraph, runGraph, samplerError, type Graph } from './comfyUi';
import { DEPLOYMENT_ID, DEPLOYMENTS, type SandboxDeployment } from './deployments';
import type { JobFault } from './faults';
import type { FileServer } from './files';
import { stateOf, steadyNow, type JobInput, type Made } from './jobStore';
import { OBJECT_INFO, paddedObjectInfo, readObjectInfo, type ObjectInfo } from './objectInfo';
import { applyOverrides, problemAt, type Detail } from './overrides';
import type { Queue, RequestApi } from './queue';
import { RawJson } from './rawJson';

export interface DeploymentOptions {
	pictures?: 'scene' | 'plain';
	/** How long the first request on each deployment waits for an instance, in milliseconds. */
	coldStartMs?: number;
	/** More deployments. */
	deployments?: SandboxDeployment[];
	/** The node definitions have at least this size. */
	objectInfoBytes?: number;
	/** Instead of the sandbox's own address of them; null leaves it out. */
	objectInfoUrl?: string | null;
}

const PATH = '/prod/v2/deployments';
const BAD_TOKEN = error(401, 401001, 'The API token is invalid, expired or revoked.');

/** The API of ComfyUI deployments: the list, and requests to them. */
export class DeploymentRoutes {
	private readonly requests: RequestApi;
	private readonly all: SandboxDeployment[];
	/** When the first instance of a deployment is there. */
	private readonly warmFrom = new Map<string, number>();
	/** The bodies of deployments' calls as they were sent. */
	private readonly bodyTexts = new WeakMap<object, string>();
	private readonly objectInfos = new Map<string, { bytes: Buffer; classes: ObjectInfo }>();

	constructor(
		private readonly calls: Calls,
		private readonly queue: Queue,
		private readonly files: FileServer,
		private readonly options: DeploymentOptions,
		private readonly origin: () => string,
	) {
		this.all = [...DEPLOYMENTS, ...(options.deployments ?? [])];
		this.requests = {
			badToken: BAD_TOKEN,
			route: `${PATH}/:deploymentId/requests/:requestId`,
			urlOf: ({ deploymentId, requestId }) => `${origin()}${PATH}/${deploymentId}/requests/${requestId}`,
			has: ({ deploymentId }, { params }) =>
				deploymentId === (params as { deploymentId: string }).deploymentId,
			// The documented words of a status have none for a failed request: its result tells.
			status: (job, state) => ({
				status: state === 'failed' ? 'completed' : state,
				...(state === 'in_progress' ? { instance_id: `${job.deploymentId}-instance-1` } : {}),
			}),
			succeeded: (job) => ({ outputs: job.made?.outputOf(files.urlsOf(job)) }),
			failed: ({ makingError, graph = {} }) => ({
				outputs: {},
				error: { type: 'execution_error', message: makingError ?? samplerError(graph) },
			}),
			isCancellable: (state) => state === 'in_queue' || state === 'in_progress',
		};
	}

	reset(): void {
		this.warmFrom.clear();
	}

	addRoutes(app: FastifyInstance): void {
		const { calls } = this;
		app.get(
			PATH,
			calls.on(
				'deployments',
				(request) => ({ status: 200, body: this.all.map((one) => this.describe(one, request)) }),
				{ badToken: BAD_TOKEN },
			),
		);
		app.get(
			`${PATH}/:deploymentId`,
			calls.on(
				'deployment',
				(request) => {
					const found = this.find(request);
					return isAnswer(found) ? found : { status: 200, body: this.describe(found, request) };
				},
				{ badToken: BAD_TOKEN },
			),
		);
		this.queue.addRoutes(app, this.requests);
		app.get('/object-info/:deploymentId/object_info.json', async (request, reply) => {
			const { stats } = calls.store;
			stats.objectInfoRequests++;
			if (request.headers.authorization !== undefined) stats.tokensAtObjectInfo++;
			const found = this.find(request);
			if (isAnswer(found)) return await reply.code(404).send('Not found');
			const file = { bytes: this.objectInfoOf(found).bytes, mimeType: 'application/json' };
			return await this.files.send(request, reply, 'objectInfo', {}, file);
		});
		app.register(async (withTexts) => {
			withTexts.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
				try {
					const body: unknown = JSON.parse(String(text));
					this.bodyTexts.set(request, String(text));
					done(null, body);
				} catch {
					done(Object.assign(new Error('The body is not JSON.'), { statusCode: 400 }));
				}
			});
			withTexts.post(
				`${PATH}/:deploymentId/inference`,
				calls.on('submit', (request) => this.submit(request), {
					badToken: BAD_TOKEN,
					promptOf: (request) => promptOfGraph(this.read(request).graph),
				}),
			);
		});
	}

	private find({ params }: FastifyRequest): SandboxDeployment | Answer {
		const { deploymentId } = params as { deploymentId: string };
		if (deploymentId === DEPLOYMENT_ID.foreign)
			return error(403, 403003, 'You have no access to this deployment.');
		return this.all.find(({ id }) => id === deploymentId) ?? error(404, 404001, 'No such deployment.');
	}

	private describe(deployment: SandboxDeployment, request: FastifyRequest) {
		const { workflow, objectInfo: _objectInfo, ...entry } = deployment;
		const { includes } = request.query as { includes?: string };
		const { objectInfoUrl = `${this.origin()}/object-info/${entry.id}/object_info.json` } = this.options;
		const payload = {
			workflow_api_json: new RawJson(workflow),
			overrides: {},
			...(objectInfoUrl === null ? {} : { object_info_url: objectInfoUrl }),
		};
		return { ...entry, ...(includes === 'payload' ? { payload } : {}) };
	}

	private objectInfoOf({ id, objectInfo = OBJECT_INFO }: SandboxDeployment) {
		const known = this.objectInfos.get(id);
		if (known !== undefined) return known;
		const bytes = Buffer.from(paddedObjectInfo(objectInfo, this.options.objectInfoBytes ?? 0));
		const made = { bytes, classes: readObjectInfo(objectInfo) };
		this.objectInfos.set(id, made);
		return made;
	}

	/** The graph that a submit asks for, and what is wrong with the submit. */
	private read(request: FastifyRequest): { graph: Graph; detail: Detail[] } {
		const deployment = this.find(request);
		const { body } = request;
		if (isAnswer(deployment)) return { graph: {}, detail: [] };
		const { overrides, ...others } = isRecord(body) ? body : {};
		const graph = readGraph(JSON.parse(deployment.workflow));
		const applied = applyOverrides(graph, overrides, this.objectInfoOf(deployment).classes);
		const unknown = Object.keys(others).map((name) => problemAt(['body', name], 'There is no such field.'));
		return { graph: applied.graph, detail: [...unknown, ...applied.detail] };
	}

	private submit(request: FastifyRequest): Answer {
		const deployment = this.find(request);
		if (isAnswer(deployment)) return deployment;
		const { id } = deployment;
		const { graph, detail } = this.read(request);
		// Which code a disabled deployment answers with is not documented.
		if (!deployment.is_enabled) {
			detail.unshift(problemAt(['path', 'deployment_id'], 'The deployment is disabled.'));
		}
		if (detail.length > 0) return error(422, 422001, 'The request is invalid.', detail);
		const isUnchanged = this.hasRun(id, graph);
		return this.queue.submit(
			{
				runs: { deploymentId: id, graph, bodyText: this.bodyTexts.get(request) ?? '' },
				input: request.body as JobInput,
				prompt: promptOfGraph(graph),
				costUsd: 0,
				startMs: this.waitForInstance(id),
				make: async (fault) => await this.make(graph, fault, isUnchanged),
			},
			this.requests,
		);
	}

	/** ComfyUI does not run again what has not changed. */
	private hasRun(deploymentId: string, graph: Graph): boolean {
		return [...this.calls.store.jobs.values()].some(
			(job) =>
				job.deploymentId === deploymentId &&
				!['failed', 'cancelled'].includes(stateOf(job)) &&
				isDeepStrictEqual(job.graph, graph),
		);
	}

	/** Milliseconds until the deployment has an instance; its first request starts one. */
	private waitForInstance(deploymentId: string): number {
		const now = steadyNow();
		const from = this.warmFrom.get(deploymentId) ?? now + (this.options.coldStartMs ?? 0);
		this.warmFrom.set(deploymentId, from);
		return Math.max(0, from - now);
	}

	private async make(graph: Graph, fault: JobFault | undefined, isUnchanged: boolean): Promise<Made> {
		if (fault === 'noUrl' || isUnchanged) return { files: [], outputOf: () => ({}) };
		const { pictures = 'scene' } = this.options;
		return await runGraph(graph, { pictures, ...(fault === 'manyImages' ? { images: 3 } : {}) });
	}
}

function isAnswer(found: SandboxDeployment | Answer): found is Answer {
	return 'body' in found;
}
