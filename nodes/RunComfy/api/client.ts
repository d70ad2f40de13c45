import type { Signal } from '../util/time';
import { type Balance, readBalance } from './account';
import {
	type Deployment,
	DEPLOYMENT_CODES,
	readDeployment,
	readDeploymentCancel,
	readDeploymentPoll,
	readDeployments,
} from './deployments';
import type { JsonObject } from './json';
import { type ModelEntry, type ModelPage, readCategories, readModelEntry, readModelPage } from './models';
import { describeNoAnswer, type ErrorCodes, unreachableProblem } from './problems';
import { type QueryAnswer, readQuery } from './query';
import {
	type CancelAnswer,
	type PollAnswer,
	readCancel,
	readPoll,
	readSubmit,
	type SubmitAnswer,
} from './responses';
import { type ApiAnswer, type ApiRequest, NoAnswerError, type Send } from './transport';

/** How long one call may take, in milliseconds. */
export interface CallTimeouts {
	/** Of a paid POST. Long, because aborting it may lose the request ID. The time for the upload is added to it. */
	submitMs: number;
	pollMs: number;
	cancelMs: number;
}

export const DEFAULT_CALL_TIMEOUTS: CallTimeouts = { submitMs: 60_000, pollMs: 30_000, cancelMs: 5_000 };

/** The slowest upload that the timeout allows for, in bytes per second. */
const MIN_UPLOAD_RATE = 50_000;

export interface CallOptions {
	timeoutMs?: number;
	signal?: Signal;
}

export interface PollOptions extends CallOptions {
	/** Whether the result should hold the cost, where RunComfy reports one. */
	includeCost?: boolean;
}

/** The base URLs of RunComfy's APIs: checked, and without a trailing slash. Nothing is ever sent elsewhere. */
export interface ApiAddresses {
	baseUrl: string;
	/** Of the balance and of deployments, which RunComfy runs on another host. */
	platformBaseUrl: string;
}

/** Which part of the catalog to list. */
export interface ModelQuery {
	search?: string;
	category?: string;
	/** 1 to 500 [assumed]. */
	limit: number;
	offset: number;
}

/**
 * RunComfy's Model API and its API of deployments, over HTTP. Each method makes one call, and makes it once: retries are up
 * to the caller. Every method resolves to the meaning of the answer, or of its absence. The client does not depend on n8n
 * or on a particular model.
 */
export class RunComfyClient {
	/** @param now the time of day in milliseconds, to read dates in Retry-After. */
	constructor(
		private readonly addresses: ApiAddresses,
		private readonly send: Send,
		private readonly now: () => number,
		private readonly timeouts: CallTimeouts = DEFAULT_CALL_TIMEOUTS,
	) {}

	/**
	 * Submits a job: the one call that costs money. The body is the input object itself (documented).
	 * @param modelId its slashes separate path segments (documented).
	 * @param signal aborts the call; the outcome is then unknown.
	 */
	async submit(modelId: string, input: JsonObject, signal?: Signal): Promise<SubmitAnswer> {
		return await this.post(this.modelUrl(modelId), input, signal);
	}

	/** One poll: the status and, once the job has finished, the result. Free. Never rejects because of a network error. */
	async getResult(requestId: string, options: PollOptions = {}): Promise<PollAnswer> {
		const query = options.includeCost === true ? '?include_cost=true' : '';
		const url = this.requestUrl(requestId, `/result${query}`);
		return await this.poll(url, requestId, options);
	}

	/** One poll: the status, with the position in the queue while the job is queued. Free. */
	async getStatus(requestId: string, options: CallOptions = {}): Promise<PollAnswer> {
		return await this.poll(this.requestUrl(requestId, '/status'), requestId, options);
	}

	/** Cancels a job. RunComfy cancels it only while it is queued (documented). */
	async cancel(requestId: string, options: CallOptions = {}): Promise<CancelAnswer> {
		return await this.postCancel(this.requestUrl(requestId, '/cancel'), requestId, options);
	}

	/** The catalog entry of one model, with its input schema and price. */
	async getModel(modelId: string, signal?: Signal): Promise<QueryAnswer<ModelEntry>> {
		const what = `The model “${modelId}” could not be read`;
		return await this.query(this.modelUrl(modelId), what, readModelEntry, signal);
	}

	/** A page of the catalog. */
	async listModels(
		{ search = '', category = '', limit, offset }: ModelQuery,
		signal?: Signal,
	): Promise<QueryAnswer<ModelPage>> {
		const filters = Object.entries({ search, category, limit: String(limit), offset: String(offset) })
			.filter(([, value]) => value !== '')
			.map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
			.join('&');
		return await this.query(
			`${this.addresses.baseUrl}/v1/models?${filters}`,
			'The list of models could not be read',
			readModelPage,
			signal,
		);
	}

	/** The names of the catalog's categories. */
	async listCategories(signal?: Signal): Promise<QueryAnswer<string[]>> {
		const what = 'The list of categories could not be read';
		return await this.query(`${this.addresses.baseUrl}/v1/models/categories`, what, readCategories, signal);
	}

	/** The remaining balance of the account. */
	async getBalance(signal?: Signal): Promise<QueryAnswer<Balance>> {
		const what = 'The balance could not be read';
		return await this.query(`${this.addresses.platformBaseUrl}/prod/v2/balance`, what, readBalance, signal);
	}

	/**
	 * All deployments of the account: RunComfy documents no pages.
	 * @param withGraphs whether each comes with its workflow, which makes the answer much larger.
	 */
	async listDeployments(withGraphs: boolean, signal?: Signal): Promise<QueryAnswer<Deployment[]>> {
		const what = 'The list of deployments could not be read';
		const url = this.deploymentUrl(undefined, withGraphs ? '?includes=payload' : '');
		return await this.query(url, what, readDeployments, signal, DEPLOYMENT_CODES);
	}

	/** One deployment with its workflow, and where the definitions of its nodes are. */
	async getDeployment(deploymentId: string, signal?: Signal): Promise<QueryAnswer<Deployment>> {
		const url = this.deploymentUrl(deploymentId, '?includes=payload');
		const what = `The deployment “${deploymentId}” could not be read`;
		return await this.query(url, what, readDeployment, signal, DEPLOYMENT_CODES);
	}

	/**
	 * Submits a request to a deployment, which costs money.
	 * @param body `overrides` by node ID (documented).
	 * @param signal aborts the call; the outcome is then unknown.
	 */
	async submitToDeployment(deploymentId: string, body: JsonObject, signal?: Signal): Promise<SubmitAnswer> {
		return await this.post(this.deploymentUrl(deploymentId, '/inference'), body, signal, DEPLOYMENT_CODES);
	}

	/** One poll of a deployment's request: the status and, once it has ended, its result. Free. */
	async getDeploymentResult(
		deploymentId: string,
		requestId: string,
		options: CallOptions = {},
	): Promise<PollAnswer> {
		const url = this.deploymentRequestUrl(deploymentId, requestId, '/result');
		return await this.poll(url, requestId, options, readDeploymentPoll);
	}

	/** One poll of a deployment's request: the status, with the position in the queue. Free. */
	async getDeploymentStatus(
		deploymentId: string,
		requestId: string,
		options: CallOptions = {},
	): Promise<PollAnswer> {
		const url = this.deploymentRequestUrl(deploymentId, requestId, '/status');
		return await this.poll(url, requestId, options, readDeploymentPoll);
	}

	/** Cancels a deployment's request, queued or running (documented). */
	async cancelDeploymentRequest(
		deploymentId: string,
		requestId: string,
		options: CallOptions = {},
	): Promise<CancelAnswer> {
		const url = this.deploymentRequestUrl(deploymentId, requestId, '/cancel');
		return await this.postCancel(url, requestId, options, readDeploymentCancel);
	}

	/** The slashes of an ID separate path segments (documented). */
	private modelUrl(modelId: string): string {
		return `${this.addresses.baseUrl}/v1/models/${modelId.split('/').map(encodeURIComponent).join('/')}`;
	}

	private requestUrl(requestId: string, path: string): string {
		return `${this.addresses.baseUrl}/v1/requests/${encodeURIComponent(requestId)}${path}`;
	}

	private deploymentUrl(deploymentId?: string, path = ''): string {
		const one = deploymentId === undefined ? '' : `/${encodeURIComponent(deploymentId)}`;
		return `${this.addresses.platformBaseUrl}/prod/v2/deployments${one}${path}`;
	}

	private deploymentRequestUrl(deploymentId: string, requestId: string, path: string): string {
		return this.deploymentUrl(deploymentId, `/requests/${encodeURIComponent(requestId)}${path}`);
	}

	/** The paid POST. */
	private async post(
		url: string,
		body: JsonObject,
		signal: Signal | undefined,
		codes?: ErrorCodes,
	): Promise<SubmitAnswer> {
		const uploadMs = Math.ceil((sizeOf(body) / MIN_UPLOAD_RATE) * 1_000);
		const timeoutMs = this.timeouts.submitMs + uploadMs;
		const answer = await this.call('POST', url, timeoutMs, signal, body);
		if (!(answer instanceof NoAnswerError)) return readSubmit(answer, this.now(), codes);
		if (answer.reason === 'unreachable') return { kind: 'unreachable', error: answer };
		if (answer.reason === 'untrusted') return { kind: 'refused', problem: unreachableProblem(answer) };
		return { kind: 'outcomeUnknown', why: describeNoAnswer(answer) };
	}

	/** A free query of the catalog, the account, or the deployments. */
	private async query<T>(
		url: string,
		what: string,
		read: (body: unknown) => T | undefined,
		signal: Signal | undefined,
		codes?: ErrorCodes,
	): Promise<QueryAnswer<T>> {
		const answer = await this.call('GET', url, this.timeouts.pollMs, signal);
		if (!(answer instanceof NoAnswerError)) return readQuery(answer, this.now(), what, read, codes);
		if (answer.reason === 'untrusted') {
			const { advice } = unreachableProblem(answer);
			const message = `${what}: ${describeNoAnswer(answer)}`;
			return { kind: 'refused', problem: { message, advice } };
		}
		return { kind: 'again', what, why: describeNoAnswer(answer), retryAfterMs: undefined };
	}

	private async poll(
		url: string,
		requestId: string,
		options: CallOptions,
		read: typeof readPoll = readPoll,
	): Promise<PollAnswer> {
		const timeoutMs = Math.min(options.timeoutMs ?? Infinity, this.timeouts.pollMs);
		const answer = await this.call('GET', url, timeoutMs, options.signal);
		if (!(answer instanceof NoAnswerError)) return read(answer, requestId, this.now());
		if (answer.reason === 'untrusted') {
			return { kind: 'refused', problem: unreachableProblem(answer, requestId) };
		}
		return noAnswer(answer);
	}

	private async postCancel(
		url: string,
		requestId: string,
		options: CallOptions,
		read: typeof readCancel = readCancel,
	): Promise<CancelAnswer> {
		const timeoutMs = Math.min(options.timeoutMs ?? Infinity, this.timeouts.cancelMs);
		const answer = await this.call('POST', url, timeoutMs, options.signal);
		return answer instanceof NoAnswerError ? noAnswer(answer) : read(answer, requestId, this.now());
	}

	private async call(
		method: ApiRequest['method'],
		url: string,
		timeoutMs: number,
		signal?: Signal,
		body?: JsonObject,
	): Promise<ApiAnswer | NoAnswerError> {
		try {
			return await this.send({ method, url, timeoutMs, body, signal });
		} catch (error) {
			// Any other error counts as a lost connection: a paid POST may then have been accepted, and is not sent again.
			return error instanceof NoAnswerError ? error : new NoAnswerError('lost');
		}
	}
}

function noAnswer(error: NoAnswerError) {
	const why = describeNoAnswer(error);
	return { kind: 'again', why, tooMany: false, retryAfterMs: undefined } as const;
}

/** The approximate size of a value as JSON, in bytes: only its texts count, because they include the files. */
function sizeOf(value: unknown): number {
	if (typeof value === 'string') return value.length;
	if (typeof value !== 'object' || value === null) return 0;
	return Object.values(value).reduce<number>((sum, part) => sum + sizeOf(part), 0);
}
