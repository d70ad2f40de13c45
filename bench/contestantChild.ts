import { Session } from 'node:inspector/promises';

import { callsOnly } from './contestants/callsOnly';
import type { Contestant, Task } from './contestants/contestant';
import { floor } from './contestants/floor';
import { runComfyNode } from './contestants/runComfyNode';
import { sequentialLoop } from './contestants/sequentialLoop';
import { durationsOf } from './workload';

/** One contestant in a process of its own. Argument: its order as JSON. */
const CONTESTANTS = {
	floor,
	runComfyNode,
	sequential2s: sequentialLoop(2),
	sequential5s: sequentialLoop(5),
	callsOnly,
} satisfies Record<string, Contestant>;

export type ContestantName = keyof typeof CONTESTANTS;

export interface ContestantOrder extends Task {
	contestant: ContestantName;
	/** Whether to count what is allocated; that takes time itself. */
	countAllocations?: boolean;
}

export interface ContestantReport {
	wallMs: number;
	/** User and system time of the process while the task ran. */
	cpuMs: number;
	/** Peak of the resident set over its size before the task. */
	rssGrowthBytes: number;
	/** Everything allocated on the heap, garbage included; estimated from samples. */
	allocatedBytes?: number;
}

const RSS_SAMPLE_MS = 50;
const ALLOCATION_SAMPLE_BYTES = 16_384;
const WARM_UP_ITEMS = 20;

async function main(): Promise<void> {
	const order = JSON.parse(process.argv[2] ?? '{}') as ContestantOrder;
	const contestant: Contestant = CONTESTANTS[order.contestant];
	// Modules loaded and code compiled: what a long-running n8n has behind it.
	const warmUp = {
		...order,
		workload: {
			run: `${order.workload.run}-warm-up`,
			durationsMs: durationsOf(WARM_UP_ITEMS, 1, { fromMs: 1, toMs: 40 }),
		},
		concurrency: WARM_UP_ITEMS,
		timeScale: Math.max(order.timeScale, 50),
	};
	if (!order.contestant.startsWith('sequential')) await (await contestant(warmUp))();
	const work = await contestant(order);

	process.send?.('ready');
	await new Promise((resolve) => process.once('message', resolve));

	const session = order.countAllocations === true ? await startCounting() : undefined;
	globalThis.gc?.();
	const rssBefore = process.memoryUsage.rss();
	let rssPeak = rssBefore;
	const sampler = setInterval(() => {
		rssPeak = Math.max(rssPeak, process.memoryUsage.rss());
	}, RSS_SAMPLE_MS);
	const cpuFrom = process.cpuUsage();
	const from = performance.now();
	await work();
	const wallMs = performance.now() - from;
	const cpu = process.cpuUsage(cpuFrom);
	clearInterval(sampler);
	const report: ContestantReport = {
		wallMs,
		cpuMs: (cpu.user + cpu.system) / 1000,
		rssGrowthBytes: rssPeak - rssBefore,
		...(session === undefined ? {} : { allocatedBytes: await stopCounting(session) }),
	};
	process.send?.(report, () => process.exit(0));
}

async function startCounting(): Promise<Session> {
	const session = new Session();
	session.connect();
	await session.post('HeapProfiler.startSampling', {
		samplingInterval: ALLOCATION_SAMPLE_BYTES,
		includeObjectsCollectedByMajorGC: true,
		includeObjectsCollectedByMinorGC: true,
	});
	return session;
}

interface ProfileNode {
	selfSize: number;
	children: ProfileNode[];
}

async function stopCounting(session: Session): Promise<number> {
	const { profile } = await session.post('HeapProfiler.stopSampling');
	const sum = ({ selfSize, children }: ProfileNode): number =>
		children.reduce((total, child) => total + sum(child), selfSize);
	return sum(profile.head);
}

main().catch((error: unknown) => {
	console.error(error);
	process.exit(1);
});
