import { isJsonObject, type JsonObject } from '../api/json';

/** Jobs take longer or shorter as the model's queue changes: only the latest count. */
const REMEMBERED = 20;
/** Of one known job, the next may differ by this share of its duration; of several, by less. */
const ASSUMED_SPREAD = 0.45;
/** Kinds of jobs that are kept across executions. */
const MAX_KINDS = 100;
/** A kind whose expected end has moved by less than this share is not worth storing again. */
const NOTABLE_CHANGE = 0.1;
/** Longer texts are prompts or addresses, and do not decide how long a job takes. */
const MAX_WORD_LENGTH = 32;
/** Longer than any timeout: nobody has waited for such a job. */
const MAX_DURATION_MS = 1_000_000_000;
/** Inputs may be nested, as those of a ComfyUI workflow are; deeper parts do not count. */
const MAX_DEPTH = 4;

/** When a job will probably end, in milliseconds after its submit. */
export interface ExpectedEnd {
	fromMs: number;
	toMs: number;
}

/** How long the latest jobs of one kind took, so that later ones are polled when they may end, and rarely before. */
export class JobTimes {
	/** Undefined while nothing is known. */
	expected: ExpectedEnd | undefined;

	/** @param latest in milliseconds, the newest last. */
	constructor(readonly latest: number[] = []) {
		this.expected = expectedEndOf(latest);
	}

	/**
	 * Records one more finished job. When exactly it ended is not known, only between which two polls: the middle is
	 * right on average (RunComfy's own times are optional, and their meaning is not documented).
	 * @param lastPendingMs waited at the last poll that found it unfinished, or 0.
	 * @param finishedMs waited at the poll that found it finished.
	 */
	add(lastPendingMs: number, finishedMs: number): void {
		// The first poll after a long pause says little about the time before the expected end: it probably ended then.
		const { fromMs } = this.expected ?? { fromMs: 0 };
		const earliestMs = fromMs < finishedMs ? Math.max(lastPendingMs, 2 * fromMs - finishedMs) : lastPendingMs;
		this.latest.push(Math.round((earliestMs + finishedMs) / 2));
		if (this.latest.length > REMEMBERED) this.latest.shift();
		this.expected = expectedEndOf(this.latest);
	}
}

function expectedEndOf(latest: number[]): ExpectedEnd | undefined {
	const known = latest.length;
	if (known === 0) return undefined;
	const shortest = Math.min(...latest);
	const longest = Math.max(...latest);
	// The next job may well be shorter or longer than a few known ones; the more are known, the less so.
	const margin = Math.max(
		(longest - shortest) / Math.max(1, known - 1),
		(longest * ASSUMED_SPREAD) / known ** 1.5,
	);
	return { fromMs: shortest - margin, toMs: longest + margin };
}

/**
 * The job times of all endpoints of a node, kept across executions in n8n's static data.
 *
 * They are learned for an endpoint (a model) together with the inputs that may decide how long a job takes, such as the rendering speed
 * or the resolution; as long as these have not been seen yet, all jobs of the endpoint count.
 */
export class JobTimesStore {
	private readonly kinds = new Map<string, JobTimes>();
	/** What is stored, as it was when it was read. */
	private readonly stored = new Map<string, { known: number; expected: ExpectedEnd | undefined }>();

	/** @param value what `toJson` has returned, or anything else: what cannot be read is left out. */
	constructor(value?: unknown) {
		for (const entry of Array.isArray(value) ? value.slice(-MAX_KINDS) : []) {
			const [kind, latest]: unknown[] = Array.isArray(entry) ? entry : [];
			if (typeof kind !== 'string' || !Array.isArray(latest)) continue;
			const times = new JobTimes(latest.filter(isDuration).slice(-REMEMBERED));
			this.kinds.set(kind, times);
			this.stored.set(kind, { known: times.latest.length, expected: times.expected });
		}
	}

	/** @param input of the request; files may be left out. */
	of(endpointId: string, input: JsonObject): Pick<JobTimes, 'add' | 'expected'> {
		const ofAll = this.find(endpointId);
		const ofKind = this.find(`${endpointId} ${kindOf(input)}`);
		return {
			get expected() {
				return ofKind.expected ?? ofAll.expected;
			},
			add(lastPendingMs, finishedMs) {
				ofAll.add(lastPendingMs, finishedMs);
				ofKind.add(lastPendingMs, finishedMs);
			},
		};
	}

	/**
	 * Whether it is worth storing again. n8n stores the static data of a whole workflow at once, triggers' included, so
	 * nothing is written without need.
	 */
	get isChanged(): boolean {
		return [...this.kinds].some(([kind, { latest, expected }]) => {
			const stored = this.stored.get(kind);
			if (expected === undefined) return false;
			return (
				stored?.expected === undefined ||
				latest.length > stored.known ||
				isNotable(stored.expected.fromMs, expected.fromMs) ||
				isNotable(stored.expected.toMs, expected.toMs)
			);
		});
	}

	/** Plain JSON: the kinds of jobs used last. */
	toJson(): Array<[string, number[]]> {
		return [...this.kinds]
			.filter(([, { latest }]) => latest.length > 0)
			.slice(-MAX_KINDS)
			.map(([kind, { latest }]) => [kind, latest]);
	}

	private find(kind: string): JobTimes {
		const times = this.kinds.get(kind) ?? new JobTimes();
		// The kinds used last come last.
		this.kinds.delete(kind);
		this.kinds.set(kind, times);
		return times;
	}
}

function isDuration(value: unknown): value is number {
	return typeof value === 'number' && value >= 0 && value <= MAX_DURATION_MS;
}

function isNotable(before: number, now: number): boolean {
	return Math.abs(now - before) > NOTABLE_CHANGE * Math.abs(before);
}

/**
 * A short hash (FNV-1a) of the inputs that may decide how long a job takes: numbers, booleans, and single words such as
 * `TURBO` or `16:9`. Not prompts, addresses, and seeds.
 */
function kindOf(input: JsonObject): string {
	let hash = 0x811c9dc5;
	const mix = (text: string) => {
		for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
	};
	const walk = (value: unknown, name: string, depth: number) => {
		if (isWord(value)) mix(`${name}:${value};`);
		else if (depth < MAX_DEPTH && (Array.isArray(value) || isJsonObject(value))) {
			for (const [key, part] of Object.entries(value)) {
				if (!/seed/i.test(key)) walk(part, key, depth + 1);
			}
		}
	};
	walk(input, '', 0);
	return (hash >>> 0).toString(36);
}

function isWord(value: unknown): value is string | number | boolean {
	if (typeof value === 'string') return value.length <= MAX_WORD_LENGTH && !/\s/.test(value);
	return typeof value === 'number' || typeof value === 'boolean';
}
