import { RunComfyClient } from '../../nodes/RunComfy/api/client';
import {
	NoAnswerError,
	type ApiAnswer,
	type ApiRequest,
	type Send,
} from '../../nodes/RunComfy/api/transport';
import type { JobRequest, WaitLimits } from '../../nodes/RunComfy/jobs/job';
import { Ledger, type LedgerTurn, type RequestIdentity } from '../../nodes/RunComfy/jobs/ledger';
import { Run, type RunDependencies } from '../../nodes/RunComfy/jobs/run';
import { modelEndpoint, modelRequests } from '../../nodes/RunComfy/models/endpoint';
import { findOutputProblem } from '../../nodes/RunComfy/operations/shared/finishedOutput';
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

export const ok = (body: unknown): ApiAnswer => ({ status: 200, headers: {}, body });

/** “Too many requests” (429). */
export const tooMany = (retryAfter?: number | string): ApiAnswer => ({
	status: 429,
	headers: retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) },
	body: {},
});

/** The client of a fake API, which gets its calls through `send`. */
export function clientOf(send: Send, clock: VirtualClock): RunComfyClient {
	return new RunComfyClient(ADDRESSES, send, clock.now);
}

/** What a run needs of a fake API. */
type Connection = Pick<FakeApi, 'clock' | 'client'>;

/** RunComfy's queue in memory and on a virtual clock: exact, and without a wire. */
export class FakeApi {
	readonly jobs: FakeJob[] = [];
	/** Every call, with the moment at which it was made. */
	readonly calls: Array<{ at: number; method: string; path: string }> = [];
	latencyMs = 0;
	/** In USD, in results that include the cost; undefined while it is not known. */
	costOf: (jobNumber: number) => number | undefined = () => undefined;
	readonly client: RunComfyClient;
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
		this.client = clientOf(async (request) => await this.send(request), clock);
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

export function request(
	api: Connection,
	itemIndex: number,
	limits: Partial<WaitLimits> = {},
	modelId = 'a/b',
): JobRequest {
	return {
		endpoint: modelEndpoint(api.client, modelId),
		buildInput: async () => ({ prompt: `item ${itemIndex}` }),
		inputBytes: 10,
		waits: true,
		limits: { ...LIMITS, ...limits },
		findOutputProblem: (result) => findOutputProblem(result, true),
	};
}

/** A run of the node over so many items, each the same in every try. */
export function openTurn(context: Record<string, unknown>, runIndex = 0, items = 1_000): LedgerTurn {
	const all = Array.from({ length: items }, (_, i) => [i, placeOf(runIndex, i)] as const);
	return Ledger.of(context).openTurn(runIndex, new Map(all));
}

/** An item of a run of the node. */
export function placeOf(runIndex: number, itemIndex: number, identity = 'prompt'): RequestIdentity {
	return { place: `${runIndex}:${itemIndex}`, identity, isCall: false };
}

/** A call of an AI agent, in whichever run. */
export function callOf(args: string): RequestIdentity {
	return { place: args, identity: 'prompt', isCall: true };
}

export interface FakeRun {
	run: Run;
	stop: () => void;
	log: string[];
	context: Record<string, unknown>;
	turn: LedgerTurn;
}

export function makeRun(
	api: Connection,
	more: Partial<RunDependencies> = {},
	context: Record<string, unknown> = {},
): FakeRun {
	const stopButton = new AbortController();
	const log: string[] = [];
	const line = (message: string) => void log.push(message);
	const { clock } = api;
	const turn = openTurn(context);
	const run = new Run({
		requestApiOf: () => modelRequests(api.client),
		clock,
		random: () => 0.5,
		turn,
		log: { debug: () => {}, info: line, warn: line },
		stopSignal: stopButton.signal,
		maxConcurrency: 10,
		cancelOnStop: true,
		continueOnFail: false,
		retriesOnFail: false,
		stopGraceMs: 5_000,
		...more,
	});
	return { run, stop: () => stopButton.abort(), log, context, turn };
}
