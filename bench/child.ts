import { once } from 'node:events';
import type { HeapProfiler } from 'node:inspector';
import { Session } from 'node:inspector/promises';

import { against } from './options';
import { nodeDownloads, nodeOf } from './variants/node';
import { byN8n, byUndici, pollEvery, pollResult, submitAndGet, undiciDownloads } from './variants/requests';
import type { Task, Variant } from './variants/variant';

/** One variant in a process of its own: gets a measurement, prepares it, says so, and at the next message runs it. */
const VARIANTS = {
	'this node': nodeOf(),
	'this node, before': nodeOf(against),
	// What no client can beat.
	floor: byUndici(submitAndGet),
	// What these calls cost beyond the floor is n8n's share.
	'the floor’s calls by n8n': byN8n(submitAndGet),
	'one by one, poll every 2 s': byN8n(pollEvery(2)),
	// As many calls as the node makes, with nothing else.
	'polls by n8n, every 2 s': byN8n(pollEvery(2)),
	'one by one, poll every 5 s': byN8n(pollEvery(5)),
	'polls by undici': byUndici(pollResult),
	'polls by undici, new connections': byUndici(pollResult, false),
	'polls by n8n': byN8n(pollResult),
	'downloads by this node': nodeDownloads,
	'downloads by undici': undiciDownloads,
} satisfies Record<string, Variant>;

export type VariantName = keyof typeof VARIANTS;
export type Report = Awaited<ReturnType<typeof run>>;
export interface Measurement extends Task {
	variant: VariantName;
	/** Items done beforehand, so that modules are loaded and code is compiled, as in an n8n that has run for long. */
	warmUp: string[];
	/** Whether to count what is allocated; that takes time itself. */
	countAllocations?: boolean;
}

const SAMPLING = {
	samplingInterval: 16_384,
	includeObjectsCollectedByMajorGC: true,
	includeObjectsCollectedByMinorGC: true,
};

async function run(work: () => Promise<number>, countAllocations = false) {
	const session = new Session();
	session.connect();
	if (countAllocations) await session.post('HeapProfiler.startSampling', SAMPLING);
	globalThis.gc?.();
	const rssBefore = process.memoryUsage.rss();
	let rssPeak = rssBefore;
	const sampler = setInterval(() => (rssPeak = Math.max(rssPeak, process.memoryUsage.rss())), 20);
	const cpuFrom = process.cpuUsage();
	const from = performance.now();
	const downloadedBytes = await work();
	const wallMs = performance.now() - from;
	const { user, system } = process.cpuUsage(cpuFrom);
	clearInterval(sampler);
	const [cpuMs, rssGrowthBytes] = [(user + system) / 1000, rssPeak - rssBefore];
	const report = { wallMs, cpuMs, rssGrowthBytes, downloadedBytes, allocatedBytes: NaN };
	if (!countAllocations) return report;
	// Everything on the heap, garbage included; estimated from samples.
	const { profile } = await session.post('HeapProfiler.stopSampling');
	return { ...report, allocatedBytes: sizeOf(profile.head) };
}

function sizeOf({ selfSize, children }: HeapProfiler.SamplingHeapProfileNode): number {
	return children.reduce((total, child) => total + sizeOf(child), selfSize);
}

async function main(): Promise<void> {
	const [measurement] = (await once(process, 'message')) as [Measurement];
	const { variant, warmUp, countAllocations, ...task } = measurement;
	const prepare: Variant = VARIANTS[variant];
	if (warmUp.length > 0) {
		const timeScale = Math.max(50, task.timeScale ?? 1);
		const warmUpWork = await prepare({ ...task, items: warmUp, timeScale });
		await warmUpWork();
	}
	const work = await prepare(task);
	process.send?.('ready');
	await once(process, 'message');
	process.send?.(await run(work, countAllocations), () => process.exit(0));
}

void main();
