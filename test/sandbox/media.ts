import { createH264MP4Encoder } from 'h264-mp4-encoder';
import sharp from 'sharp';
import { WaveFile } from 'wavefile';

import { hashText, seededRandom } from './random';

/** Small real outputs for models that make something out of words: the same words and seed give the same bytes. */

const FRAMES_PER_SECOND = 8;
const SAMPLE_RATE = 8_000;
/** However long is asked for: the sandbox keeps its videos and audio this short. */
const MAX_SECONDS = 2;

/** A pattern of a few colored lights as PNG. */
export async function makeImage(prompt: string, seed: number, width = 640, height = 480): Promise<Buffer> {
	return await sharp(Buffer.from(lightsSvg(prompt, seed, width, height, 0)))
		.png()
		.toBuffer();
}

/** The same lights, moving, as H.264 in MP4. The encoder wants a width and a height that are even. */
export async function makeVideo(
	prompt: string,
	seed: number,
	seconds: number,
	{ width, height } = { width: 320, height: 176 },
): Promise<Buffer> {
	const encoder = await createH264MP4Encoder();
	encoder.width = width;
	encoder.height = height;
	encoder.frameRate = FRAMES_PER_SECOND;
	encoder.initialize();
	const frames = Math.ceil(Math.min(seconds, MAX_SECONDS) * FRAMES_PER_SECOND);
	for (let frame = 0; frame < frames; frame++) {
		const svg = lightsSvg(prompt, seed, width, height, frame / frames);
		encoder.addFrameRgba(await sharp(Buffer.from(svg)).ensureAlpha().raw().toBuffer());
	}
	encoder.finalize();
	const video = Buffer.from(encoder.FS.readFile(encoder.outputFilename));
	encoder.delete();
	return video;
}

/** A chord that fades, as WAV. */
export function makeAudio(prompt: string, seed: number, seconds: number): Buffer {
	const random = seededRandom(hashText(prompt) ^ seed);
	const tones = Array.from({ length: 3 }, () => 220 * 2 ** (Math.floor(random() * 18) / 12));
	const length = Math.ceil(Math.min(seconds, MAX_SECONDS) * SAMPLE_RATE);
	const samples = Array.from({ length }, (_, n) => {
		const time = n / SAMPLE_RATE;
		const sum = tones.reduce((total, tone) => total + Math.sin(2 * Math.PI * tone * time), 0);
		return Math.round((9_000 * sum * (1 - n / length)) / tones.length);
	});
	const wave = new WaveFile();
	wave.fromScratch(1, SAMPLE_RATE, '16', samples);
	return Buffer.from(wave.toBuffer());
}

/** Binary glTF that holds no more than where it comes from. */
export function makeMesh(recipe: string): Buffer {
	const json = JSON.stringify({ asset: { version: '2.0', generator: `sandbox ${hashText(recipe)}` } });
	const chunk = Buffer.from(json.padEnd(Math.ceil(json.length / 4) * 4));
	const header = Buffer.alloc(20);
	header.write('glTF');
	[2, header.length + chunk.length, chunk.length].forEach((value, i) =>
		header.writeUInt32LE(value, 4 + 4 * i),
	);
	header.write('JSON', 16);
	return Buffer.concat([header, chunk]);
}

/** @param progress of the video, from 0 to 1. */
function lightsSvg(prompt: string, seed: number, width: number, height: number, progress: number): string {
	const random = seededRandom(hashText(prompt) ^ seed);
	const hue = Math.floor(random() * 360);
	const lights = Array.from({ length: 14 }, () => {
		const x = width * ((random() + progress * (0.2 + random() * 0.4)) % 1);
		const y = height * random();
		const r = width * (0.03 + 0.1 * random());
		const color = `hsl(${(hue + Math.floor(random() * 80)) % 360} 80% ${45 + Math.floor(random() * 35)}%)`;
		return `<circle cx="${x}" cy="${y}" r="${r}" fill="${color}" opacity="${0.35 + 0.5 * random()}"/>`;
	});
	return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
<defs><linearGradient id="sky" x2="0" y2="1"><stop stop-color="hsl(${hue} 60% 14%)"/><stop offset="1" stop-color="hsl(${(hue + 60) % 360} 70% 38%)"/></linearGradient></defs>
<rect width="${width}" height="${height}" fill="url(#sky)"/>
${lights.join('\n')}
</svg>`;
}
