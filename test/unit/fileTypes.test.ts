import * as fc from 'fast-check';

import {
	fileTypeOf,
	inputTypeOf,
	isSubstitute,
	kindByName,
	knownTypeByName,
	typeOfFile,
} from '../../nodes/RunComfy/files/fileTypes';

const bytes = (text: string) => Buffer.from(text, 'latin1');

describe('fileTypeOf', () => {
	it.each([
		['\x89PNG\r\n\x1a\nrest', 'image/png', 'png'],
		['\xff\xd8\xff\xe0rest', 'image/jpeg', 'jpg'],
		['RIFF\x10\x00\x00\x00WEBPVP8 ', 'image/webp', 'webp'],
		['GIF89a......', 'image/gif', 'gif'],
		['\x00\x00\x00\x20ftypavif', 'image/avif', 'avif'],
		['\x00\x00\x00\x20ftypisom', 'video/mp4', 'mp4'],
		['\x00\x00\x00\x20ftypmp42', 'video/mp4', 'mp4'],
		['\x00\x00\x00\x20ftypqt  ', 'video/quicktime', 'mov'],
		['\x1a\x45\xdf\xa3....', 'video/webm', 'webm'],
		['RIFF\x10\x00\x00\x00AVI LIST', 'video/x-msvideo', 'avi'],
		['RIFF\x10\x00\x00\x00WAVEfmt ', 'audio/wav', 'wav'],
		['ID3\x04\x00', 'audio/mpeg', 'mp3'],
		['\xff\xfb\x90\x64', 'audio/mpeg', 'mp3'],
		['\xff\xf1\x50\x80', 'audio/aac', 'aac'],
		['OggS\x00\x02', 'audio/ogg', 'ogg'],
		['fLaC\x00', 'audio/flac', 'flac'],
		['\x00\x00\x00\x20ftypM4A ', 'audio/mp4', 'm4a'],
		['\x00\x00\x00\x20ftypheic', 'image/heic', 'heic'],
		['BM\x10\x00\x00\x00\x00\x00\x00\x00', 'image/bmp', 'bmp'],
		['II*\x00\x08', 'image/tiff', 'tiff'],
		['v/1\x01\x02', 'image/x-exr', 'exr'],
		['<?xml version="1.0"?>\n<!-- made -->\n<svg xmlns="x">', 'image/svg+xml', 'svg'],
		['FORM\x00\x00\x00\x10AIFF', 'audio/aiff', 'aiff'],
		['glTF\x02\x00\x00\x00', 'model/gltf-binary', 'glb'],
		['8BPS\x00\x01', 'image/vnd.adobe.photoshop', 'psd'],
		['%PDF-1.7', 'application/pdf', 'pdf'],
	])('%j is %s', (text, mimeType, extension) => {
		expect(fileTypeOf(bytes(text))).toMatchObject({ mimeType, extension });
	});

	it.each(['RIFF\x10\x00\x00\x00ACON', 'BMW is a make', '\x7fELF\x02', '\x00\x00\x00\x20ftypcrx ', ''])(
		'does not recognize %j',
		(text) => expect(fileTypeOf(bytes(text))).toBeUndefined(),
	);

	it.each([
		['a.png', 'GIF89a', 'image', 'gif'],
		['a.mp4', '\x00\x00\x00\x20ftypisom', 'video', 'mp4'],
		['a.m4a', '\x00\x00\x00\x20ftypisom', 'audio', 'm4a'],
		['a.pcm', '\x00\x01\x00\x02', 'audio', 'pcm'],
		['a.pcm', '<html>', undefined, undefined],
		['a.png', '\x7fELF', undefined, undefined],
		['a', '\x00\x01', undefined, undefined],
	])('as an input, %s that begins with %j is of the kind %s', (name, text, kind, extension) => {
		const type = inputTypeOf(bytes(text), name);
		expect([type?.kind, type?.extension]).toEqual([kind, extension]);
	});

	it('property: any bytes have a type or none, whatever the name', () =>
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 40 }), fc.string(), (array, name) => {
				const buffer = Buffer.from(array);
				expect(['image', 'video', 'audio', 'file', undefined]).toContain(fileTypeOf(buffer)?.kind);
				expect(typeOfFile(buffer, name)).toEqual({
					mimeType: expect.stringContaining('/') as string,
					extension: expect.stringMatching(/^[a-z0-9]+$/) as string,
				});
			}),
		));
});

const PNG = '\x89PNG\r\n\x1a\n';

describe('The type of a downloaded file', () => {
	it.each([
		['a.png', PNG, 'png', 'image/png'],
		['a.jpeg', PNG, 'png', 'image/png'],
		['', PNG, 'png', 'image/png'],
		['a.dat', PNG, 'png', 'image/png'],
		['a.png', '\x7fELF', 'png', 'application/octet-stream'],
		['a.pcm', '\xff\xfb\x90\x64', 'pcm', 'audio/pcm'],
		['a.mkv', '\x1a\x45\xdf\xa3', 'mkv', 'video/x-matroska'],
		['a.opus', 'OggS\x00', 'ogg', 'audio/ogg'],
		['a.zip', 'PK\x03\x04', 'zip', 'application/zip'],
		['a.latent', '{"a":1}', 'latent', 'application/octet-stream'],
		['a.XYZ', 'PK\x03\x04', 'xyz', 'application/octet-stream'],
		['a', '\x00\x01', 'bin', 'application/octet-stream'],
	])('%s that begins with %j is stored as .%s, %s', (name, text, extension, mimeType) =>
		expect(typeOfFile(bytes(text), name)).toEqual({ extension, mimeType }),
	);

	it.each([
		['a.png', '<!DOCTYPE html><title>Not found</title>', true],
		['a.glb', '\n<html><body>Not found</body></html>', true],
		['a', '\xef\xbb\xbf<!-- x --> <html>', true],
		['page.html', '<!DOCTYPE html><title>A page</title>', false],
		['a.zip', '<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', true],
		['model.xml', '<?xml version="1.0"?><mesh></mesh>', false],
		['a.svg', '<Error><Code>NoSuchKey</Code></Error>', true],
		['a.svg', '<!-- a long comment', false],
		['a.bin', '{"error": "not found"}', true],
		['a', '{"statusCode": 404, "message": "gone"}', true],
		['a.gltf', '{"asset": {"message": 1}}', false],
		['a.json', '{"error": "is what it is about"}', false],
		['a.png', 'Not found', true],
		['a.srt', '1\n00:00 --> 00:01\nNot found', false],
		['a.bmp', 'BM\x10\x00\x00\x00\x00\x00\x00\x00', false],
		['a', '<title>Sign in</title>', true],
		['a', '<meta http-equiv="refresh" content="0">', true],
		['a.obj', '<script>location = "/login"</script>', true],
		['a', '<?xml version="1.0"?><?xml-stylesheet href="x"?><html>', true],
		['a.html', '<title>Page</title>', false],
		['a.png', 'Le fichier demand\xe9 est introuvable', true],
		['a.png', '\x7fELF\x02', false],
		['a.png', '\x89', false],
	])('%s that begins with %j is an error text: %s', (name, text, isError) =>
		expect(isSubstitute(bytes(text), name)).toBe(isError),
	);
});

describe('A file whose name says nothing', () => {
	it.each(['This link has expired', '{"success":false}', '<b>Not found', 'Demandé: non trouvé', '', '\x89'])(
		'that begins with %j is an error text where RunComfy calls it an image',
		(text) => {
			const isError = text.length > 1;
			for (const name of ['', '123', 'view.php', 'v1.5']) {
				expect(isSubstitute(bytes(text), name, 'image')).toBe(isError);
				expect(isSubstitute(bytes(text), name)).toBe(false);
			}
			expect(isSubstitute(bytes(text), 'a.obj', 'image')).toBe(false);
		},
	);

	it('is an image where its first bytes say so', () => {
		for (const text of ['\x89PNG\r\n\x1a\nrest', '<svg xmlns="x">', '\x93NUMPY\x01\0', '\0\0\x01\0'])
			expect(isSubstitute(bytes(text), '123', 'image')).toBe(false);
	});
});

it('A web page in UTF-16 is one', () => {
	const page = Buffer.from('\ufeff<!doctype html><html>', 'utf16le');
	for (const encoded of [page, Buffer.from(page).swap16(), page.subarray(0, -1)])
		expect(isSubstitute(encoded, 'a.png')).toBe(true);
	expect(isSubstitute(Buffer.from([0xfe, 0xff, 0x3c]), 'a.png')).toBe(false);
});

it.each(['<!-- -->', ' ', '{"a":1,', '"a":', '<?xml '])(
	'Hostile bytes (%j again and again) are read fast',
	(text) => {
		const buffer = bytes(`${text.repeat(1_000).slice(0, 500)}\0`.repeat(100));
		for (const name of ['a.png', 'a', 'a.svg']) isSubstitute(buffer, name);
		fileTypeOf(buffer);
	},
	1_000,
);

describe('The ending of a name', () => {
	it.each([
		['a.PNG', 'image', 'image/png'],
		['a.jpeg', 'image', 'image/jpeg'],
		['https://cdn/a.svg', 'image', 'image/svg+xml'],
		['a.m4v', 'video', 'video/x-m4v'],
		['a.m4a', 'audio', 'audio/mp4'],
		['a.opus', 'audio', 'audio/ogg'],
		['a.pcm', 'audio', 'audio/pcm'],
		['a.psd', 'file', 'image/vnd.adobe.photoshop'],
		['a.glb', 'file', 'model/gltf-binary'],
		['a.safetensors', 'file', 'application/octet-stream'],
		['a.dat', undefined, undefined],
		['constructor', undefined, undefined],
	])('of %s says %s, %s', (name, kind, mimeType) => {
		expect(knownTypeByName(name)?.kind).toBe(kind);
		expect(knownTypeByName(name)?.mimeType).toBe(mimeType);
		expect(kindByName(name)).toBe(kind === 'file' ? undefined : kind);
	});
});
