import { seededRandom } from '../test/sandbox/random';

/** The sandbox's plain pictures need no input; nothing fetches this. */
export const IMAGE_URL = 'https://example.com/product.png';

/** Durations of jobs, in milliseconds, spread evenly; the same for the same seed. */
export function durationsOf(count: number, seed: number, fromMs = 8_000, toMs = 16_000): number[] {
	const random = seededRandom(seed);
	return Array.from({ length: count }, () => Math.round(fromMs + (toMs - fromMs) * random()));
}

/** A job's duration is written into its prompt, so that all variants get the same jobs. */
export function promptsOf(run: string, durationsMs: number[]): string[] {
	return durationsMs.map((ms, item) => `run ${run} item ${item} takes ${ms} ms`);
}

/** What the sandbox reads from a prompt. */
export function durationOf(prompt: string): number {
	return Number(/takes (\d+) ms/.exec(prompt)?.[1] ?? 0);
}

/** When the last job ends if each slot takes the next item as soon as it is free, and nothing is ever late. */
export function inOrderMs(durationsMs: number[], slots: number): number {
	const freeAt = new Array<number>(slots).fill(0);
	for (const duration of durationsMs) freeAt.push((freeAt.sort((a, b) => a - b).shift() ?? 0) + duration);
	return Math.max(...freeAt);
}

/** No schedule for so many slots can be shorter than this, not even one that knows all durations beforehand. */
export function lowerBoundMs(durationsMs: number[], slots: number): number {
	return Math.max(durationsMs.reduce((a, b) => a + b, 0) / slots, ...durationsMs);
}
