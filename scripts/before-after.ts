import path from 'node:path';

import sharp from 'sharp';

import { seededRandom } from '../test/sandbox/random';

/**
 * Renders docs/before-after.jpg, the picture in the README: one product in a studio and in a scene, path traced, with soft
 * light, depth of field and grain. It shows what the operation is for; it is not RunComfy's work.
 * `npx tsx --tsconfig test/tsconfig.json scripts/before-after.ts [samples for each pixel]`
 */
const SIDE = 460;
const GAP = 16;
const BOUNCES = 5;
const FAR = 40;

type Vector = readonly [number, number, number];
const add = (a: Vector, b: Vector, k = 1): Vector => [a[0] + b[0] * k, a[1] + b[1] * k, a[2] + b[2] * k];
const times = (a: Vector, b: Vector): Vector => [a[0] * b[0], a[1] * b[1], a[2] * b[2]];
const scale = (a: Vector, k: number): Vector => [a[0] * k, a[1] * k, a[2] * k];
const dot = (a: Vector, b: Vector) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const unit = (a: Vector): Vector => scale(a, 1 / Math.hypot(...a));
const mix = (a: Vector, b: Vector, t: number): Vector => add(scale(a, 1 - t), b, t);
const clamp = (x: number, from = 0, to = 1) => Math.min(to, Math.max(from, x));
const smooth = (from: number, to: number, x: number) => {
	const t = clamp((x - from) / (to - from));
	return t * t * (3 - 2 * t);
};

const random = seededRandom(7);
function inBall(): Vector {
	for (;;) {
		const v: Vector = [random() * 2 - 1, random() * 2 - 1, random() * 2 - 1];
		if (dot(v, v) <= 1) return v;
	}
}

/** Noise between 0 and 1, smooth in two directions, and the sum of its octaves. */
function noise(x: number, y: number): number {
	const at = (i: number, j: number) => {
		const s = Math.sin(i * 127.1 + j * 311.7) * 43758.5453;
		return s - Math.floor(s);
	};
	const [i, j] = [Math.floor(x), Math.floor(y)];
	const [u, v] = [smooth(0, 1, x - i), smooth(0, 1, y - j)];
	const row = (k: number) => at(i, k) * (1 - u) + at(i + 1, k) * u;
	return row(j) * (1 - v) + row(j + 1) * v;
}
const octaves = (x: number, y: number) =>
	(noise(x, y) * 4 + noise(x * 2.1, y * 2.1) * 2 + noise(x * 4.3, y * 4.3)) / 7;

/** What surrounds the product. */
interface Scene {
	/** The height of the ground under a point, or a distance below which there is none. */
	ground(p: Vector): number;
	groundColor(p: Vector): Vector;
	/** The light from far away, in a direction. */
	sky(d: Vector): Vector;
	lamp: { direction: Vector; softness: number; color: Vector };
	aperture: number;
}

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

function distance(scene: Scene, p: Vector): number {
	const r = Math.hypot(p[0], p[2]);
	const product = r > 1.2 || p[1] > 3 ? Math.max(r - 1, p[1] - 2.8) : Math.min(bottle(r, p[1]), cap(r, p[1]));
	return Math.min(product, scene.ground(p));
}

/** How far a ray goes, or undefined if it meets nothing. */
function march(scene: Scene, from: Vector, d: Vector): number | undefined {
	for (let t = 0.004, i = 0; i < 120 && t < FAR; i++) {
		const step = distance(scene, add(from, d, t));
		if (step < 0.0008 * (1 + t)) return t;
		t += step * 0.92;
	}
	return undefined;
}

/** The product's own color, and how much of it shines. */
function surface(scene: Scene, p: Vector): { color: Vector; gloss: number } {
	const r = Math.hypot(p[0], p[2]);
	if (scene.ground(p) < Math.min(bottle(r, p[1]), cap(r, p[1])))
		return { color: scene.groundColor(p), gloss: 0.25 };
	if (cap(r, p[1]) < bottle(r, p[1])) {
		const grain = octaves(Math.atan2(p[0], p[2]) * 9, p[1] * 1.2);
		return { color: mix([0.36, 0.19, 0.08], [0.62, 0.4, 0.2], grain), gloss: 0.1 };
	}
	const [x, y] = [Math.atan2(p[0], -p[2]) * 0.66, p[1] - 0.83];
	if (Math.abs(x) > 0.52 || Math.abs(y) > 0.42) return { color: [0.012, 0.13, 0.115], gloss: 1 };
	const leaf = Math.hypot(Math.abs(x) + 0.09, y - 0.12) < 0.21 && Math.abs(x) > 0.008;
	const lines =
		(Math.abs(y + 0.2) < 0.016 && Math.abs(x) < 0.26) || (Math.abs(y + 0.27) < 0.01 && Math.abs(x) < 0.17);
	const border = Math.abs(y) > 0.38 && Math.abs(y) < 0.39;
	const paper = 0.72 + 0.05 * octaves(x * 60, y * 60);
	return {
		color: leaf || lines || border ? [0.03, 0.17, 0.14] : [paper, paper * 0.94, paper * 0.83],
		gloss: 0.05,
	};
}

function normalAt(scene: Scene, p: Vector): Vector {
	const e = 0.001;
	const along = (axis: Vector) => distance(scene, add(p, axis, e)) - distance(scene, add(p, axis, -e));
	return unit([along([1, 0, 0]), along([0, 1, 0]), along([0, 0, 1])]);
}

/** The light that comes back along a ray. */
function trace(scene: Scene, from: Vector, d: Vector): Vector {
	let light: Vector = [0, 0, 0];
	let share: Vector = [1, 1, 1];
	let mirrored = true;
	for (let bounce = 0; bounce < BOUNCES; bounce++) {
		const t = march(scene, from, d);
		if (t === undefined) {
			const { direction, softness, color } = scene.lamp;
			const isLamp = bounce > 0 && mirrored && Math.acos(clamp(dot(d, direction), -1, 1)) < softness;
			return add(light, times(share, isLamp ? scale(color, 2) : scene.sky(d)));
		}
		const p = add(from, d, t);
		const n = normalAt(scene, p);
		const { color, gloss } = surface(scene, p);
		from = add(p, n, 0.004);
		mirrored = random() < (0.04 + 0.96 * (1 - clamp(-dot(d, n))) ** 5) * gloss;
		if (mirrored) {
			d = unit(add(add(d, n, -2 * dot(d, n)), inBall(), 0.03));
			continue;
		}
		share = times(share, color);
		const toLamp = unit(add(scene.lamp.direction, inBall(), scene.lamp.softness));
		const facing = dot(n, toLamp);
		if (facing > 0 && march(scene, from, toLamp) === undefined)
			light = add(light, times(share, scene.lamp.color), facing);
		d = unit(add(n, unit(inBall()), 0.999));
	}
	return light;
}

const studio: Scene = {
	// A sheet of paper that bends upwards behind the product.
	ground: (p) => (p[1] - Math.max(0, p[2] - 1.5) ** 2 * 0.16) * 0.7,
	groundColor: () => [0.86, 0.86, 0.855],
	sky: (d) =>
		scale([1, 1, 1.02], 0.42 + 0.3 * clamp(d[1]) + (d[0] > 0.72 && Math.abs(d[1] - 0.35) < 0.4 ? 1.6 : 0)),
	lamp: { direction: unit([-0.75, 0.9, -0.5]), softness: 0.35, color: [0.95, 0.94, 0.92] },
	aperture: 0.02,
};

const glints = Array.from(
	{ length: 16 },
	() => [random() * 0.9 - 0.45, random() * 0.13 - 0.05, 1.5 + random() * 3.5] as const,
);

const evening: Scene = {
	// The table ends behind the product; far below and behind are the hills.
	ground: (p) => Math.max(p[1], p[2] - 1.9, -0.25 - p[1]),
	groundColor: (p) => {
		const plank = Math.floor(p[2] / 0.62 + 100.35);
		const seam = Math.abs(p[2] / 0.62 + 100.35 - plank - 0.5) > 0.487 ? 0.25 : 1;
		const grain =
			octaves(p[0] * 1.1 + plank * 7.3, p[2] * 14 + plank * 3) * 0.75 + noise(p[0] * 3, p[2] * 90) * 0.25;
		return scale(
			mix([0.1, 0.045, 0.02], [0.36, 0.195, 0.09], grain),
			seam * (0.8 + 0.35 * noise(plank * 9.7, 3)),
		);
	},
	sky: (d) => {
		const across = d[0] / Math.max(0.05, d[2]);
		const up = d[1] / Math.max(0.05, Math.hypot(d[0], d[2]));
		const glow = Math.exp(-((across + 0.32) ** 2 + (up - 0.16) ** 2) * 9);
		let light = add(mix([1.5, 1.05, 0.72], [0.42, 0.6, 0.95], smooth(-0.02, 0.6, up)), [2.6, 1.5, 0.6], glow);
		const hills = [
			[0.07, 1.9, [0.5, 0.56, 0.42]],
			[0.02, 3.1, [0.24, 0.38, 0.15]],
			[-0.06, 4.3, [0.12, 0.25, 0.06]],
		] as const;
		for (const [height, wave, color] of hills) {
			const edge = height + 0.075 * Math.sin(across * wave * 2 + wave) + 0.02 * Math.sin(across * wave * 9);
			const lit = add(
				scale(color, 0.7 + 0.9 * octaves(across * 14 + wave, up * 30)),
				[0.5, 0.3, 0.06],
				glow * 0.9,
			);
			light = mix(light, lit, smooth(0.012, -0.012, up - edge));
		}
		if (d[2] > 0)
			for (const [x, y, strength] of glints)
				if ((across - x) ** 2 + (up - y) ** 2 < 0.00012)
					light = add(light, [strength, strength * 0.75, strength * 0.35]);
		return light;
	},
	lamp: { direction: unit([-0.85, 0.62, 0.35]), softness: 0.07, color: [2.9, 1.95, 1.05] },
	aperture: 0.17,
};

/** A photo of the scene as raw RGB. */
function photograph(scene: Scene, samples: number): Buffer {
	const pixels = Buffer.alloc(SIDE * SIDE * 3);
	const eye: Vector = [0, 1.75, -7.2];
	const forward = unit(add([0, 1.22, 0], eye, -1));
	const right: Vector = [1, 0, 0];
	const up: Vector = [0, forward[2], -forward[1]];
	for (let i = 0; i < SIDE * SIDE; i++) {
		let sum: Vector = [0, 0, 0];
		for (let s = 0; s < samples; s++) {
			const x = ((i % SIDE) + random()) / SIDE - 0.5;
			const y = 0.5 - (Math.floor(i / SIDE) + random()) / SIDE;
			const focus = add(eye, add(add(forward, right, x * 0.52), up, y * 0.52), 6.85);
			const [lensX, lensY] = inBall();
			const lens = add(add(eye, right, lensX * scene.aperture), up, lensY * scene.aperture);
			const light = trace(scene, lens, unit(add(focus, lens, -1)));
			// One bright path must not become a white dot.
			sum = add(sum, light.map((c) => Math.min(c, 14)) as unknown as Vector);
		}
		const grain = (random() + random() + random() - 1.5) * 0.018;
		sum.forEach((value, c) => {
			const x = (value / samples) * 0.82;
			const film = (x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14);
			pixels[i * 3 + c] = Math.round(255 * clamp(clamp(film) ** (1 / 2.2) + grain));
		});
	}
	return pixels;
}

async function main(): Promise<void> {
	const samples = Number(process.argv[2] ?? 100);
	const raw = { width: SIDE, height: SIDE, channels: 3 as const };
	const photos = [studio, evening].map((scene, n) => ({
		input: photograph(scene, samples),
		raw,
		left: n * (SIDE + GAP),
		top: 0,
	}));
	await sharp({ create: { width: 2 * SIDE + GAP, height: SIDE, channels: 3, background: 'white' } })
		.composite(photos)
		.jpeg({ quality: 88 })
		.toFile(path.join(path.dirname(__dirname), 'docs', 'before-after.jpg'));
}

void main();
