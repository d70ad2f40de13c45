import type { JsonObject } from './json';
import {
	readBalance,
	readCatalogue,
	readCategories,
	readModelEntry,
	readModelPage,
	type Balance,
	type CatalogueAnswer,
	type ModelEntry,
	type ModelPage,
} from './models';
import { describeNoAnswer, unreachableProblem } from './problems';
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
	/** A paid POST is given long, because aborting it may lose the request id; the time for its upload comes on top. */
	submitMs: number;
	pollMs: number;
	cancelMs: number;
}

export const DEFAULT_CALL_TIMEOUTS: CallTimeouts = { submitMs: 60_000, pollMs: 30_000, cancelMs: 5_000 };

/** The slowest upload that is waited for, in bytes per second: 50 kB/s. */
const MIN_UPLOAD_RATE = 50_000;

export interface CallOptions {
	timeoutMs?: number;
	signal?: AbortSignal;
}

/** Where RunComfy's APIs are: checked, and without a slash at the end. Nothing is ever sent elsewhere. */
export interface ApiAddresses {
	baseUrl: string;
	/** Of the account, which lives on another host of RunComfy's. */
	platformBaseUrl: string;
}

/** Which part of the catalogue. */
export interface ModelQuery {
	search?: string;
	category?: string;
	/** 1 to 500. [assumed] */
	limit: number;
	offset: number;
}

/**
 * RunComfy's Model API over HTTP: one method a call, one attempt each. It knows nothing of n8n and of no particular
 * model, and it decides nothing: every method resolves to what the answer, or its absence, means.
 */
export class RunComfyClient {
	/** @param now milliseconds, for dates in Retry-After. */
	constructor(
		private readonly addresses: ApiAddresses,
		private readonly send: Send,
		private readonly now: () => number,
		private readonly timeouts: CallTimeouts = DEFAULT_CALL_TIMEOUTS,
	) {}

	/**
	 * Submits a job: the one call that costs money. The body is the input object itself (documented).
	 * @param modelId its slashes are path segments (documented).
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

	/** One poll: the state and, once finished, the result. Free; never rejects for a network error. */
	async getResult(requestId: string, includeCost: boolean, options: CallOptions = {}): Promise<PollAnswer> {
		return await this.poll(requestId, `/result${includeCost ? '?include_cost=true' : ''}`, options);
	}

	/** One poll: the state, with the place in the queue while there is one. Free. */
	async getStatus(requestId: string, options: CallOptions = {}): Promise<PollAnswer> {
		return await this.poll(requestId, '/status', options);
	}

	/** Asks to cancel a job, which RunComfy does only while it is queued. */
	async cancel(requestId: string, options: CallOptions = {}): Promise<CancelAnswer> {
		const path = `/v1/requests/${encodeURIComponent(requestId)}/cancel`;
		const timeoutMs = Math.min(options.timeoutMs ?? Infinity, this.timeouts.cancelMs);
		const answer = await this.call('POST', path, timeoutMs, options.signal);
		return answer instanceof NoAnswerError ? noAnswer(answer) : readCancel(answer, requestId, this.now());
	}

	/** One model of the catalogue, with its input schema and price. */
	async getModel(modelId: string, signal?: AbortSignal): Promise<CatalogueAnswer<ModelEntry>> {
		const what = `The model “${modelId}” could not be read`;
		const answer = await this.ask(modelPath(modelId), what, readModelEntry, signal);
		if (answer.kind !== 'refused' || answer.problem.isNotFound !== true) return answer;
		const message = `RunComfy has no model “${modelId}”`;
		const advice = 'Choose the model from the list, or copy its ID or address from its page on RunComfy.';
		return { ...answer, problem: { ...answer.problem, message, advice } };
	}

	/** A page of the catalogue. */
	async listModels(
		{ search = '', category = '', limit, offset }: ModelQuery,
		signal?: AbortSignal,
	): Promise<CatalogueAnswer<ModelPage>> {
		const query = Object.entries({ search, category, limit: String(limit), offset: String(offset) })
			.filter(([, value]) => value !== '')
			.map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
			.join('&');
		return await this.ask(
			`/v1/models?${query}`,
			'The list of models could not be read',
			readModelPage,
			signal,
		);
	}

	/** The names of the catalogue's categories. */
	async listCategories(signal?: AbortSignal): Promise<CatalogueAnswer<string[]>> {
		const what = 'The list of categories could not be read';
		return await this.ask('/v1/models/categories', what, readCategories, signal);
	}

	/** What is left on the account. */
	async getBalance(signal?: AbortSignal): Promise<CatalogueAnswer<Balance>> {
		const { platformBaseUrl } = this.addresses;
		const what = 'The balance could not be read';
		return await this.ask('/prod/v2/balance', what, readBalance, signal, platformBaseUrl);
	}

	/** A free question about catalogue or account. */
	private async ask<T>(
		path: string,
		what: string,
		read: (body: unknown) => T | undefined,
		signal: AbortSignal | undefined,
		baseUrl = this.addresses.baseUrl,
	): Promise<CatalogueAnswer<T>> {
		const answer = await this.call('GET', path, this.timeouts.pollMs, signal, undefined, baseUrl);
		if (!(answer instanceof NoAnswerError)) return readCatalogue(answer, this.now(), what, read);
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
				...(body === undefined ? {} : { body }),
				...(signal === undefined ? {} : { signal }),
			});
		} catch (error) {
			// Anything a transport throws unasked counts as a lost connection: for a paid POST the careful reading.
			return error instanceof NoAnswerError ? error : new NoAnswerError('lost');
		}
	}
}

function noAnswer(error: NoAnswerError) {
	const why = describeNoAnswer(error);
	return { kind: 'again', why, tooMany: false, retryAfterMs: undefined } as const;
}

/** About how many bytes a value takes as JSON: its texts, among them the files. */
function sizeOf(value: unknown): number {
	if (typeof value === 'string') return value.length;
	if (typeof value !== 'object' || value === null) return 0;
	return Object.values(value).reduce<number>((sum, part) => sum + sizeOf(part), 0);
}

/** The slashes of an id are segments of the path (documented). */
function modelPath(modelId: string): string {
	return `/v1/models/${modelId.split('/').map(encodeURIComponent).join('/')}`;
}
