import sharp from 'sharp';

import { hashText, seededRandom } from './random';

/**
 * Imitates the model with a few lines of code: removes the color that touches the border of the input, and places the
 * rest in front of a scene drawn from the prompt, the palette, and the seed. The same input gives the same bytes.
 */
export interface SceneOptions {
	image: Buffer;
	prompt: string;
	seed: number;
	palette: string[];
}

/** The longest side of an output, in pixels. */
const MAX_SIDE = 1024;
/** How far a pixel may be from the border's color and still count as background (Euclidean, RGB). */
const KEY_DISTANCE = 42;

/** Substitutes for Ideogram's named palettes. */
const NAMED_PALETTES: Record<string, string[]> = {
	Ember: ['#2b0f0a', '#8c2f1b', '#e2711d', '#ffb454', '#ffe3ad'],
	Fresh: ['#0b3d3a', '#1f8a70', '#7bd389', '#d6f6c3', '#fff8d6'],
	Jungle: ['#0b2818', '#1e5631', '#4c9a2a', '#a4de02', '#f0f4c3'],
	Magic: ['#1b0b3b', '#4b1fa6', '#9d4edd', '#f15bb5', '#fee440'],
	Melon: ['#3b0d11', '#c9184a', '#ff758f', '#a7d129', '#fff0f3'],
	Mosaic: ['#12263a', '#06bcc1', '#f4d35e', '#ee964b', '#f95738'],
	Pastel: ['#6d6875', '#b5838d', '#e5989b', '#ffcdb2', '#fdf0e7'],
	Ultramarine: ['#03045e', '#0353a4', '#0096c7', '#90e0ef', '#f1faff'],
};

const NEUTRAL_PALETTE = ['#23304a', '#4d648d', '#8fa6c7', '#d9c7a8', '#f5efe3'];

/** What a prompt may name, and its colors; what it does not name has those of the palette. */
type Named = ReadonlyArray<readonly [words: RegExp, ...colors: string[]]>;
/** From the top of the sky to the horizon; a palette that was asked for comes first. */
const SKIES: Named = [
	[/night|moon|stars/i, '#0b1530', '#24345e', '#4b5f8f'],
	[/sunset|dusk|evening/i, '#6f6f9c', '#f0b184', '#ffe9c4'],
	[/dawn|sunrise|morning/i, '#8fa8cc', '#f3cfc0', '#fff3e0'],
	[/sun|sky|day|light/i, '#5b9bd8', '#b5d8f2', '#eef7ff'],
];
/** The far and the near ridge. */
const LANDS: Named = [
	[/forest|jungle|trees|woods/i, '#6d8f6a', '#33573a'],
	[/hill|meadow|grass|field/i, '#a9c48a', '#6c9a55'],
	[/mountain|snow/i, '#cfd9e6', '#8b9bb5'],
	[/sea|ocean|beach|lake/i, '#8cc3da', '#4793b8'],
	[/desert|dune/i, '#e2bd84', '#c99a5b'],
	[/city|street/i, '#8f97a8', '#565f72'],
	[/kitchen|room|studio|wall|library/i, '#efe6d8', '#d9c9b2'],
];
/** The ground, from the horizon to the front. */
const GROUNDS: Named = [
	[/wood|table|desk|board/i, '#bb8449', '#5c3516'],
	[/sand|beach|desert/i, '#efdcb0', '#c2a06a'],
	[/marble|stone|concrete/i, '#efedea', '#a29f99'],
	[/grass|meadow|lawn|moss/i, '#93b95f', '#416d2e'],
	[/snow|ice/i, '#ffffff', '#bfd2e6'],
];

function colorsOf(named: Named, prompt: string): string[] | undefined {
	return named.find(([words]) => words.test(prompt))?.slice(1) as string[] | undefined;
}

/** The colors that a `color_palette` of a request asks for, from dark to light. */
export function paletteColors(palette: unknown): string[] {
	if (typeof palette !== 'object' || palette === null) return NEUTRAL_PALETTE;
	if ('name' in palette && typeof palette.name === 'string')
		return NAMED_PALETTES[palette.name] ?? NEUTRAL_PALETTE;
	if ('members' in palette && Array.isArray(palette.members)) {
		const colors = palette.members.flatMap((member: unknown) =>
			typeof member === 'object' && member !== null && 'color_hex' in member
				? [String(member.color_hex)]
				: [],
		);
		if (colors.length > 0) return Array.from({ length: 5 }, (_, i) => colors[i % colors.length] ?? '#808080');
	}
	return NEUTRAL_PALETTE;
}

/** The new picture as PNG. Throws when the input is not an image that sharp can read. */
export async function renderScene(options: SceneOptions): Promise<Buffer> {
	const { data, info } = await sharp(options.image)
		.rotate()
		.resize(MAX_SIDE, MAX_SIDE, { fit: 'inside', withoutEnlargement: true })
		.ensureAlpha()
		.raw()
		.toBuffer({ resolveWithObject: true });
	const { width, height } = info;
	cutOutSubject(data, width, height);
	const raw = { raw: { width, height, channels: 4 as const } };
	const subject = await sharp(data, raw).png().toBuffer();
	const alpha = await sharp(data, raw)
		.extractChannel(3)
		.blur(Math.max(2, width / 60))
		.linear(0.55, 0)
		.toBuffer();
	const shadow = await sharp({ create: { width, height, channels: 3, background: '#000000' } })
		.joinChannel(alpha, { raw: { width, height, channels: 1 } })
		.png()
		.toBuffer();
	const drop = Math.round(height / 60);
	return await sharp(Buffer.from(sceneSvg(options, width, height)))
		.composite([
			{
				input: await sharp(shadow)
					.extract({ left: 0, top: 0, width, height: height - drop })
					.toBuffer(),
				left: 0,
				top: drop,
			},
			{ input: subject, left: 0, top: 0 },
		])
		.png({ compressionLevel: 6 })
		.toBuffer();
}

type Color = [number, number, number];

/** Makes the background transparent and the subject's edge soft. */
function cutOutSubject(pixels: Buffer, width: number, height: number): void {
	const key = borderColor(pixels, width, height);
	const isBackground = findBackground(pixels, width, height, key);
	const isEdge = new Uint8Array(isBackground.length);
	for (const step of [1, width - 1, width, width + 1]) {
		isBackground.forEach((own, pixel) => {
			if ((isBackground[pixel + step] ?? own) !== own) isEdge[pixel] = isEdge[pixel + step] = 1;
		});
	}
	/** The subject's own pixels near an edge pixel. */
	const solidNear = (pixel: number): number[] => {
		const found: number[] = [];
		for (let y = -2; y <= 2; y++) {
			for (let x = Math.max(-2, -(pixel % width)); x <= Math.min(2, width - 1 - (pixel % width)); x++) {
				const other = pixel + y * width + x;
				if (isBackground[other] === 0 && isEdge[other] === 0) found.push(other);
			}
		}
		return found;
	};
	const original = Buffer.from(pixels);
	isBackground.forEach((own, pixel) => {
		if (own === 1) pixels[pixel * 4 + 3] = 0;
		if (isEdge[pixel] === 0 || original[pixel * 4 + 3] !== 255) return;
		// An edge pixel is a mixture of background and subject: its distance from the one gives the share of the other.
		const solid = solidNear(pixel);
		if (solid.length === 0) return;
		const subject = [0, 1, 2].map(
			(c) => solid.reduce((sum, n) => sum + (original[n * 4 + c] ?? 0), 0) / solid.length,
		);
		const share = distance(colorAt(original, pixel), key) / distance(subject as Color, key);
		if (share < 1) pixels.set([...subject, 255 * share].map(Math.round), pixel * 4);
	});
}

function colorAt(pixels: Buffer, pixel: number): Color {
	return [pixels[pixel * 4] ?? 0, pixels[pixel * 4 + 1] ?? 0, pixels[pixel * 4 + 2] ?? 0];
}

function distance(a: Color, b: Color): number {
	return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** 1 for every pixel that is connected with the border and close to the border's own color, or transparent. */
function findBackground(pixels: Buffer, width: number, height: number, key: Color): Uint8Array {
	const found = new Uint8Array(width * height);
	const stack: number[] = [];
	const visit = (pixel: number) => {
		if (found[pixel] === 1) return;
		const isTransparent = (pixels[pixel * 4 + 3] ?? 0) < 8;
		if (!isTransparent && distance(colorAt(pixels, pixel), key) >= KEY_DISTANCE) return;
		found[pixel] = 1;
		stack.push(pixel);
	};
	for (let x = 0; x < width; x++) [x, (height - 1) * width + x].forEach(visit);
	for (let y = 0; y < height; y++) [y * width, y * width + width - 1].forEach(visit);
	for (let pixel = stack.pop(); pixel !== undefined; pixel = stack.pop()) {
		const x = pixel % width;
		if (x > 0) visit(pixel - 1);
		if (x < width - 1) visit(pixel + 1);
		if (pixel >= width) visit(pixel - width);
		if (pixel < (height - 1) * width) visit(pixel + width);
	}
	return found;
}

/** The median of the border's pixels, channel by channel. */
function borderColor(pixels: Buffer, width: number, height: number): Color {
	const channels: [number[], number[], number[]] = [[], [], []];
	const take = (pixel: number) => channels.forEach((values, c) => values.push(pixels[pixel * 4 + c] ?? 0));
	for (let x = 0; x < width; x++) [x, (height - 1) * width + x].forEach(take);
	for (let y = 0; y < height; y++) [y * width, y * width + width - 1].forEach(take);
	const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
	return [median(channels[0]), median(channels[1]), median(channels[2])];
}

function sceneSvg({ prompt, seed, palette }: SceneOptions, width: number, height: number): string {
	const random = seededRandom(hashText(prompt) ^ seed);
	const [deep = '#222', dark = '#444', middle = '#777', light = '#aaa', pale = '#eee'] = palette;
	const sky = (palette === NEUTRAL_PALETTE ? colorsOf(SKIES, prompt) : undefined) ?? [dark, light, pale];
	const [far, near] = colorsOf(LANDS, prompt) ?? [middle, dark];
	const [back, front] = colorsOf(GROUNDS, prompt) ?? [middle, deep];
	const between = (from: number, to: number) => from + (to - from) * random();
	const horizon = height * between(0.56, 0.68);
	const sun = {
		x: width * between(0.12, 0.88),
		y: horizon * between(0.2, 0.6),
		r: width * between(0.06, 0.12),
	};
	const isSoft = /soft|hill|dune|meadow|sea|ocean|beach|lake/i.test(prompt);
	const ridge = (base: number, height_: number) => {
		const points = Array.from({ length: isSoft ? 6 : 13 }, (_, i, step = width / (isSoft ? 5 : 12)) => ({
			x: i * step,
			y: base - height_ * between(0.1, 1),
			half: step / 2,
		}));
		const line = points.map(({ x, y, half }, i) => {
			const before = points[i - 1];
			return isSoft && before !== undefined
				? `C${before.x + half},${before.y} ${x - half},${y} ${x},${y}`
				: `L${x},${y}`;
		});
		return `M0,${height} ${line.join(' ')} L${width},${height} Z`;
	};
	const lights = Array.from({ length: 26 }, () => {
		const r = width * between(0.004, 0.022);
		const color = [pale, light, middle][Math.floor(between(0, 3))] ?? pale;
		return `<circle cx="${width * random()}" cy="${horizon * random()}" r="${r}" fill="${color}" opacity="${between(0.15, 0.5)}"/>`;
	});
	const boards = Array.from({ length: 7 }, (_, i) => {
		const y = horizon + ((height - horizon) * i * i) / 49;
		return `<path d="M0,${y} H${width}" stroke="${front}" stroke-width="${1 + i * 0.8}" opacity="0.35"/>`;
	});
	const gradient = (id: string, colors: string[]) =>
		`<linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1">${colors
			.map((color, i) => `<stop offset="${i / (colors.length - 1)}" stop-color="${color}"/>`)
			.join('')}</linearGradient>`;
	return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
<defs>
${gradient('sky', sky)}
${gradient('floor', [back ?? middle, front ?? deep])}
<radialGradient id="sun"><stop offset="0" stop-color="#fff" stop-opacity="0.95"/><stop offset="0.35" stop-color="${pale}" stop-opacity="0.8"/><stop offset="1" stop-color="${pale}" stop-opacity="0"/></radialGradient>
</defs>
<rect width="${width}" height="${height}" fill="url(#sky)"/>
<circle cx="${sun.x}" cy="${sun.y}" r="${sun.r * 3}" fill="url(#sun)"/>
${lights.join('\n')}
<path d="${ridge(horizon, height * 0.26)}" fill="${far}" opacity="0.8"/>
<path d="${ridge(horizon, height * 0.14)}" fill="${near}" opacity="0.9"/>
<rect y="${horizon}" width="${width}" height="${height - horizon}" fill="url(#floor)"/>
${boards.join('\n')}
</svg>`;
}
