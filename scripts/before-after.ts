import path from 'node:path';

import sharp from 'sharp';

import { paint, product } from './product';
import {
	add,
	clamp,
	dot,
	inBall,
	mix,
	noise,
	octaves,
	random,
	scale,
	smooth,
	times,
	unit,
	type Vector,
} from './vectors';

/**
 * Renders docs/before-after.jpg, the picture in the README: one product in a studio and in a scene, path traced, with soft
 * light, depth of field and grain. It shows what the operation is for; it is not RunComfy's work.
 * `npx tsx --tsconfig test/tsconfig.json scripts/before-after.ts [samples for each pixel]`
 */
const SIDE = 440;
const GAP = 16;
const BOUNCES = 5;
const FAR = 40;

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

const distance = (scene: Scene, p: Vector) => Math.min(product(p), scene.ground(p));

/** How far a ray goes, or undefined if it meets nothing. */
function march(scene: Scene, from: Vector, d: Vector): number | undefined {
	for (let t = 0.004, i = 0; i < 120 && t < FAR; i++) {
		const step = distance(scene, add(from, d, t));
		if (step < 0.0008 * (1 + t)) return t;
		t += step * 0.92;
	}
	return undefined;
}

/** The color at a point, and how much of it shines. */
function surface(scene: Scene, p: Vector): { color: Vector; gloss: number } {
	return scene.ground(p) < product(p) ? { color: scene.groundColor(p), gloss: 0.25 } : paint(p);
}

function normalAt(scene: Scene, p: Vector): Vector {
	const along = (axis: Vector) =>
		distance(scene, add(p, axis, 0.001)) - distance(scene, add(p, axis, -0.001));
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
		const fresnel = (0.04 + 0.96 * (1 - clamp(-dot(d, n))) ** 5) * gloss;
		// What shines is looked at more often than it weighs, so that it is less grainy.
		const chance = bounce === 0 ? clamp(fresnel + 0.25 * gloss, 0, 0.9) : fresnel;
		mirrored = random() < chance;
		share = scale(share, mirrored ? fresnel / chance : (1 - fresnel) / (1 - chance));
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
	sky: ([x, y]) =>
		scale([1, 1, 1.02], 0.42 + 0.3 * clamp(y) + (x > 0.72 && Math.abs(y - 0.35) < 0.4 ? 1.6 : 0)),
	lamp: { direction: unit([-0.75, 0.9, -0.5]), softness: 0.35, color: [0.95, 0.94, 0.92] },
	aperture: 0.02,
};

/** Sunlight between leaves, which the lens draws as discs. */
const glints = Array.from({ length: 16 }, () => [random() * 0.9 - 0.45, random() * 0.13 - 0.05] as const);

const hills = [
	[0.07, 1.9, [0.5, 0.56, 0.42]],
	[0.02, 3.1, [0.24, 0.38, 0.15]],
	[-0.06, 4.3, [0.12, 0.25, 0.06]],
] as const;

const evening: Scene = {
	// The table ends behind the product; far below and behind are the hills.
	ground: (p) => Math.max(p[1], p[2] - 1.9, -0.25 - p[1]),
	groundColor: ([x, , z]) =>
		mix(
			[0.1, 0.045, 0.02],
			[0.36, 0.195, 0.09],
			octaves(x * 1.1, z * 14) * 0.75 + noise(x * 3, z * 90) * 0.25,
		),
	sky: (d) => {
		const across = d[0] / Math.max(0.05, d[2]);
		const up = d[1] / Math.max(0.05, Math.hypot(d[0], d[2]));
		const glow = Math.exp(-((across + 0.32) ** 2 + (up - 0.16) ** 2) * 9);
		let light = add(mix([1.5, 1.05, 0.72], [0.42, 0.6, 0.95], smooth(-0.02, 0.6, up)), [2.6, 1.5, 0.6], glow);
		for (const [height, wave, color] of hills) {
			const edge = height + 0.075 * Math.sin(across * wave * 2 + wave) + 0.02 * Math.sin(across * wave * 9);
			const leaves = scale(color, 0.7 + 0.9 * octaves(across * 14 + wave, up * 30));
			const lit = add(leaves, [0.5, 0.3, 0.06], glow * 0.9);
			light = mix(light, lit, smooth(0.012, -0.012, up - edge));
		}
		const isGlint = ([x, y]: readonly [number, number]) => (across - x) ** 2 + (up - y) ** 2 < 0.00012;
		if (d[2] > 0 && glints.some(isGlint)) light = add(light, [3.5, 2.6, 1.2]);
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
			sum = add(sum, scale(light, 6 / Math.max(6, ...light)));
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
	const samples = Number(process.argv[2] ?? 48);
	const raw = { width: SIDE, height: SIDE, channels: 3 as const };
	const photos = [studio, evening].map((scene, n) => {
		return { input: photograph(scene, samples), raw, left: n * (SIDE + GAP), top: 0 };
	});
	await sharp({ create: { width: 2 * SIDE + GAP, height: SIDE, channels: 3, background: 'white' } })
		.composite(photos)
		.jpeg({ quality: 88 })
		.toFile(path.join(path.dirname(__dirname), 'docs', 'before-after.jpg'));
}

void main();
