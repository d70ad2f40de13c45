import { hashText, seededRandom } from './random';

/**
 * The calls that a fault can be put on. Those on requests affect models and deployments alike. `output` is the download
 * of a finished file, `objectInfo` that of a deployment's node definitions.
 */
export type CallKind =
	| 'submit'
	| 'status'
	| 'result'
	| 'cancel'
	| 'model'
	| 'models'
	| 'deployment'
	| 'deployments'
	| 'balance'
	| 'output'
	| 'objectInfo';

/**
 * The faults of one call.
 * - `tooMany` 429, with `retryAfter` where the rule gives one; `serverError` 500; `badGateway` 502 with a web page
 * - `lostBefore`, `hangBefore`: nothing was done; `lostAfter`, `hangAfter`, `truncated`: it was done, the answer is lost
 * - `errorCode` 200 with an error code, nothing done; `notReady` 400 with 400005; `slow`: done, answered after `delayMs`
 * - `redirectAway`: 307 to `location`, to which a careless client would send the token and the body
 * - `answer`: the rule's `answer`; with `isDone`, after the call was carried out
 * - `echoToken`: 400 whose message holds the caller's token
 * - `noId`: a submit is accepted, but its answer holds no id
 * - for outputs and `objectInfo`: `redirectPrivate`, `redirectLoop`, `redirectOnce`, `notImage`, `webPage`, `empty`, `endless`, `short`;
 *   `tiny` is a whole picture of 14 bytes, `compressed` is unrequested gzip, `truncatedGzip` ends before its end
 *   without saying so, `partial` is 206, `noContent` 204, `drip` sends a few bytes every `delayMs`
 */
export type CallFault =
	| 'tooMany'
	| 'serverError'
	| 'badGateway'
	| 'lostBefore'
	| 'lostAfter'
	| 'hangBefore'
	| 'hangAfter'
	| 'truncated'
	| 'errorCode'
	| 'notReady'
	| 'notFound'
	| 'noId'
	| 'slow'
	| 'redirectAway'
	| 'answer'
	| 'echoToken'
	| 'redirectPrivate'
	| 'redirectLoop'
	| 'redirectOnce'
	| 'notImage'
	| 'webPage'
	| 'empty'
	| 'endless'
	| 'short'
	| 'tiny'
	| 'compressed'
	| 'truncatedGzip'
	| 'partial'
	| 'noContent'
	| 'drip';

/**
 * How a job ends other than with one image.
 * - `failed`
 * - `noUrl`: success without files, for deployments with `outputs: {}`
 * - `manyImages`: three instead of those asked for
 */
export type JobFault = 'failed' | 'cancelled' | 'unknownStatus' | 'noUrl' | 'manyImages';

export interface CallRule {
	on: CallKind;
	kind: CallFault;
	/** How many calls it affects; without it, all. */
	times?: number;
	/** Only for jobs whose prompt contains this. */
	promptIncludes?: string;
	requestId?: string;
	/** Seconds, for `tooMany`. */
	retryAfter?: number | string;
	/** For `answer`. */
	answer?: { status: number; body?: unknown; headers?: Record<string, string> };
	isDone?: boolean;
	/** For `redirectAway`. */
	location?: string;
	/** Milliseconds, for `slow` and `drip`. */
	delayMs?: number;
	/** For `errorCode`. */
	errorCode?: number;
}

export interface JobRule {
	job: JobFault;
	times?: number;
	promptIncludes?: string;
}

/**
 * A share of all calls of these kinds gets one of these faults, drawn from the sandbox's seed, the job's prompt and the
 * number of such calls for that prompt so far: which calls are affected does not depend on the order of arrival.
 */
export interface RateRule {
	rate: number;
	on: CallKind[];
	kinds: CallFault[];
	retryAfter?: number;
	delayMs?: number;
}

export type FaultRule = CallRule | JobRule | RateRule;

export interface CallSubject {
	prompt?: string;
	requestId?: string;
}

/** Decides which call gets which fault. Faults set by call come before rates. */
export class Faults {
	private rules: FaultRule[] = [];
	private readonly counts = new Map<string, number>();

	constructor(private readonly seed: number) {}

	add(...rules: FaultRule[]): void {
		this.rules.push(...rules.map((rule) => ({ ...rule })));
	}

	clear(): void {
		this.rules = [];
		this.counts.clear();
	}

	forCall(on: CallKind, subject: CallSubject): CallRule | undefined {
		for (const rule of this.rules) {
			if ('rate' in rule || 'job' in rule || rule.on !== on) continue;
			if (rule.promptIncludes !== undefined && !subject.prompt?.includes(rule.promptIncludes)) continue;
			if (rule.requestId !== undefined && rule.requestId !== subject.requestId) continue;
			if (this.use(rule)) return rule;
		}
		const of = `${on} ${subject.prompt ?? ''}`;
		const count = (this.counts.get(of) ?? 0) + 1;
		this.counts.set(of, count);
		for (const [index, rule] of this.rules.entries()) {
			if (!('rate' in rule) || !rule.on.includes(on)) continue;
			const random = seededRandom(hashText(`${this.seed} ${index} ${of} ${count}`));
			if (random() >= rule.rate) continue;
			const kind = rule.kinds[Math.floor(random() * rule.kinds.length)];
			if (kind !== undefined) return { ...rule, on, kind };
		}
		return undefined;
	}

	forJob(prompt: string): JobFault | undefined {
		for (const rule of this.rules) {
			if (!('job' in rule)) continue;
			if (rule.promptIncludes !== undefined && !prompt.includes(rule.promptIncludes)) continue;
			if (this.use(rule)) return rule.job;
		}
		return undefined;
	}

	private use(rule: { times?: number }): boolean {
		if (rule.times === undefined) return true;
		if (rule.times <= 0) return false;
		rule.times--;
		return true;
	}
}
