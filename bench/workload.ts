import { seededRandom } from '../test/sandbox/random';

/** The sandbox's plain pictures need no input; nothing fetches this. */
export const IMAGE_URL = 'https://example.com/product.png';

/** The jobs of one run: what each takes at the sandbox is written into its prompt, so that all contestants get the same. */
export interface Workload {
	/** Tells the jobs of one contestant's run from all others at the sandbox. */
	run: string;
	/** Milliseconds at the sandbox's clock, item by item. */
	durationsMs: number[];
}

export interface Span {
	fromMs: number;
	toMs: number;
}

/** Jobs as RunComfy's may be: 8 to 16 seconds. */
export const USUAL_SPAN: Span = { fromMs: 8_000, toMs: 16_000 };

/** Durations spread evenly over a span, the same for the same seed. */
export function durationsOf(count: number, seed: number, { fromMs, toMs }: Span = USUAL_SPAN): number[] {
	const random = seededRandom(seed);
	return Array.from({ length: count }, () => Math.round(fromMs + (toMs - fromMs) * random()));
}

export function promptOf({ run, durationsMs }: Workload, itemIndex: number): string {
	return `run ${run} item ${itemIndex} takes ${durationsMs[itemIndex] ?? 0} ms`;
}

/** What the sandbox reads back from a prompt. */
export function durationOf(prompt: string): number {
	return Number(/takes (\d+) ms/.exec(prompt)?.[1] ?? 0);
}

/** When the last job ends if each of so many slots takes the next item as soon as it is free, and nobody is ever late. */
export function inOrderMs(durationsMs: number[], slots: number): number {
	const freeAt = new Array<number>(Math.min(slots, durationsMs.length)).fill(0);
	for (const duration of durationsMs) {
		const slot = freeAt.indexOf(Math.min(...freeAt));
		freeAt[slot] = (freeAt[slot] ?? 0) + duration;
	}
	return Math.max(...freeAt);
}

/** No schedule for so many slots can be shorter than this, not even one that knows all durations beforehand. */
export function lowerBoundMs(durationsMs: number[], slots: number): number {
	const sum = durationsMs.reduce((a, b) => a + b, 0);
	return Math.max(sum / slots, ...durationsMs);
}
