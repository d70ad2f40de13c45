import type { IExecuteFunctions } from 'n8n-workflow';

import { NoAnswerError, type ApiAnswer, type ApiRequest } from '../../nodes/RunComfy/api/call';
import { Http } from '../../nodes/RunComfy/api/http';
import { modelEndpoint, modelRequests } from '../../nodes/RunComfy/api/modelApi';
import { RunComfyError } from '../../nodes/RunComfy/api/problems';
import type { RequestIdentity } from '../../nodes/RunComfy/jobs/entry';
import { Ledger } from '../../nodes/RunComfy/jobs/ledger';
import { runItems } from '../../nodes/RunComfy/jobs/runItems';
import { ItemFailedError, type ItemOutcome, type ListedPrice } from '../../nodes/RunComfy/jobs/types';
import { createIdentities } from '../../nodes/RunComfy/n8n/identity';
import { runModel } from '../../nodes/RunComfy/operations/model/run';
import { findModelOutputProblem } from '../../nodes/RunComfy/operations/modelOutput';
import { FieldError, StoppedError } from '../../nodes/RunComfy/util/errors';
import { VirtualClock } from '../unit/virtualClock';

/**
 * A whole n8n execution in miniature, on a virtual clock: RunComfy as it really is, n8n's way of running the node again,
 * and between them the node's own queue, ledger, and budget. The model is what RunComfy holds; every promise is checked
 * against it, and against nothing that the node says of itself.
 */

export type SubmitFault =
	| 'tooMany'
	| 'refused'
	| 'lostBefore'
	| 'lostAfter'
	| 'hangAfter'
	| 'serverErrorAfter'
	| 'redirectAfter'
	| 'codeAfter'
	| 'noIdAfter'
	| 'unreachable';
export type PollFault = 'tooMany' | 'serverError' | 'lost' | 'notFound' | 'hang';

export type Event =
	| { do: 'turn' }
	| { do: 'retry' }
	| { do: 'call'; input: 'A' | 'B' }
	| { do: 'wait'; ms: number }
	| { do: 'submitFault'; fault: SubmitFault; retryAfter?: number; times?: number }
	| { do: 'pollFault'; fault: PollFault }
	| { do: 'cancelFault'; fault: 'tooMany' | 'serverError' | 'lost' }
	| { do: 'start'; nth: number }
	| { do: 'finish'; nth: number; withOutput: boolean }
	/** All that is queued or running is done. */
	| { do: 'finishAll' }
	| { do: 'fail'; nth: number; isCharged: boolean }
	/** The fields of an item become wrong, or right again. */
	| { do: 'break'; itemIndex: number }
	| { do: 'stop' }
	| RetryExecution
	| { do: 'clockJump'; ms: number };

/**
 * n8n's “Retry execution”, with the currently saved workflow: from the data of a failed one, in which files have other
 * names by then. The same data may be retried again.
 */
export interface RetryExecution {
	do: 'retryExecution';
	/** From the data that was retried before, although that has gone on since. */
	again: boolean;
	changesPrompt: boolean;
	/** How far the clock of the other process is ahead. */
	aheadMs: number;
}

export interface Settings {
	items: number;
	maxConcurrency: number;
	continueOnFail: boolean;
	limitUsd: number | undefined;
	/** As the catalog has it; undefined where it has none for each request. */
	listedUsd: number | undefined;
	/** The option “Expected Cost (USD)”. */
	expectedUsd: number | undefined;
	/** What requests really cost, one after another. */
	costsUsd: number[];
	timeoutMs: number;
}

const LATENCY_MS = 20;
const MIN_BACKOFF_MS = 400;
const NO_REQUEST_MS = 60_000;
/** The longest that a submit in flight, and then the cancel of what it brought, may take after Stop. */
const STOP_MS = 5_000;

interface RemoteRequest {
	id: string;
	/** Turn, item, and input: what must not be paid for twice. */
	key: string;
	state: 'queued' | 'running' | 'finished' | 'failed' | 'cancelled';
	submittedAt: number;
	/** What it costs if it is not free. */
	fullUsd: number;
	costUsd: number;
	hasOutput: boolean;
	/** The node has received the id. */
	isIdKnown: boolean;
	/** The node has been informed that it runs. */
	isRunKnown: boolean;
	/** When the answer with its cost was sent to the node; undefined before. */
	costSentAt?: number;
	/** It was submitted by a retry whose data another one does not have. */
	isForgotten?: true;
}

/** What is spent, requests of yet unknown cost, and what one more is expected to cost. */
interface Money {
	spent: number;
	open: number;
	expected: number | undefined;
}

interface NodeRun {
	key: string;
	runIndex: number;
	isTool: boolean;
	tries: number;
	state: 'running' | 'thrown' | 'withErrors' | 'succeeded';
	stopButton: AbortController;
	/** An item is wrong that has no request: nothing may be submitted for the others. */
	mustNotSubmit?: boolean;
}

/** A failed execution as n8n's database holds it. */
interface SavedExecution {
	data: string;
	run: NodeRun;
	nextRunIndex: number;
	/** How many requests there were, and submits that were lost. */
	requests: number;
	lost: number;
	at: number;
}

/** Calls of a tool with the same input are one request. */
function inputOf(key: string): string {
	const [call, input = '', , ...rest] = key.split(' ');
	return call === 'call' ? [call, input, ...rest].join(' ') : key;
}

export class Simulation {
	readonly clock = new VirtualClock();
	readonly requests: RemoteRequest[] = [];
	readonly written: string[] = [];
	readonly violations: string[] = [];
	private context: Record<string, unknown> = {};
	private saved: SavedExecution | undefined;
	private readonly broken = new Set<number>();
	private promptVersion = 0;
	private labels = 0;
	private readonly runs: NodeRun[] = [];
	private readonly running = new Set<Promise<void>>();
	private readonly faults = {
		submit: [] as Array<Extract<Event, { do: 'submitFault' }>>,
		poll: [] as PollFault[],
		cancel: [] as Array<'tooMany' | 'serverError' | 'lost'>,
	};
	/** Inputs of submits whose outcome the node cannot know, and that RunComfy never got. */
	private readonly lost: string[] = [];
	/** When a submit was last answered with “too many requests”. */
	private tooManyAt = -Infinity;
	private nextRunIndex = 0;
	private turns = 0;
	private calls = 0;
	private stoppedAt: number | undefined;
	private draws = 0;

	constructor(private readonly settings: Settings) {}

	async apply(event: Event): Promise<void> {
		switch (event.do) {
			case 'turn':
				if (!this.isMainBusy && !this.isMainOver) await this.openRun(`turn ${this.turns++}`, false);
				break;
			case 'call':
				if (this.stoppedAt === undefined) await this.openRun(`call ${event.input} ${this.calls++}`, true);
				break;
			case 'retry':
				for (const run of this.runs) if (this.mayRetry(run)) await this.startTry(run);
				break;
			case 'retryExecution':
				await this.retryExecution(event);
				break;
			case 'wait':
				await this.clock.advance(event.ms);
				break;
			case 'submitFault':
				for (let n = 0; n < (event.times ?? 1); n++) this.faults.submit.push(event);
				break;
			case 'pollFault':
				this.faults.poll.push(event.fault);
				break;
			case 'cancelFault':
				this.faults.cancel.push(event.fault);
				break;
			case 'start':
				this.change(event.nth, ['queued'], (request) => (request.state = 'running'));
				break;
			case 'finish':
				this.change(event.nth, ['running'], (request) => {
					request.state = 'finished';
					request.hasOutput = event.withOutput;
					request.costUsd = request.fullUsd;
				});
				break;
			case 'finishAll':
				for (const request of this.requests)
					if (request.state === 'queued' || request.state === 'running')
						Object.assign(request, { state: 'finished', hasOutput: true, costUsd: request.fullUsd });
				break;
			case 'break':
				if (!this.broken.delete(event.itemIndex)) this.broken.add(event.itemIndex);
				break;
			case 'fail':
				this.change(event.nth, ['running'], (request) => {
					request.state = 'failed';
					request.costUsd = event.isCharged ? request.fullUsd : 0;
				});
				break;
			case 'stop':
				this.stop();
				break;
			case 'clockJump':
				this.clock.jumpMs += event.ms;
		}
		await this.clock.advance(0);
	}

	/** Lets everything come to its end: jobs finish, n8n tries again until it gives up. */
	async finish(): Promise<void> {
		for (let round = 0; round < 12; round++) {
			await this.clock.advance(this.settings.timeoutMs + NO_REQUEST_MS);
			for (const request of this.requests) {
				if (request.state === 'running') Object.assign(request, { state: 'finished', hasOutput: true });
				if (request.state === 'queued') request.state = 'running';
				if (request.state === 'finished') request.costUsd = request.fullUsd;
			}
			for (const run of this.runs) if (this.mayRetry(run)) await this.startTry(run);
		}
		await this.clock.run(Promise.all(this.running));
		this.checkDoublePayment();
		this.checkLimit();
		this.checkIds();
		if (this.clock.sleeping !== 0) this.violations.push('something still sleeps after the end');
	}

	private get isMainBusy(): boolean {
		return this.runs.some(({ isTool, state }) => !isTool && state === 'running');
	}

	/** A thrown error that is not retried, or Stop, ends the workflow. */
	private get isMainOver(): boolean {
		return (
			this.stoppedAt !== undefined || this.runs.some(({ isTool, state }) => !isTool && state === 'thrown')
		);
	}

	private mayRetry({ state, tries }: NodeRun): boolean {
		return tries < 5 && (state === 'thrown' || state === 'withErrors');
	}

	private async openRun(key: string, isTool: boolean): Promise<void> {
		const run: NodeRun = {
			key,
			runIndex: this.nextRunIndex++,
			isTool,
			tries: 0,
			state: 'running',
			stopButton: new AbortController(),
		};
		this.runs.push(run);
		await this.startTry(run);
	}

	private async retryExecution({ again, changesPrompt, aheadMs }: RetryExecution): Promise<void> {
		const [failed] = this.runs.filter(({ isTool, state }) => !isTool && state === 'thrown').slice(-1);
		const isBusy = this.runs.some(({ state }) => state === 'running');
		if (isBusy || this.stoppedAt !== undefined) return;
		if (!again || this.saved === undefined) {
			if (failed === undefined) return;
			const data = JSON.stringify(this.context);
			const { nextRunIndex } = this;
			const [requests, lost] = [this.requests.length, this.lost.length];
			this.saved = { data, run: failed, nextRunIndex, requests, lost, at: this.clock.now() };
		}
		const { data, run, nextRunIndex, requests, lost, at } = this.saved;
		for (const request of this.requests) {
			if (this.requests.indexOf(request) >= requests) request.isForgotten = true;
			if ((request.costSentAt ?? 0) > at) delete request.costSentAt;
		}
		this.lost.length = lost;
		// Nobody runs what another execution has ended with.
		for (const one of this.runs) one.tries = Infinity;
		this.context = JSON.parse(data) as Record<string, unknown>;
		this.nextRunIndex = nextRunIndex;
		this.labels++;
		if (changesPrompt) this.promptVersion++;
		this.clock.jumpMs += aheadMs;
		this.runs.push({ ...run, tries: 0, state: 'thrown', stopButton: new AbortController() });
		const retried = this.runs.at(-1);
		if (retried !== undefined) await this.startTry(retried);
	}

	/** The node as n8n gives it to a try: what n8n changes is another one each time. */
	private nodeOf(run: NodeRun, count: number): IExecuteFunctions {
		const { key, isTool, tries } = run;
		const label = `Model ${this.labels}`;
		const items = Array.from({ length: count }, (_, n) => ({
			json: isTool
				? { prompt: key.split(' ')[1] ?? '', toolCallId: `${key} ${tries}` }
				: { n, list: Array.from({ length: tries }, () => 'not popped yet') },
			binary: { photo: { id: `filesystem:${this.labels}/${n}` } },
		}));
		const parameters = {
			resource: 'model',
			operation: 'run',
			modelId: { __rl: true, mode: tries % 2 === 0 ? 'id' : 'list', value: 'a/b', cachedResultName: label },
			inputs: {
				mappingMode: 'defineBelow',
				value: { prompt: `={{ $json.list.pop() }} ${this.promptVersion}` },
				schema: [{ id: 'prompt', displayName: label }],
			},
			options: { timeout: this.labels + 1 },
		};
		const node = {
			type: isTool ? 'n8n-nodes-runcomfy.runComfyTool' : 'n8n-nodes-runcomfy.runComfy',
			credentials: { runComfyApi: { id: '1', name: label } },
			parameters,
		};
		return {
			getNode: () => node,
			getInputData: () => items,
			getExecuteData: () => ({ source: 'the agent' }),
			getWorkflowDataProxy: (n: number) => ({ $thisItem: items[n] }),
		} as unknown as IExecuteFunctions;
	}

	private async startTry(run: NodeRun): Promise<void> {
		if (run.tries > 0 && run.isTool) {
			// After Stop, n8n does not call a tool again.
			if (this.stoppedAt !== undefined) return;
			run.runIndex = this.nextRunIndex++;
		}
		// A turn is retried only while it is the latest one.
		if (!run.isTool && this.runs.filter(({ isTool }) => !isTool).at(-1) !== run) return;
		run.tries++;
		run.state = 'running';
		const count = run.isTool ? 1 : this.settings.items;
		const identities = await createIdentities(this.nodeOf(run, count), run.runIndex, runModel.fields, count);
		const trying = this.try(run, identities).finally(() => this.running.delete(trying));
		this.running.add(trying);
	}

	private isBlocked({ key }: NodeRun): boolean {
		const isRequested = (itemIndex: number) => {
			const input = `${key}, item ${itemIndex} v${this.promptVersion}`;
			// What the node has not been told counts as there.
			const isThere = ({ state, costSentAt }: RemoteRequest) =>
				state !== 'failed' || costSentAt === undefined;
			return this.lost.includes(input) || this.known.some((one) => one.key === input && isThere(one));
		};
		return [...this.broken].some((index) => index < this.settings.items && !isRequested(index));
	}

	private async try(run: NodeRun, identities: Map<number, RequestIdentity>): Promise<void> {
		const { continueOnFail, maxConcurrency } = this.settings;
		run.mustNotSubmit = !continueOnFail && !run.isTool && this.isBlocked(run);
		const version = `v${this.promptVersion}`;
		const keyOf = (itemIndex: number) =>
			`${run.isTool ? run.key : `${run.key}, item ${itemIndex}`} ${version}`;
		const write = (message: string) => void this.written.push(message);
		const http = new Http(
			{ baseUrl: 'https://api.test', platformBaseUrl: 'https://account.test' },
			async (request) => await this.send(request),
			this.clock.timeOfDay,
		);
		const endpoint = modelEndpoint(http, 'a/b');
		const limits = { timeoutMs: this.settings.timeoutMs, pollIntervalMs: 1_000, includeCost: true };
		const handling = { waits: true, limits };
		const outcomes = await runItems(
			{
				requestApiOf: () => modelRequests(http),
				clock: this.clock,
				random: () => (this.draws = (this.draws + 0.37) % 1),
				log: { debug: () => {}, info: write, warn: write, notify: (_level, text) => write(text) },
				ledger: Ledger.of(this.context),
				runIndex: run.runIndex,
				stopSignal: run.stopButton.signal,
				maxConcurrency,
				cancelOnStop: true,
				continueOnFail: run.isTool ? false : continueOnFail,
				maxTries: 5,
				stopGraceMs: STOP_MS,
				limitUsd: this.settings.limitUsd,
			},
			identities,
			{
				count: identities.size,
				read: async (itemIndex) => {
					if (!run.isTool && this.broken.has(itemIndex)) throw new FieldError('Prompt', 'is wrong');
					return {
						endpoint,
						handling,
						// The expression of a prompt gives something else in every try.
						buildInput: async () => ({ key: keyOf(itemIndex), at: this.clock.now() }),
						inputBytes: 10,
						getPrice: async () => this.price,
						expectedUsd: this.settings.expectedUsd,
					};
				},
				readHandling: () => handling,
				findOutputProblem: (result) => findModelOutputProblem(result, 'image'),
				toOutput: async (_itemIndex, { requestId }) => requestId,
			},
		).catch((error: unknown) => {
			this.writeError(error);
			return undefined;
		});
		if (outcomes === undefined) {
			run.state = 'thrown';
			return;
		}
		this.checkPairing(outcomes, keyOf);
		// n8n runs the node again when the first item is an error.
		run.state = outcomes[0]?.ok === false ? 'withErrors' : 'succeeded';
	}

	private get price(): ListedPrice {
		const { listedUsd } = this.settings;
		return listedUsd === undefined ? { usd: 0.01, unit: 'second' } : { usd: listedUsd, unit: 'request' };
	}

	private writeError(error: unknown): void {
		if (error instanceof StoppedError) this.written.push(error.report);
		else if (error instanceof ItemFailedError) {
			this.written.push(error.others);
			this.writeError(error.reason);
		} else if (error instanceof RunComfyError) {
			const { message, advice } = error.problem;
			this.checkDenial(message);
			this.written.push(`${message} ${advice}`);
		} else if (!(error instanceof FieldError))
			this.violations.push(`an undocumented error: ${String(error)}`);
	}

	private checkPairing(outcomes: Array<ItemOutcome<string>>, keyOf: (itemIndex: number) => string): void {
		for (const [itemIndex, outcome] of outcomes.entries()) {
			if (!outcome.ok) {
				this.writeError(outcome.error);
				continue;
			}
			this.written.push(outcome.value);
			const request = this.requests.find(({ id }) => id === outcome.value);
			if (request === undefined || inputOf(request.key) !== inputOf(keyOf(itemIndex)))
				this.violations.push(`${keyOf(itemIndex)} got the result of ${request?.key ?? 'nothing'}`);
		}
	}

	private change(nth: number, from: string[], act: (request: RemoteRequest) => void): void {
		const candidates = this.requests.filter(({ state }) => from.includes(state));
		const request = candidates[nth % Math.max(1, candidates.length)];
		if (request !== undefined) act(request);
	}

	private stop(): void {
		if (this.stoppedAt !== undefined || this.runs.every(({ state }) => state !== 'running')) return;
		this.stoppedAt = this.clock.now();
		const cancellable = this.known.filter(({ isIdKnown, isRunKnown, state, key }) => {
			const run = this.runs.find((one) => one.state === 'running' && key.startsWith(one.key));
			if (run === undefined) return false;
			return state === 'queued' && isIdKnown && !isRunKnown;
		});
		for (const run of this.runs) run.stopButton.abort();
		this.clock.at(this.stoppedAt + STOP_MS, () => {
			for (const { id, state } of cancellable)
				if (state === 'queued' && this.requests.some((one) => one.id === id && one.state === 'queued'))
					this.violations.push(`${id} could have been cancelled after Stop`);
		});
	}

	private async send(request: ApiRequest): Promise<ApiAnswer> {
		const { pathname } = new URL(request.url);
		const [, id, call] = /^\/v1\/requests\/([^/]+)\/(\w+)$/.exec(pathname) ?? [];
		if (this.stoppedAt !== undefined && call !== 'cancel')
			this.violations.push(`${request.method} ${pathname} left after Stop`);
		if (request.method === 'POST' && call === undefined) return await this.submit(request);
		const found = this.requests.find((one) => one.id === id);
		return call === 'cancel' ? await this.cancel(request, found) : await this.poll(request, found);
	}

	private async latency(request: ApiRequest, ms = LATENCY_MS): Promise<void> {
		await this.clock.sleep(Math.min(ms, request.timeoutMs), request.signal);
		if (request.signal?.aborted === true) throw new NoAnswerError('stopped');
		if (ms > request.timeoutMs) throw new NoAnswerError('timeout');
	}

	private async submit(request: ApiRequest): Promise<ApiAnswer> {
		const key = String(request.body?.key);
		this.checkBeforeSubmit(key);
		if (this.runs.length === 1 && this.clock.now() - this.tooManyAt < MIN_BACKOFF_MS)
			this.violations.push('a submit left right after “too many requests”');
		const rule = this.faults.submit.shift();
		const fault = rule?.fault;
		const headers = rule?.retryAfter === undefined ? {} : { 'retry-after': String(rule.retryAfter) };
		if (fault === 'unreachable') throw new NoAnswerError('unreachable', 'ECONNREFUSED');
		if (fault === 'tooMany' || fault === 'refused') {
			await this.latency(request);
			if (fault === 'tooMany') this.tooManyAt = this.clock.now();
			return fault === 'tooMany'
				? { status: 429, headers, body: {} }
				: { status: 400, headers: {}, body: { error_code: 400002 } };
		}
		if (fault === 'lostBefore') {
			this.lost.push(inputOf(key));
			await this.latency(request);
			throw new NoAnswerError('lost');
		}
		const { costsUsd } = this.settings;
		const fullUsd = costsUsd[this.requests.length % costsUsd.length] ?? 1;
		const remote: RemoteRequest = {
			id: `req-${this.requests.length}`,
			key,
			state: 'queued',
			submittedAt: this.clock.now(),
			fullUsd,
			costUsd: fullUsd,
			hasOutput: true,
			isIdKnown: false,
			isRunKnown: false,
		};
		this.requests.push(remote);
		await this.latency(request, fault === 'hangAfter' ? Infinity : LATENCY_MS);
		switch (fault) {
			case 'lostAfter':
				throw new NoAnswerError('lost');
			case 'serverErrorAfter':
				return { status: 502, headers: {}, body: '<html>' };
			case 'redirectAfter':
				return { status: 303, headers: {}, body: '' };
			case 'codeAfter':
				return { status: 400, headers: {}, body: { error_code: 500001 } };
			case 'noIdAfter':
				return { status: 200, headers: {}, body: {} };
			default:
				remote.isIdKnown = true;
				return { status: 200, headers: {}, body: { request_id: remote.id } };
		}
	}

	private async poll(request: ApiRequest, remote: RemoteRequest | undefined): Promise<ApiAnswer> {
		const fault = this.faults.poll.shift();
		await this.latency(request, fault === 'hang' ? Infinity : LATENCY_MS);
		if (fault === 'lost') throw new NoAnswerError('lost');
		if (fault === 'tooMany') return { status: 429, headers: {}, body: {} };
		if (fault === 'serverError') return { status: 500, headers: {}, body: { error_code: 500001 } };
		const isNew = remote !== undefined && this.clock.now() - remote.submittedAt < 14_000;
		if (remote === undefined || (fault === 'notFound' && isNew))
			return { status: 404, headers: {}, body: { error_code: 404001 } };
		const { state, costUsd, hasOutput, id } = remote;
		if (state === 'running') remote.isRunKnown = true;
		if (state === 'finished' || state === 'failed') remote.costSentAt ??= this.clock.now();
		const word =
			{ queued: 'in_queue', running: 'in_progress', finished: 'succeeded' }[state as string] ?? state;
		const hasCost = state === 'finished' || state === 'failed';
		const output = state === 'finished' && hasOutput ? { image: `https://cdn.test/${id}.png` } : undefined;
		const body = { status: word, ...(hasCost ? { cost: costUsd } : {}), ...(output ? { output } : {}) };
		return { status: 200, headers: {}, body };
	}

	private async cancel(request: ApiRequest, remote: RemoteRequest | undefined): Promise<ApiAnswer> {
		const sinceStop = this.clock.now() - (this.stoppedAt ?? -Infinity);
		const fault = sinceStop < 2_000 ? this.faults.cancel.shift() : undefined;
		await this.latency(request);
		if (fault === 'lost') throw new NoAnswerError('lost');
		if (fault !== undefined) return { status: fault === 'tooMany' ? 429 : 503, headers: {}, body: {} };
		const wasQueued = remote?.state === 'queued';
		if (wasQueued) remote.state = 'cancelled';
		return { status: 202, headers: {}, body: { outcome: wasQueued ? 'cancelled' : 'not_cancellable' } };
	}

	/** The requests that the execution has data of. */
	private get known(): RemoteRequest[] {
		return this.requests.filter(({ isForgotten }) => isForgotten !== true);
	}

	private checkBeforeSubmit(key: string): void {
		const input = inputOf(key);
		const existing = this.known.filter(
			(one) => inputOf(one.key) === input && one.state !== 'failed' && one.state !== 'cancelled',
		);
		if (existing.length > 0 || this.lost.includes(input))
			this.violations.push(`${key} was submitted although it exists, or may exist`);
		const run = [...this.runs].reverse().find((one) => key.startsWith(`${one.key},`));
		if (run?.mustNotSubmit === true)
			this.violations.push(`${key} was submitted beside an item that is wrong`);
		const { limitUsd } = this.settings;
		if (limitUsd === undefined) return;
		// An answer of this very moment may have been read or not.
		const now = this.clock.now();
		const excesses = [now - 1, now].map((until) => this.findExcess(this.money(until), limitUsd));
		if (!excesses.includes(undefined)) this.violations.push(excesses.join('; '));
	}

	private findExcess({ spent, open, expected }: Money, limitUsd: number): string | undefined {
		if (expected === undefined) {
			if (open > 0) return 'a second request of unknown cost was submitted';
			return spent >= limitUsd ? `$${spent} is spent of $${limitUsd}` : undefined;
		}
		return spent + (open + 1) * expected > limitUsd + 1e-6
			? `$${spent} spent, ${open} running at $${expected}: one more exceeds $${limitUsd}`
			: undefined;
	}

	/** Nothing is refused that the limit pays for. Other items' reservations are not known here. */
	private checkDenial(message: string): void {
		const { limitUsd = Infinity, maxConcurrency } = this.settings;
		if (
			!message.includes('does not pay for it') ||
			maxConcurrency > 1 ||
			this.runs.some(({ isTool }) => isTool)
		)
			return;
		const { spent, open, expected } = this.money(this.clock.now());
		const next = expected === undefined ? spent + 1e-6 : spent + (open + this.lost.length + 1) * expected;
		if (next <= limitUsd - 1e-6)
			this.violations.push(`denied, though $${spent} is spent and ${open} run of $${limitUsd}`);
	}

	/** What the user or RunComfy says in advance that a request costs. */
	private get baseUsd(): number | undefined {
		const { listedUsd = 0, expectedUsd = 0 } = this.settings;
		const known = Math.max(listedUsd, expectedUsd);
		return known === 0 ? undefined : known;
	}

	/** What the node can know from the answers up to a moment. */
	private money(until: number): Money {
		const alreadySent = this.known.filter(({ state }) => state !== 'cancelled');
		const reported = alreadySent.filter(({ costSentAt = Infinity }) => costSentAt <= until);
		// A cost of 0 for a finished request says nothing.
		const said = reported.filter(({ costUsd, state }) => costUsd > 0 || state === 'failed');
		const spent = said.reduce((sum, { costUsd }) => sum + costUsd, 0);
		const { baseUsd } = this;
		const expected = baseUsd === undefined ? undefined : Math.max(baseUsd, ...said.map((one) => one.costUsd));
		return { spent, open: alreadySent.length - said.length, expected };
	}

	/** The limit holds but for one request's cost, and to the cent where the cost was known. */
	private checkLimit(): void {
		const { limitUsd, costsUsd } = this.settings;
		if (limitUsd === undefined) return;
		const paid = this.known.filter(({ state }) => state !== 'cancelled');
		const total = paid.reduce((sum, { costUsd }) => sum + costUsd, 0);
		const dearest = Math.max(...costsUsd);
		const { baseUsd } = this;
		const isTrue = baseUsd !== undefined && dearest <= baseUsd;
		if (isTrue && total > limitUsd + 1e-6) this.violations.push(`$${total} was spent of $${limitUsd}`);
		if (baseUsd === undefined && total > limitUsd + dearest)
			this.violations.push(`$${total} was spent of $${limitUsd}, more than one request's cost beyond`);
	}

	private checkDoublePayment(): void {
		const paid = new Map<string, number>();
		for (const { key, state } of this.known) {
			if (state === 'failed' || state === 'cancelled') continue;
			paid.set(inputOf(key), (paid.get(inputOf(key)) ?? 0) + 1);
		}
		for (const [input, count] of paid) {
			if (count > 1) this.violations.push(`${input} is paid for ${count} times`);
		}
	}

	private checkIds(): void {
		const text = this.written.join('\n');
		for (const { id, isIdKnown } of this.requests)
			if (isIdKnown && !new RegExp(`\\b${id}\\b`).test(text)) this.violations.push(`${id} is lost`);
	}
}
