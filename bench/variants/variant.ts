/** What a variant is to do for each item, and how. */
export interface Task {
	baseUrl: string;
	/** The jobs' prompts; for polls and downloads, the ids of finished requests. */
	items: string[];
	concurrency: number;
	/** How many times faster than real time the jobs and the variant's clock run; 1 unless given. */
	timeScale?: number;
	/** The shortest pause between two polls, in the variant's own seconds; 1 unless given. */
	pollSeconds?: number;
}

/** Prepares what is not to be measured and returns what is. That resolves with the number of bytes downloaded. */
export type Variant = (task: Task) => Promise<() => Promise<number>>;

export async function forEach({ items, concurrency }: Task, act: (item: string) => Promise<unknown>) {
	const left = items.values();
	const worker = async () => {
		for (const item of left) await act(item);
	};
	await Promise.all(Array.from({ length: concurrency }, worker));
}
