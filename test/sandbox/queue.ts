import type { FastifyInstance, FastifyRequest } from 'fastify';
import { request as send } from 'undici';

import { error, type Answer, type Calls, type CallOptions } from './calls';
import type { Graph } from './comfyUi';
import type { JobFault } from './faults';
import {
	isAlive,
	stateOf,
	steadyNow,
	timeText,
	type JobInput,
	type JobState,
	type Made,
	type SandboxJob,
} from './jobStore';

/** Milliseconds: fixed, or by the job's number (in order of arrival) and prompt. */
export type Duration = number | ((jobNumber: number, prompt: string) => number);

export interface QueueOptions {
	/** How long a job is queued, and how long it then runs. */
	queueMs?: Duration;
	runMs?: Duration;
	balanceUsd?: number;
	/** The id of each request, by its number; otherwise a random one. */
	requestId?: (jobNumber: number) => string | number;
}

/** What is submitted: the input of a model, or of a deployment. */
export interface Submission {
	runs: { modelId: string } | { deploymentId: string; graph?: Graph; bodyText: string };
	input: JobInput;
	/** By which tests know the job. */
	prompt: string;
	costUsd: number;
	/** Before it is queued: a cold start. */
	startMs?: number;
	/** Is called when the job ends, as often as it takes. */
	webhook?: string | undefined;
	/** Makes the product while the job runs. */
	make(fault: JobFault | undefined): Promise<Made>;
}

/**
 * What differs between the requests of models and of deployments; everything else about status, result and cancel is the
 * same.
 */
export interface RequestApi extends Pick<CallOptions, 'badToken'> {
	/** The route of one request, and its address. */
	route: string;
	urlOf(job: SandboxJob): string;
	/** Whether a call of this API may see the job. */
	has(job: SandboxJob, request: FastifyRequest): boolean;
	/** The status word, and what goes with it. */
	status(job: SandboxJob, state: JobState): object;
	/** How a result says that the request has succeeded or failed. */
	succeeded(job: SandboxJob, request?: FastifyRequest): object;
	failed(job: SandboxJob, request?: FastifyRequest): object;
	isCancellable(state: JobState): boolean;
}

const WEBHOOK_PAUSE_MS = 50;

/** Accepts jobs, and answers what becomes of them, for models and for deployments. */
export class Queue {
	private count = 0;
	private isClosed = false;
	balanceUsd: number;

	constructor(
		private readonly calls: Calls,
		private readonly options: QueueOptions,
	) {
		this.balanceUsd = options.balanceUsd ?? 100;
	}

	reset(): void {
		this.calls.store.clear();
		this.count = 0;
		this.balanceUsd = this.options.balanceUsd ?? 100;
	}

	close(): void {
		this.isClosed = true;
	}

	/** Accepts a job and answers with its request id, as `api` addresses it. */
	submit({ runs, make, startMs = 0, ...work }: Submission, api: RequestApi): Answer {
		if (this.balanceUsd < work.costUsd) return error(402, 400002, 'Insufficient balance.');
		this.balanceUsd -= work.costUsd;
		const number = this.count++;
		const now = steadyNow();
		const duration = (ms: Duration = 0) => (typeof ms === 'function' ? ms(number, work.prompt) : ms);
		const runsAt = now + startMs + duration(this.options.queueMs ?? 400);
		const fault = this.calls.faults.forJob(work.prompt);
		const requestId = this.options.requestId?.(number);
		const job = this.calls.store.add({
			...runs,
			...work,
			submittedAt: now,
			runsAt,
			endsAt: runsAt + duration(this.options.runMs ?? 800),
			...(fault === undefined ? {} : { fault }),
			product: make(fault),
			requestId,
		});
		const url = api.urlOf(job);
		if (work.webhook !== undefined) void this.callWebhook(work.webhook, job, api);
		return {
			status: 200,
			body: {
				request_id: requestId ?? job.requestId,
				status_url: `${url}/status`,
				result_url: `${url}/result`,
				cancel_url: `${url}/cancel`,
			},
		};
	}

	/** Adds the calls about one request. */
	addRoutes(app: FastifyInstance, api: RequestApi): void {
		const { calls } = this;
		const find = (request: FastifyRequest) => {
			const job = calls.store.jobs.get((request.params as { requestId: string }).requestId);
			return job && api.has(job, request) ? job : undefined;
		};
		const on = (
			kind: 'status' | 'result' | 'cancel',
			counted: 'statusPolls' | 'resultPolls' | 'cancels',
			act: (job: SandboxJob, request: FastifyRequest) => Answer,
		) =>
			calls.on(
				kind,
				(request) => {
					calls.store.stats[counted]++;
					const job = find(request);
					return job ? act(job, request) : error(404, 404001, 'No such request.');
				},
				api,
			);
		app.get(
			`${api.route}/status`,
			on('status', 'statusPolls', (job) => this.status(job, api)),
		);
		app.get(
			`${api.route}/result`,
			on('result', 'resultPolls', (job, request) => this.result(job, api, request)),
		);
		app.post(
			`${api.route}/cancel`,
			on('cancel', 'cancels', (job) => this.cancel(job, api)),
		);
	}

	private status(job: SandboxJob, api: RequestApi): Answer {
		job.statusPolls++;
		const state = stateOf(job);
		return {
			status: 200,
			body: {
				request_id: job.requestId,
				...api.status(job, state),
				...(state === 'in_queue' ? { queue_position: this.calls.store.queuePosition(job) } : {}),
				status_url: `${api.urlOf(job)}/status`,
				result_url: `${api.urlOf(job)}/result`,
			},
		};
	}

	private result(job: SandboxJob, api: RequestApi, request: FastifyRequest): Answer {
		job.polls++;
		if (stateOf(job) === 'completed') job.deliveredAt ??= steadyNow();
		return { status: 200, body: this.resultOf(job, api, request) };
	}

	private resultOf(job: SandboxJob, api: RequestApi, request?: FastifyRequest): object {
		const { requestId, submittedAt, endsAt, cancelledAt } = job;
		const state = stateOf(job);
		const base = { request_id: requestId, created_at: timeText(submittedAt) };
		const finished = { finished_at: timeText(cancelledAt ?? endsAt) };
		if (state === 'completed')
			return { ...base, status: 'succeeded', ...api.succeeded(job, request), ...finished };
		if (state === 'failed') return { ...base, status: 'failed', ...api.failed(job, request), ...finished };
		return { ...base, status: state, ...(state === 'cancelled' ? finished : {}) };
	}

	/** Calls a webhook when a job has ended, with what its result says, and again until it is answered with success. */
	private async callWebhook(url: string, job: SandboxJob, api: RequestApi): Promise<void> {
		for (let isDelivered = false; !isDelivered && !this.isClosed;) {
			await new Promise((resolve) => void setTimeout(resolve, WEBHOOK_PAUSE_MS).unref());
			if (this.isClosed || isAlive(stateOf(job))) continue;
			const body = JSON.stringify({ ...this.resultOf(job, api), deployment_id: job.deploymentId });
			const headers = { 'content-type': 'application/json' };
			isDelivered = await send(url, { method: 'POST', headers, body }).then(
				async (answer) => {
					await answer.body.dump();
					return answer.statusCode < 300;
				},
				() => false,
			);
		}
	}

	private cancel(job: SandboxJob, api: RequestApi): Answer {
		job.cancels++;
		const isCancelled = api.isCancellable(stateOf(job));
		if (isCancelled) {
			job.cancelledAt = steadyNow();
			this.balanceUsd += job.costUsd;
			this.calls.store.stats.cancelled++;
		}
		const outcome = isCancelled ? 'cancelled' : 'not_cancellable';
		return { status: 202, body: { request_id: job.requestId, status: 'completed', outcome } };
	}
}
