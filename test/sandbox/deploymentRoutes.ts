import { isDeepStrictEqual } from 'node:util';

import type { FastifyInstance, FastifyRequest } from 'fastify';

import { error, type Answer, type Calls } from './calls';
import { isRecord, promptOfGraph, readGraph, runGraph, samplerError, type Graph } from './comfyUi';
import { DEPLOYMENT_ID, DEPLOYMENTS, type SandboxDeployment } from './deployments';
import type { JobFault } from './faults';
import type { FileServer } from './files';
import { stateOf, steadyNow, type JobInput, type Made } from './jobStore';
import { makeImage } from './media';
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

/** RunComfy's own clients use both. */
const PATH = '/prod/:version(^v[12]$)/deployments';
const BAD_TOKEN = error(401, 401001, 'The API token is invalid, expired or revoked.');

/** The API of ComfyUI deployments: the list, and requests to them. */
export class DeploymentRoutes {
	private readonly requests: RequestApi;
	private readonly all: SandboxDeployment[];
	/** When the first instance of a deployment is there. */
	private readonly warmFrom = new Map<string, number>();
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
			urlOf: ({ deploymentId, requestId }) =>
				`${origin()}/prod/v2/deployments/${deploymentId}/requests/${requestId}`,
			has: ({ deploymentId }, { params }) =>
				deploymentId === (params as { deploymentId: string }).deploymentId,
			// The documented words of a status have none for a failed request: its result tells.
			status: (job, state) => ({
				status: state === 'failed' ? 'completed' : state,
				...(state === 'in_progress'
					? {
							instance_id: `${job.deploymentId}-instance-1`,
							log_url: `${origin()}/logs/${job.requestId}.txt`,
						}
					: {}),
			}),
			succeeded: (job) => ({
				[job.graph === undefined ? 'output' : 'outputs']: job.made?.outputOf(files.urlsOf(job)),
			}),
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
		app.get('/logs/:requestId.txt', async () => 'loading\n 50%|#####     | 10/20 [00:05<00:05]\n');
		app.post(
			`${PATH}/:deploymentId/inference`,
			calls.on('submit', (request) => this.submit(request), {
				badToken: BAD_TOKEN,
				promptOf: (request) => promptOf(request, this.read(request).graph),
			}),
		);
	}

	private find({ params, method }: FastifyRequest): SandboxDeployment | Answer {
		const { deploymentId } = params as { deploymentId: string };
		if (deploymentId === DEPLOYMENT_ID.foreign)
			return error(403, 403003, 'You have no access to this deployment.');
		if (deploymentId === DEPLOYMENT_ID.deleted && method === 'POST')
			return error(403, 10003, 'The deployment was deleted.');
		return this.all.find(({ id }) => id === deploymentId) ?? error(404, 404001, 'No such deployment.');
	}

	private describe(deployment: SandboxDeployment, request: FastifyRequest) {
		const { workflow, overrides = {}, objectInfo: _objectInfo, ...entry } = deployment;
		const { includes } = request.query as { includes?: string };
		const { objectInfoUrl = `${this.origin()}/object-info/${entry.id}/object_info.json` } = this.options;
		const payload = {
			...(workflow === undefined ? {} : { workflow_api_json: new RawJson(workflow), overrides }),
			...(workflow === undefined || objectInfoUrl === null ? {} : { object_info_url: objectInfoUrl }),
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

	/** The graph that a submit asks for, without one for a LoRA, and what is wrong with the submit. */
	private read(request: FastifyRequest): { graph?: Graph; detail: Detail[] } {
		const deployment = this.find(request);
		const body = isRecord(request.body) ? request.body : {};
		if (isAnswer(deployment)) return { detail: [] };
		if (deployment.workflow === undefined) {
			const isValid = typeof body.prompt === 'string' && body.overrides === undefined;
			return { detail: isValid ? [] : [problemAt(['body', 'prompt'], 'A text is required.')] };
		}
		const { overrides, extra_data: extra = {}, ...others } = body;
		const { classes } = this.objectInfoOf(deployment);
		const saved = applyOverrides(readGraph(JSON.parse(deployment.workflow)), deployment.overrides, classes);
		const applied = applyOverrides(saved.graph, overrides, classes);
		const unknown = Object.keys(others).map((name) => problemAt(['body', name], 'There is no such field.'));
		if (!isRecord(extra)) unknown.push(problemAt(['body', 'extra_data'], 'It must be an object.'));
		return { graph: applied.graph, detail: [...unknown, ...applied.detail] };
	}

	private submit(request: FastifyRequest): Answer {
		const deployment = this.find(request);
		if (isAnswer(deployment)) return deployment;
		const { id } = deployment;
		if (!deployment.is_enabled) return error(403, 10002, 'The deployment is disabled.');
		if (this.queue.balanceUsd <= 0)
			return error(402, 10001, 'Your funds are used up. The deployment was disabled.');
		const { graph, detail } = this.read(request);
		if (detail.length > 0) return error(422, 422001, 'The request is invalid.', detail);
		const isUnchanged = graph !== undefined && this.hasRun(id, graph);
		const prompt = promptOf(request, graph);
		const bodyText = this.calls.bodyTexts.get(request) ?? '';
		return this.queue.submit(
			{
				runs: { deploymentId: id, bodyText, ...(graph === undefined ? {} : { graph }) },
				input: request.body as JobInput,
				prompt,
				costUsd: 0,
				startMs: this.waitForInstance(id),
				webhook: (request.query as { webhook?: string }).webhook,
				make: async (fault) =>
					graph === undefined ? await makeByLora(prompt) : await this.make(graph, fault, isUnchanged),
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

function promptOf({ body }: FastifyRequest, graph: Graph | undefined): string {
	if (graph !== undefined) return promptOfGraph(graph);
	return isRecord(body) && typeof body.prompt === 'string' ? body.prompt : '';
}

/** A LoRA answers as a model does. */
async function makeByLora(prompt: string): Promise<Made> {
	const bytes = await makeImage(prompt, 0);
	return {
		files: [{ bytes, mimeType: 'image/png', name: 'lora.png' }],
		outputOf: (urls) => ({ images: urls }),
	};
}

function isAnswer(found: SandboxDeployment | Answer): found is Answer {
	return 'body' in found;
}
