import { seededRandom } from '../test/sandbox/random';

/** Vectors and noise, as the path tracer of before-after.ts uses them. */
export type Vector = readonly [number, number, number];
export const add = (a: Vector, b: Vector, k = 1): Vector => [
	a[0] + b[0] * k,
	a[1] + b[1] * k,
	a[2] + b[2] * k,
];
export const times = (a: Vector, b: Vector): Vector => [a[0] * b[0], a[1] * b[1], a[2] * b[2]];
export const scale = (a: Vector, k: number): Vector => [a[0] * k, a[1] * k, a[2] * k];
export const dot = (a: Vector, b: Vector) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const unit = (a: Vector): Vector => scale(a, 1 / Math.hypot(...a));
export const mix = (a: Vector, b: Vector, t: number): Vector => add(scale(a, 1 - t), b, t);
export const clamp = (x: number, from = 0, to = 1) => Math.min(to, Math.max(from, x));
export const smooth = (from: number, to: number, x: number) => {
	const t = clamp((x - from) / (to - from));
	return t * t * (3 - 2 * t);
};

/** Noise between 0 and 1, smooth in two directions, and the sum of its octaves. */
export function noise(x: number, y: number): number {
	const at = (i: number, j: number) => {
		const s = Math.sin(i * 127.1 + j * 311.7) * 43758.5453;
		return s - Math.floor(s);
	};
	const [i, j] = [Math.floor(x), Math.floor(y)];
	const [u, v] = [smooth(0, 1, x - i), smooth(0, 1, y - j)];
	const row = (k: number) => at(i, k) * (1 - u) + at(i + 1, k) * u;
	return row(j) * (1 - v) + row(j + 1) * v;
}
export const octaves = (x: number, y: number) =>
	(noise(x, y) * 4 + noise(x * 2.1, y * 2.1) * 2 + noise(x * 4.3, y * 4.3)) / 7;

export const random = seededRandom(7);
/** A point in the unit ball. */
export function inBall(): Vector {
	for (;;) {
		const v: Vector = [random() * 2 - 1, random() * 2 - 1, random() * 2 - 1];
		if (dot(v, v) <= 1) return v;
	}
}
