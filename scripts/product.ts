import { clamp, mix, octaves, type Vector } from './vectors';

/** A rounded box around the axis of the product: half its width, its bottom and top, its rounding. */
const ring = (r: number, y: number, width: number, bottom: number, top: number, round: number) => {
	const [dx, dy] = [r - width + round, Math.abs(y - (bottom + top) / 2) - (top - bottom) / 2 + round];
	return Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - round;
};

function bottle(r: number, y: number): number {
	const body = ring(r, y, 0.66, 0, 1.75, 0.3);
	const neck = ring(r, y, 0.23, 1.5, 2.1, 0.03);
	const h = clamp(0.5 + (neck - body) / 0.5);
	return neck * (1 - h) + body * h - 0.25 * h * (1 - h);
}
const cap = (r: number, y: number) => ring(r, y, 0.31, 2.02, 2.55, 0.05);

/** How far a point is from the product, a bottle with a wooden cap, at least. */
export function product(p: Vector): number {
	const r = Math.hypot(p[0], p[2]);
	if (r > 1.2 || p[1] > 3) return Math.max(r - 1, p[1] - 2.8);
	return Math.min(bottle(r, p[1]), cap(r, p[1]));
}

/** The product's own color, and how much of it shines. */
export function paint(p: Vector): { color: Vector; gloss: number } {
	const r = Math.hypot(p[0], p[2]);
	if (cap(r, p[1]) < bottle(r, p[1])) {
		const grain = octaves(Math.atan2(p[0], p[2]) * 9, p[1] * 1.2);
		return { color: mix([0.36, 0.19, 0.08], [0.62, 0.4, 0.2], grain), gloss: 0.1 };
	}
	const [x, y] = [Math.atan2(p[0], -p[2]) * 0.66, p[1] - 0.83];
	if (Math.abs(x) > 0.52 || Math.abs(y) > 0.42) return { color: [0.012, 0.13, 0.115], gloss: 1 };
	const leaf = Math.hypot(Math.abs(x) + 0.09, y - 0.12) < 0.21 && Math.abs(x) > 0.008;
	const isPrint = leaf || (Math.abs(y + 0.22) < 0.016 && Math.abs(x) < 0.26);
	return { color: isPrint ? [0.03, 0.17, 0.14] : [0.75, 0.71, 0.62], gloss: 0.05 };
}
