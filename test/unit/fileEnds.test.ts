import * as fc from 'fast-check';
import sharp from 'sharp';

import { FileEnd } from '../../nodes/RunComfy/files/fileEnds';
import { SNIFF_BYTES } from '../../nodes/RunComfy/files/fileTypes';
import { makeAudio, makeMesh, makeVideo } from '../sandbox/media';

/** What is known of a file of which only so many bytes came, in pieces of such a size. */
function isWhole(file: Buffer, bytes = file.length, piece = 1_000): boolean | undefined {
	const end = new FileEnd();
	for (let at = 0; at < bytes; at += piece) end.push(file.subarray(at, Math.min(at + piece, bytes)));
	expect(end.bytes).toBe(bytes);
	return end.isWhole(file.subarray(0, Math.min(bytes, SNIFF_BYTES)));
}

const box = (name: string, content = '') => {
	const header = Buffer.alloc(8);
	header.writeUInt32BE(8 + content.length);
	header.write(name, 4);
	return Buffer.concat([header, Buffer.from(content)]);
};
const long = (name: string, content: string) => {
	const header = Buffer.alloc(16);
	header.writeUInt32BE(1);
	header.write(name, 4);
	header.writeBigUInt64BE(BigInt(16 + content.length), 8);
	return Buffer.concat([header, Buffer.from(content)]);
};
/** A segment of a JPEG. */
const exif = (content: Buffer) => {
	const header = Buffer.from('\xff\xe1..Exif\0\0', 'latin1');
	header.writeUInt16BE(8 + content.length, 2);
	return Buffer.concat([header, content]);
};
const FTYP = box('ftyp', 'isom0000isommp42');
const matroska = (size: number[]) =>
	Buffer.concat([
		Buffer.from([0x1a, 0x45, 0xdf, 0xa3, 0x84, 0x42, 0x82, 0x81, 0x77, 0x18, 0x53, 0x80, 0x67, ...size]),
		Buffer.alloc(300, 7),
	]);
const stated = (start: string, size: number, write: 'writeUInt32BE' | 'writeUInt32LE', at: number) => {
	const file = Buffer.alloc(100);
	file.write(start, 'latin1');
	file[write](size, at);
	return file;
};

const picture = sharp({ create: { width: 32, height: 32, channels: 3, background: '#c30' } });
const FILES: Record<string, Buffer | Promise<Buffer>> = {
	PNG: picture.clone().png().toBuffer(),
	JPEG: picture.clone().jpeg().toBuffer(),
	'JPEG with a small picture of itself': picture
		.clone()
		.jpeg()
		.toBuffer()
		.then((jpeg) => Buffer.concat([jpeg.subarray(0, 2), exif(jpeg), jpeg.subarray(2)])),
	WebP: picture.clone().webp().toBuffer(),
	GIF: picture.clone().gif().toBuffer(),
	AVIF: picture.clone().avif().toBuffer(),
	MP4: makeVideo('x', 1, 1, { width: 32, height: 32 }),
	'MP4 with long boxes': Buffer.concat([FTYP, long('mdat', 'x'.repeat(200)), box('moov', 'y'.repeat(90))]),
	'MP4 with a small last box': Buffer.concat([FTYP, box('moov', 'y'), box('mdat', 'x'), box('free')]),
	'MP4 in fragments': Buffer.concat([
		FTYP,
		box('moov', 'y'),
		box('moof', 'y'),
		box('mdat', 'x'),
		box('mfra', 'yyyyyyyy'),
	]),
	WAV: makeAudio('x', 1, 0.1),
	GLB: makeMesh('x'),
	WebM: matroska([0x41, 0x2c]),
	BMP: stated('BM', 100, 'writeUInt32LE', 2),
	AIFF: stated('FORM....AIFF', 92, 'writeUInt32BE', 4),
	SVG: Buffer.from('<svg xmlns="x"><g></g></svg>'),
	PDF: Buffer.from('%PDF-1.7\nxxxxxxxxxxxx\n%%EOF'),
};

describe('FileEnd', () => {
	it.each(Object.keys(FILES))('knows a whole %s, and none that is cut at any byte', async (name) => {
		const file = (await FILES[name]) ?? Buffer.alloc(0);
		// Free space at the end is no loss.
		const free = /^MP4( with a small last box)?$/.test(name)
			? file.readUInt32BE(file.lastIndexOf('free') - 4)
			: 0;
		const last = file.length - free;
		for (const piece of [1, 7, 64, file.length]) expect(isWhole(file, file.length, piece)).toBe(true);
		for (let bytes = 1; bytes < last; bytes++) {
			if (isWhole(file, bytes) === true) throw new Error(`Whole with ${bytes} of ${file.length} bytes`);
		}
		expect(isWhole(file, last - 1)).toBe(false);
	});

	it.each([
		[
			'an MP4 whose last box has no size',
			Buffer.concat([FTYP, box('moov'), Buffer.from('\0\0\0\0mdat12345678')]),
		],
		['fragments without an index', Buffer.concat([FTYP, box('moov'), box('moof'), box('mdat', '12345678')])],
		['a WebM that was written as a stream', matroska([0x01, 255, 255, 255, 255, 255, 255, 255])],
		['a WAV of unknown size', stated('RIFF....WAVE', 0xffffffff, 'writeUInt32LE', 4)],
		['an MP3', Buffer.from('ID3.................')],
		['a very short file', Buffer.from('GIF89a')],
	])('does not know of %s', (_, file) => expect(isWhole(file)).toBeUndefined());

	it('property: any bytes in any pieces are read', () =>
		fc.assert(
			fc.property(
				fc.uint8Array({ maxLength: 300 }),
				fc.boolean(),
				fc.integer({ min: 1, max: 99 }),
				(array, isMp4, piece) =>
					void isWhole(Buffer.concat([isMp4 ? FTYP : Buffer.alloc(0), array]), undefined, piece),
			),
		));
});
