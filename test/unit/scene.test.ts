import sharp from 'sharp';

import { renderScene } from '../sandbox/scene';

/** The picture that the sandbox makes, and what is left of the input's background at the subject's edge. */
describe('A scene of the sandbox', () => {
	const SIDE = 240;
	const RADIUS = 70;
	const draw = async (subject: string) => {
		const background = `<rect width="${SIDE}" height="${SIDE}" fill="#eeeef0"/>`;
		const svg = `<svg width="${SIDE}" height="${SIDE}">${background}${subject}</svg>`;
		return await sharp(Buffer.from(svg)).png().toBuffer();
	};
	/** The brightness of each pixel of the picture that is made of an input, in front of a dark scene. */
	const brightness = async (subject: string) => {
		const palette = ['#101010', '#181818', '#202020', '#202020', '#202020'];
		const picture = await renderScene({ image: await draw(subject), prompt: 'At night', seed: 3, palette });
		return await sharp(picture).grayscale().raw().toBuffer();
	};
	const circle = (fill: string, stroke: string) =>
		`<circle cx="120" cy="120" r="${RADIUS - 2}" fill="${fill}" stroke="${stroke}" stroke-width="4"/>`;
	/** The pixels less than three pixels from the circle's edge. */
	const ring = Array.from({ length: SIDE * SIDE }, (_, pixel) => pixel).filter((pixel) => {
		const fromCenter = Math.hypot((pixel % SIDE) - 119.5, Math.floor(pixel / SIDE) - 119.5);
		return Math.abs(fromCenter - RADIUS) < 3;
	});

	it.each([
		['a plain subject', circle('#702070', '#702070')],
		['a subject with an outline', circle('#d0a060', '#502030')],
	])('has no pixel at the edge of %s that is lighter than both subject and scene', async (_name, subject) => {
		const scene = await brightness('');
		const picture = await brightness(subject);
		const input = await sharp(await draw(subject))
			.grayscale()
			.raw()
			.toBuffer();
		const inside = input[120 * SIDE + 120 + RADIUS - 2] ?? 0;
		const fringe = ring.filter((pixel) => (picture[pixel] ?? 0) > Math.max(scene[pixel] ?? 0, inside) + 6);
		expect(fringe).toEqual([]);
	});

	it('mixes subject and scene at the edge instead of cutting it hard', async () => {
		const subject = circle('#a040a0', '#a040a0');
		const picture = await brightness(subject);
		const inside = picture[120 * SIDE + 120] ?? 0;
		const scene = Math.max(...ring.map((pixel) => picture[pixel] ?? 0).filter((value) => value < inside / 2));
		const between = ring.filter((pixel) => {
			const value = picture[pixel] ?? 0;
			return value > scene + 5 && value < inside - 5;
		});
		expect(between.length).toBeGreaterThan(100);
	});
});
