import { randomUUID } from 'node:crypto';

import type { Graph } from './comfyUi';
import type { JobFault } from './faults';

/** What was submitted; what is in it depends on the model, or is a deployment's `overrides`. */
export type JobInput = Record<string, unknown>;

/** One file that a job has made. */
export interface MadeFile {
	bytes: Buffer;
	mimeType: string;
	/** In its URL. */
	name: string;
}

/** What comes out of a job: files, and whatever else its result says. */
export interface Made {
	files: MadeFile[];
	/** The result's `output` or `outputs`, once it is known where the files are. */
	outputOf(urls: string[]): Record<string, unknown>;
}

export type JobState = 'in_queue' | 'in_progress' | 'completed' | 'failed' | 'cancelled' | 'archived';

/** One job as the sandbox keeps it. Times are milliseconds since the epoch. */
export interface SandboxJob {
	requestId: string;
	/** What it runs: one of the two. */
	modelId?: string;
	deploymentId?: string;
	input: JobInput;
	/** By which tests and faults know the job; not every one has a prompt. */
	prompt: string;
	/** A deployment's graph with the overrides in it, and the body as it was sent: a JavaScript number does not hold every integer of it. */
	graph?: Graph;
	bodyText?: string;
	submittedAt: number;
	runsAt: number;
	endsAt: number;
	cancelledAt?: number;
	fault?: JobFault;
	/** A promise because it is made while the job runs. */
	product: Promise<Made>;
	/** Set when the product is there. */
	made?: Made;
	/** Set when it is there or could not be made. */
	isOver: boolean;
	makingError?: string;
	costUsd: number;
	polls: number;
	statusPolls: number;
	/** When a poll first returned the result. */
	deliveredAt?: number;
	cancels: number;
	/** What is called when it ends. */
	webhook?: string | undefined;
}

/** What the sandbox has received, for tests to check. */
const NOTHING_RECEIVED = {
	/** Submits that arrived, accepted or not. */
	submits: 0,
	/** Jobs that exist, and so are charged. */
	accepted: 0,
	statusPolls: 0,
	resultPolls: 0,
	cancels: 0,
	cancelled: 0,
	downloads: 0,
	/** Requests for one model of the catalog, for one deployment, and for their lists. */
	modelRequests: 0,
	modelListRequests: 0,
	deploymentRequests: 0,
	deploymentListRequests: 0,
	objectInfoRequests: 0,
	/** Downloads, and requests for object_info, with a token: must stay 0. */
	tokensAtOutputs: 0,
	tokensAtObjectInfo: 0,
	/** Calls with a missing or wrong token. */
	refusedTokens: 0,
	/** Most jobs that were queued or running at the same time. */
	mostJobsAtOnce: 0,
};

export type SandboxStats = typeof NOTHING_RECEIVED;

export class JobStore {
	readonly jobs = new Map<string, SandboxJob>();
	readonly stats: SandboxStats = { ...NOTHING_RECEIVED };

	add(
		job: Omit<SandboxJob, 'requestId' | 'polls' | 'statusPolls' | 'cancels' | 'made' | 'isOver'> & {
			requestId?: string | number | undefined;
		},
	): SandboxJob {
		const stored: SandboxJob = {
			...job,
			requestId: String(job.requestId ?? randomUUID()),
			polls: 0,
			statusPolls: 0,
			cancels: 0,
			isOver: false,
		};
		stored.product.then(
			(made) => {
				stored.made = made;
				stored.isOver = true;
			},
			(error: unknown) => {
				stored.isOver = true;
				stored.makingError = error instanceof Error ? error.message : String(error);
			},
		);
		this.jobs.set(stored.requestId, stored);
		this.stats.accepted++;
		const alive = [...this.jobs.values()].filter((other) => isAlive(stateOf(other))).length;
		this.stats.mostJobsAtOnce = Math.max(this.stats.mostJobsAtOnce, alive);
		return stored;
	}

	/** How many queued jobs are ahead of this one. All models share a queue; each deployment has its own. */
	queuePosition(job: SandboxJob): number {
		return [...this.jobs.values()].filter(
			(other) =>
				other.deploymentId === job.deploymentId &&
				other.submittedAt < job.submittedAt &&
				stateOf(other) === 'in_queue',
		).length;
	}

	clear(): void {
		this.jobs.clear();
		Object.assign(this.stats, NOTHING_RECEIVED);
	}
}

export function isAlive(state: JobState): boolean {
	return state === 'in_queue' || state === 'in_progress';
}

/** A moment as RunComfy writes it: with microseconds and an offset. */
export function timeText(ms: number): string {
	return new Date(ms).toISOString().replace('Z', '000+00:00');
}

/** The time of day in milliseconds, which does not jump when a test makes the computer's clock jump. */
export function steadyNow(): number {
	return performance.timeOrigin + performance.now();
}

/** The state of a job at this moment: a job progresses with the clock, not with polls. */
export function stateOf(job: SandboxJob, now = steadyNow()): JobState {
	if (job.cancelledAt !== undefined) return 'cancelled';
	if (now < job.runsAt) return 'in_queue';
	if (now < job.endsAt || !job.isOver) return 'in_progress';
	if (job.fault === 'cancelled') return 'cancelled';
	if (job.fault === 'unknownStatus') return 'archived';
	const hasFailed = job.fault === 'failed' || job.makingError !== undefined;
	return hasFailed ? 'failed' : 'completed';
}
