import type { ApiAnswer } from '../../nodes/RunComfy/api/call';
import type { ItemOutcome } from '../../nodes/RunComfy/jobs/types';
import { seededRandom } from '../sandbox/random';
import { FakeApi, httpOf, makeRun, tooMany } from '../unit/fakeApi';
import { VirtualClock } from '../unit/virtualClock';

/**
 * Many executions on one account, as the workers of queue mode run them: independent runs that know nothing of each
 * other, against a rate limit that RunComfy counts for the account as a whole.
 */
const LATENCY_MS = 100;

export interface SharedAccount {
	executions: number;
	itemsEach: number;
	/** How the account counts its calls. Refused calls do not count. */
	limit: RateLimit;
	/** Seconds that every “too many requests” names; undefined when it names none. */
	retryAfter: number | undefined;
}

/** @returns whether the account takes one more call. */
export type RateLimit = (now: number) => boolean;

/** A bucket for the calls of one second that is refilled steadily. */
export function tokenBucket(perSecond: number): RateLimit {
	let tokens = perSecond;
	let filledAt = 0;
	return (now) => {
		tokens = Math.min(perSecond, tokens + ((now - filledAt) / 1_000) * perSecond);
		filledAt = now;
		if (tokens < 1) return false;
		tokens--;
		return true;
	};
}

/** So many calls in each second, which begins for everybody at the same moment. */
export function fixedWindow(perSecond: number): RateLimit {
	let second = -1;
	let left = 0;
	return (now) => {
		const current = Math.floor(now / 1_000);
		if (current !== second) [second, left] = [current, perSecond];
		if (left <= 0) return false;
		left--;
		return true;
	};
}

export interface ExecutionReport {
	outcomes: Array<ItemOutcome<string>>;
	/** When it was done, in milliseconds. */
	endedAt: number;
	/** The longest time without an accepted call. */
	longestSilenceMs: number;
}

export interface AccountReport {
	executions: ExecutionReport[];
	/** Of all accepted calls, in milliseconds. */
	acceptedAt: number[];
	refused: number;
	/** The requests that RunComfy holds. */
	submitted: number;
	pollsOf: number[];
	/** Submits of each item, the refused ones included. */
	submitsOf: Map<string, number>;
}

export async function runSharedAccount(options: SharedAccount): Promise<AccountReport> {
	const { executions, itemsEach, limit, retryAfter } = options;
	const random = seededRandom(1);
	const clock = new VirtualClock();
	const api = new FakeApi(clock, () => ({ queueMs: 0, runMs: 10_000 + random() * 20_000 }));
	api.latencyMs = LATENCY_MS;
	const acceptedAt: number[] = [];
	const submitsOf = new Map<string, number>();
	let refused = 0;

	const execute = async (number: number): Promise<ExecutionReport> => {
		let lastAt = clock.now();
		const report: ExecutionReport = {
			outcomes: [],
			endedAt: 0,
			longestSilenceMs: 0,
		};
		const send = async (call: Parameters<FakeApi['send']>[0]): Promise<ApiAnswer> => {
			if (call.method === 'POST') {
				const item = `${number} ${JSON.stringify(call.body)}`;
				submitsOf.set(item, (submitsOf.get(item) ?? 0) + 1);
			}
			const now = clock.now();
			if (limit(now)) {
				acceptedAt.push(now);
				report.longestSilenceMs = Math.max(report.longestSilenceMs, now - lastAt);
				lastAt = now;
				return await api.send(call);
			}
			refused++;
			await clock.sleep(LATENCY_MS, call.signal);
			return tooMany(retryAfter);
		};
		const { start } = makeRun({ clock, http: httpOf(send, clock) }, { random, continueOnFail: true });
		const outcomes = await start(itemsEach);
		report.outcomes = outcomes.map((outcome) =>
			outcome.ok ? { ok: true, value: outcome.value.requestId } : outcome,
		);
		report.endedAt = clock.now();
		return report;
	};

	const reports = await clock.run(
		Promise.all(Array.from({ length: executions }, async (_, number) => await execute(number))),
	);
	return {
		executions: reports,
		acceptedAt,
		refused,
		submitted: api.jobs.length,
		pollsOf: api.jobs.map(({ polls }) => polls.length),
		submitsOf,
	};
}
