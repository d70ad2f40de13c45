import { readFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';

import { paletteColors, renderScene } from '../test/sandbox/scene';

/**
 * Draws docs/before-after.png, the picture in the README: the example's product beside what the sandbox makes of it.
 * `npx tsx --tsconfig test/tsconfig.json scripts/before-after.ts`
 */
const ROOT = path.dirname(__dirname);
const SIDE = 420;
const GAP = 20;

async function main(): Promise<void> {
	const image = await readFile(path.join(ROOT, 'examples', 'product.png'));
	const palette = paletteColors({ name: 'Ember' });
	const prompt = 'On a wooden table in front of soft green hills, warm evening sun';
	const scene = await renderScene({ image, prompt, seed: 1, palette });
	const [before, after] = await Promise.all(
		[image, scene].map((one) => sharp(one).resize(SIDE, SIDE).toBuffer()),
	);
	await sharp({ create: { width: 2 * SIDE + GAP, height: SIDE, channels: 3, background: 'white' } })
		.composite([
			{ input: before, left: 0, top: 0 },
			{ input: after, left: SIDE + GAP, top: 0 },
		])
		.png({ compressionLevel: 9 })
		.toFile(path.join(ROOT, 'docs', 'before-after.png'));
}

void main();
