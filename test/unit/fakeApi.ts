import { NoAnswerError, type ApiAnswer, type ApiRequest, type Send } from '../../nodes/RunComfy/api/call';
import { Http } from '../../nodes/RunComfy/api/http';
import { modelEndpoint, modelRequests } from '../../nodes/RunComfy/api/modelApi';
import type { RequestIdentity } from '../../nodes/RunComfy/jobs/entry';
import { Ledger } from '../../nodes/RunComfy/jobs/ledger';
import { runItems, type SubmittingDependencies } from '../../nodes/RunComfy/jobs/runItems';
import { Turn } from '../../nodes/RunComfy/jobs/turn';
import type {
	ItemOutcome,
	ItemSource,
	JobRequest,
	ListedPrice,
	SubmittedJob,
	WaitLimits,
} from '../../nodes/RunComfy/jobs/types';
import { findModelOutputProblem } from '../../nodes/RunComfy/operations/modelOutput';
import { VirtualClock } from './virtualClock';

export const SECOND = 1_000;
const ADDRESSES = { baseUrl: 'https://api.test', platformBaseUrl: 'https://account.test' };

interface FakeJob {
	runsAt: number;
	endsAt: number;
	polls: number[];
	cancels: number;
	cancelled: boolean;
}

/** A fake job's milliseconds in the queue, and then running. */
export type Timing = { queueMs: number; runMs: number };

export const answer = (status: number, body: unknown, headers: Record<string, unknown> = {}): ApiAnswer => ({
	...{ status, body, headers },
});

export const ok = (body: unknown): ApiAnswer => answer(200, body);

/** “Too many requests” (429). */
export const tooMany = (retryAfter?: number | string): ApiAnswer =>
	answer(429, {}, retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) });

/** The HTTP of a fake API, which gets its calls through `send`. */
export function httpOf(send: Send, clock: VirtualClock): Http {
	return new Http(ADDRESSES, send, clock.now);
}

/** What a run needs of a fake API. */
type Connection = Pick<FakeApi, 'clock' | 'http'>;

/** RunComfy's queue in memory and on a virtual clock: exact, and without a wire. */
export class FakeApi {
	readonly jobs: FakeJob[] = [];
	/** Every call, with the moment at which it was made. */
	readonly calls: Array<{ at: number; method: string; path: string }> = [];
	latencyMs = 0;
	/** In USD, in results that include the cost; undefined while it is not known. */
	costOf: (jobNumber: number) => number | undefined = () => undefined;
	readonly http: Http;
	inFlight = 0;
	mostInFlight = 0;
	mostAlive = 0;
	/** Answers instead of the queue, when it gives something. */
	intercept: (request: ApiRequest, path: string) => ApiAnswer | 'hang' | NoAnswerError | undefined = () =>
		undefined;

	constructor(
		readonly clock: VirtualClock,
		private readonly timingOf: (jobNumber: number) => Timing,
	) {
		this.http = httpOf(async (request) => await this.send(request), clock);
	}

	send = async (request: ApiRequest): Promise<ApiAnswer> => {
		const path = request.url.replace('https://api.test', '');
		this.calls.push({ at: this.clock.now(), method: request.method, path });
		this.inFlight++;
		this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
		try {
			const instead = this.intercept(request, path);
			if (instead === 'hang') {
				await this.clock.sleep(request.timeoutMs, request.signal);
				throw new NoAnswerError(request.signal?.aborted === true ? 'stopped' : 'timeout');
			}
			await this.clock.sleep(this.latencyMs, request.signal);
			if (request.signal?.aborted === true) throw new NoAnswerError('stopped');
			if (instead instanceof NoAnswerError) throw instead;
			return instead ?? this.answer(request, path);
		} finally {
			this.inFlight--;
		}
	};

	countCalls(pattern: RegExp): number {
		return this.calls.filter(({ method, path }) => pattern.test(`${method} ${path}`)).length;
	}

	private answer(request: ApiRequest, path: string): ApiAnswer {
		const now = this.clock.now();
		if (request.method === 'POST' && path.startsWith('/v1/models/')) {
			const { queueMs, runMs } = this.timingOf(this.jobs.length);
			const job = {
				runsAt: now + queueMs,
				endsAt: now + queueMs + runMs,
				polls: [],
				cancels: 0,
				cancelled: false,
			};
			this.jobs.push(job);
			const alive = this.jobs.filter((other) => !other.cancelled && other.endsAt > now).length;
			this.mostAlive = Math.max(this.mostAlive, alive);
			return ok({ request_id: `job-${this.jobs.length - 1}` });
		}
		const [, id = '', call = ''] = /^\/v1\/requests\/job-(\d+)\/(\w+)/.exec(path) ?? [];
		const job = this.jobs[Number(id)];
		if (job === undefined) return { status: 404, headers: {}, body: { error_code: 404001 } };
		if (call === 'cancel') {
			job.cancels++;
			const outcome = now < job.runsAt && !job.cancelled ? 'cancelled' : 'not_cancellable';
			if (outcome === 'cancelled') job.cancelled = true;
			return ok({ outcome });
		}
		job.polls.push(now);
		const status = job.cancelled
			? 'cancelled'
			: now < job.runsAt
				? 'in_queue'
				: now < job.endsAt
					? 'in_progress'
					: 'succeeded';
		return ok({
			status,
			...(status === 'succeeded' && path.includes('include_cost') ? { cost: this.costOf(Number(id)) } : {}),
			...(status === 'succeeded' ? { output: { image: `https://cdn.test/${id}.png` } } : {}),
		});
	}
}

/** A fake API on its own virtual clock. */
export function setUp(timingOf: (jobNumber: number) => Timing) {
	const clock = new VirtualClock();
	return { clock, api: new FakeApi(clock, timingOf) };
}

export const LIMITS: WaitLimits = {
	timeoutMs: 600_000,
	pollIntervalMs: 1_000,
	includeCost: false,
};

export const PER_REQUEST: ListedPrice = { usd: 0.06, unit: 'request' };

export function request(
	api: Connection,
	itemIndex: number,
	limits: Partial<WaitLimits> = {},
	modelId = 'a/b',
): JobRequest {
	return {
		endpoint: modelEndpoint(api.http, modelId),
		handling: { waits: true, limits: { ...LIMITS, ...limits } },
		buildInput: async () => ({ prompt: `item ${itemIndex}` }),
		inputBytes: 10,
		getPrice: async () => PER_REQUEST,
	};
}

/** A run of the node over so many items, each the same in every try. */
export function openTurn(context: Record<string, unknown>, runIndex = 0, items = 100): Turn {
	return new Turn(Ledger.of(context), runIndex, placesOf(runIndex, items));
}

function placesOf(runIndex: number, items: number): Map<number, RequestIdentity> {
	return new Map(Array.from({ length: items }, (_, i) => [i, placeOf(runIndex, i)] as const));
}

/** An item of a run of the node. */
export function placeOf(runIndex: number, itemIndex: number, identity = 'prompt'): RequestIdentity {
	return { place: `${runIndex}:${itemIndex}`, identity, isCall: false };
}

/** A call of an AI agent, in whichever run. */
export function callOf(args: string): RequestIdentity {
	return { place: args, identity: 'prompt', isCall: true };
}

type RequestOf = (itemIndex: number) => JobRequest | Promise<JobRequest>;

export interface FakeRun {
	/** Runs the node over so many items. */
	start: (items: number, requestOf?: RequestOf) => Promise<Array<ItemOutcome<SubmittedJob>>>;
	stop: () => void;
	log: string[];
	context: Record<string, unknown>;
}

export function makeRun(
	api: Connection,
	more: Partial<SubmittingDependencies> = {},
	context: Record<string, unknown> = {},
	identityOf: (itemIndex: number) => RequestIdentity = (itemIndex) => placeOf(more.runIndex ?? 0, itemIndex),
): FakeRun {
	const stopButton = new AbortController();
	const log: string[] = [];
	const line = (message: string) => void log.push(message);
	const { clock } = api;
	const start: FakeRun['start'] = async (count, requestOf = (itemIndex) => request(api, itemIndex)) => {
		const { runIndex = 0 } = more;
		const source: ItemSource<JobRequest['handling'], SubmittedJob> = {
			count,
			read: async (itemIndex) => await requestOf(itemIndex),
			readHandling: (_itemIndex, saved) => {
				const { limits, ...handling } = saved as JobRequest['handling'];
				return { ...handling, limits: { ...limits, timeoutMs: LIMITS.timeoutMs } };
			},
			findOutputProblem: (result) => findModelOutputProblem(result, 'image'),
			toOutput: async (_itemIndex, job) => job,
		};
		const dependencies = {
			requestApiOf: () => modelRequests(api.http),
			clock,
			random: () => 0.5,
			ledger: Ledger.of(context),
			runIndex,
			log: { debug: () => {}, info: line, warn: line, notify: (_level: string, text: string) => line(text) },
			stopSignal: stopButton.signal,
			maxConcurrency: 10,
			cancelOnStop: true,
			continueOnFail: false,
			maxTries: 1,
			stopGraceMs: 5_000,
			limitUsd: undefined,
			...more,
		};
		const identities = Array.from({ length: count }, (_, i) => [i, identityOf(i)] as const);
		return await runItems(dependencies, new Map(identities), source);
	};
	return { start, stop: () => stopButton.abort(), log, context };
}

/** As n8n finds a parameter: `options.timeout` is the option of a collection. */
export function parameterAt(parameters: object, path: string): unknown {
	return path
		.split('.')
		.reduce<unknown>((found, name) => (found as Record<string, unknown>)?.[name], parameters);
}
