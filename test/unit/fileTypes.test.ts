import * as fc from 'fast-check';

import {
	fileTypeOf,
	isDetectable,
	isInputType,
	kindByName,
	knownTypeByName,
	looksLikeText,
	typeByName,
} from '../../nodes/RunComfy/files/fileTypes';

describe('fileTypeOf', () => {
	const bytes = (text: string) => Buffer.from(text, 'latin1');
	it.each([
		['\x89PNG\r\n\x1a\nrest', 'image/png', 'png', true],
		['\xff\xd8\xff\xe0rest', 'image/jpeg', 'jpg', true],
		['RIFF\x10\x00\x00\x00WEBPVP8 ', 'image/webp', 'webp', true],
		['GIF89a......', 'image/gif', 'gif', false],
		['\x00\x00\x00\x20ftypavif', 'image/avif', 'avif', false],
		['\x00\x00\x00\x20ftypisom', 'video/mp4', 'mp4', true],
		['\x00\x00\x00\x20ftypmp42', 'video/mp4', 'mp4', true],
		['\x00\x00\x00\x20ftypqt  ', 'video/quicktime', 'mov', true],
		['\x1a\x45\xdf\xa3....', 'video/webm', 'webm', true],
		['RIFF\x10\x00\x00\x00AVI LIST', 'video/x-msvideo', 'avi', true],
		['RIFF\x10\x00\x00\x00WAVEfmt ', 'audio/wav', 'wav', true],
		['ID3\x04\x00', 'audio/mpeg', 'mp3', true],
		['\xff\xfb\x90\x64', 'audio/mpeg', 'mp3', true],
		['\xff\xf1\x50\x80', 'audio/aac', 'aac', true],
		['OggS\x00\x02', 'audio/ogg', 'ogg', true],
		['fLaC\x00', 'audio/flac', 'flac', true],
		['\x00\x00\x00\x20ftypM4A ', 'audio/mp4', 'm4a', true],
	])('%j is %s', (text, mimeType, extension, asInput) => {
		const type = fileTypeOf(bytes(text));
		expect(type).toMatchObject({ mimeType, extension });
		expect(type && isInputType(type, type.kind)).toBe(asInput);
	});

	it.each(['RIFF\x10\x00\x00\x00ACON', '%PDF-1.7', '\x7fELF\x02', '\x00\x00\x00\x20ftypheic', ''])(
		'does not recognize %j',
		(text) => expect(fileTypeOf(bytes(text))).toBeUndefined(),
	);

	it('does not accept a video as an image', () => {
		const video = fileTypeOf(bytes('\x00\x00\x00\x20ftypisom'));
		expect(video && isInputType(video, 'image')).toBe(false);
	});

	it('distinguishes a web page or other text from binary data', () => {
		expect(looksLikeText(bytes('\n <!doctype html>'))).toBe(true);
		expect(looksLikeText(bytes('{"error":1}'))).toBe(true);
		expect(looksLikeText(bytes('\x7fELF\x02'))).toBe(false);
	});

	it('property: any bytes have a type or none', () =>
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
				const buffer = Buffer.from(bytes);
				expect(['image', 'video', 'audio', undefined]).toContain(fileTypeOf(buffer)?.kind);
				expect(typeof looksLikeText(buffer)).toBe('boolean');
			}),
		));
});

describe('The ending of a name', () => {
	it.each([
		['a.PNG', 'image', 'image/png', true],
		['a.jpeg', 'image', 'image/jpeg', true],
		['https://cdn/a.svg', 'image', 'image/svg+xml', false],
		['a.m4v', 'video', 'video/x-m4v', false],
		['a.mkv', 'video', 'video/x-matroska', true],
		['a.m4a', 'audio', 'audio/mp4', true],
		['a.opus', 'audio', 'audio/ogg', false],
		['a.glb', 'file', 'model/gltf-binary', false],
		['a.safetensors', 'file', 'application/octet-stream', false],
		['a.dat', undefined, 'application/octet-stream', false],
		['constructor', undefined, 'application/octet-stream', false],
	])('of %s says %s, %s, and whether the first bytes show it: %s', (name, kind, mimeType, isDetected) => {
		expect(knownTypeByName(name)?.kind).toBe(kind);
		expect(kindByName(name)).toBe(kind === 'file' ? undefined : kind);
		expect(typeByName(name)).toMatchObject({ mimeType });
		expect(isDetectable(name)).toBe(isDetected);
	});
});
