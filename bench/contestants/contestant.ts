import type { Workload } from '../workload';

/** What a contestant is to do: submit every item's job, and have every result. */
export interface Task {
	baseUrl: string;
	workload: Workload;
	/** How many items at once, for those that can. */
	concurrency: number;
	/** How many times faster than life the jobs are, and so the contestant's clock. */
	timeScale: number;
	/** The shortest pause between two looks, in the contestant's own seconds. */
	pollSeconds: number;
}

/** Prepares everything that is not to be measured, and gives what is: it resolves when all results are known. */
export type Contestant = (task: Task) => Promise<() => Promise<void>>;
