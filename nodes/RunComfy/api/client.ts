import { omitUndefined } from '../common/omitUndefined';
import { readBalance, type Balance } from './account';
import type { JsonObject } from './json';
import { readCategories, readModelEntry, readModelPage, type ModelEntry, type ModelPage } from './models';
import { describeNoAnswer, unreachableProblem } from './problems';
import { readQuery, type QueryAnswer } from './query';
import {
	readCancel,
	readPoll,
	readSubmit,
	type CancelAnswer,
	type PollAnswer,
	type SubmitAnswer,
} from './responses';
import { NoAnswerError, type ApiAnswer, type ApiRequest, type Send } from './transport';

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
	signal?: AbortSignal;
}

/** The base URLs of RunComfy's APIs: checked, and without a trailing slash. Nothing is ever sent elsewhere. */
export interface ApiAddresses {
	baseUrl: string;
	/** Of the account API, which RunComfy runs on another host. */
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
 * RunComfy's Model API over HTTP. Each method makes one call, and makes it once: retries are up to the caller. Every method
 * resolves to the meaning of the answer, or of its absence. The client does not depend on n8n or on a particular model.
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
	async submit(modelId: string, input: JsonObject, signal?: AbortSignal): Promise<SubmitAnswer> {
		const uploadMs = Math.ceil((sizeOf(input) / MIN_UPLOAD_RATE) * 1_000);
		const timeoutMs = this.timeouts.submitMs + uploadMs;
		const answer = await this.call('POST', modelPath(modelId), timeoutMs, signal, input);
		if (!(answer instanceof NoAnswerError)) return readSubmit(answer, this.now());
		if (answer.reason === 'unreachable') return { kind: 'unreachable', error: answer };
		if (answer.reason === 'untrusted') return { kind: 'refused', problem: unreachableProblem(answer) };
		return { kind: 'outcomeUnknown', why: describeNoAnswer(answer) };
	}

	/** One poll: the status and, once the job has finished, the result. Free. Never rejects because of a network error. */
	async getResult(requestId: string, includeCost: boolean, options: CallOptions = {}): Promise<PollAnswer> {
		return await this.poll(requestId, `/result${includeCost ? '?include_cost=true' : ''}`, options);
	}

	/** One poll: the status, with the position in the queue while the job is queued. Free. */
	async getStatus(requestId: string, options: CallOptions = {}): Promise<PollAnswer> {
		return await this.poll(requestId, '/status', options);
	}

	/** Cancels a job. RunComfy cancels it only while it is queued (documented). */
	async cancel(requestId: string, options: CallOptions = {}): Promise<CancelAnswer> {
		const path = `/v1/requests/${encodeURIComponent(requestId)}/cancel`;
		const timeoutMs = Math.min(options.timeoutMs ?? Infinity, this.timeouts.cancelMs);
		const answer = await this.call('POST', path, timeoutMs, options.signal);
		return answer instanceof NoAnswerError ? noAnswer(answer) : readCancel(answer, requestId, this.now());
	}

	/** The catalog entry of one model, with its input schema and price. */
	async getModel(modelId: string, signal?: AbortSignal): Promise<QueryAnswer<ModelEntry>> {
		const what = `The model “${modelId}” could not be read`;
		return await this.query(modelPath(modelId), what, readModelEntry, signal);
	}

	/** A page of the catalog. */
	async listModels(
		{ search = '', category = '', limit, offset }: ModelQuery,
		signal?: AbortSignal,
	): Promise<QueryAnswer<ModelPage>> {
		const filters = Object.entries({ search, category, limit: String(limit), offset: String(offset) })
			.filter(([, value]) => value !== '')
			.map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
			.join('&');
		return await this.query(
			`/v1/models?${filters}`,
			'The list of models could not be read',
			readModelPage,
			signal,
		);
	}

	/** The names of the catalog's categories. */
	async listCategories(signal?: AbortSignal): Promise<QueryAnswer<string[]>> {
		const what = 'The list of categories could not be read';
		return await this.query('/v1/models/categories', what, readCategories, signal);
	}

	/** The remaining balance of the account. */
	async getBalance(signal?: AbortSignal): Promise<QueryAnswer<Balance>> {
		const { platformBaseUrl } = this.addresses;
		const what = 'The balance could not be read';
		return await this.query('/prod/v2/balance', what, readBalance, signal, platformBaseUrl);
	}

	/** A free query of the catalog or the account. */
	private async query<T>(
		path: string,
		what: string,
		read: (body: unknown) => T | undefined,
		signal: AbortSignal | undefined,
		baseUrl = this.addresses.baseUrl,
	): Promise<QueryAnswer<T>> {
		const answer = await this.call('GET', path, this.timeouts.pollMs, signal, undefined, baseUrl);
		if (!(answer instanceof NoAnswerError)) return readQuery(answer, this.now(), what, read);
		if (answer.reason === 'untrusted') {
			const { advice } = unreachableProblem(answer);
			const message = `${what}: ${describeNoAnswer(answer)}`;
			return { kind: 'refused', problem: { message, advice } };
		}
		return { kind: 'again', what, why: describeNoAnswer(answer), retryAfterMs: undefined };
	}

	private async poll(requestId: string, path: string, options: CallOptions): Promise<PollAnswer> {
		const timeoutMs = Math.min(options.timeoutMs ?? Infinity, this.timeouts.pollMs);
		const answer = await this.call(
			'GET',
			`/v1/requests/${encodeURIComponent(requestId)}${path}`,
			timeoutMs,
			options.signal,
		);
		if (!(answer instanceof NoAnswerError)) return readPoll(answer, requestId, this.now());
		if (answer.reason === 'untrusted') {
			return { kind: 'refused', problem: unreachableProblem(answer, requestId) };
		}
		return noAnswer(answer);
	}

	private async call(
		method: ApiRequest['method'],
		path: string,
		timeoutMs: number,
		signal?: AbortSignal,
		body?: JsonObject,
		baseUrl = this.addresses.baseUrl,
	): Promise<ApiAnswer | NoAnswerError> {
		try {
			return await this.send({
				method,
				url: `${baseUrl}${path}`,
				timeoutMs,
				...omitUndefined({ body, signal }),
			});
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

/** The slashes of an ID separate path segments (documented). */
function modelPath(modelId: string): string {
	return `/v1/models/${modelId.split('/').map(encodeURIComponent).join('/')}`;
}
