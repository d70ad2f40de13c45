import * as fc from 'fast-check';

import { nameInUrl, outputFieldName, outputFileStems } from '../../nodes/RunComfy/files/fileNames';

const stems = (fileName: string, ...urls: string[]) =>
	outputFileStems(
		urls.map((url) => ({ name: nameInUrl(url), kind: 'image' })),
		fileName,
	);

describe('outputFileStems', () => {
	it.each([
		['', 'https://cdn/x/pic-1.png?sig=1', 'pic-1'],
		['', 'https://cdn/', 'image'],
		['', 'no address', 'image'],
		['', 'https://cdn/a%20b.jpeg', 'a b'],
		['', 'https://cdn/%E0%A4%A', 'image'],
		['', 'https://cdn/..%2F..%2Fetc', '_.._etc'],
		['summer', 'https://cdn/x.png', 'summer'],
		['../../etc/passwd', 'https://cdn/x.png', '_.._etc_passwd'],
		['a\nb"c', 'https://cdn/x.png', 'a_b_c'],
		['photo\u202egnp.exe', 'https://cdn/x.png', 'photo_gnp.exe'],
		['cut \ud83c', 'https://cdn/x.png', 'cut _'],
		['...', 'https://cdn/x.png', 'x'],
		['Grüße 東京', 'https://cdn/x.png', 'Grüße 東京'],
		['🎉'.repeat(200), 'https://cdn/x.png', '🎉'.repeat(57)],
		['商'.repeat(120), 'https://cdn/x.png', '商'.repeat(76)],
		['a'.repeat(300), 'https://cdn/x.png', 'a'.repeat(230)],
		['con', 'https://cdn/x.png', '_con'],
		['', 'https://cdn/NUL.tar.png', '_NUL.tar'],
		['Lpt1 .x', 'https://cdn/x.png', '_Lpt1 .x'],
		['console', 'https://cdn/x.png', 'console'],
		['-rf', 'https://cdn/x.png', '_rf'],
		['.env', 'https://cdn/x.png', 'env'],
		['a\u200bb\u2028c\ufeffd', 'https://cdn/x.png', 'a_b_c_d'],
	])('%j from %s is %s', (fileName, url, name) => expect(stems(fileName, url)).toEqual([name]));

	it.each([
		['the user’s name', 'summer', '1.png 2.png 3.png', 'summer summer_1 summer_2'],
		['the same name in several folders', '', 'x/out.png y/out.png', 'out out_1'],
		['names that differ in capitals only', '', 'Out.png out.png', 'Out out_1'],
		['a name that is already numbered', '', 'o_1.png x/o.png y/o.png', 'o_1 o o_2'],
		['no names', '', 'x/ y/', 'image image_1'],
	])('makes %s different', (_, fileName, paths, names) => {
		const urls = paths.split(' ').map((path) => `https://a/${path}`);
		expect(stems(fileName, ...urls)).toEqual(names.split(' '));
	});

	it('property: whatever the names, all are different and none is a path', () => {
		const url = fc.oneof(
			fc.webUrl(),
			fc.string({ unit: 'binary' }).map((text) => `https://a.b/${text}`),
			fc.string(),
		);
		const name = fc.oneof(
			fc.constant(''),
			fc.string({ unit: 'binary', maxLength: 300 }),
			fc.constantFrom('con', '-', '商'.repeat(200)),
		);
		fc.assert(
			fc.property(fc.array(url, { maxLength: 12 }), name, (urls, fileName) => {
				const found = stems(fileName, ...urls);
				expect(new Set(found.map((one) => one.toLowerCase())).size).toBe(urls.length);
				for (const one of found) {
					expect(one).not.toMatch(
						/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}/\\:*?"<>|]|^[-.\s]|[.\s]$|^(con|nul)(\.|$)|^$/iu,
					);
					expect(Buffer.byteLength(`${one}.safetensors`)).toBeLessThanOrEqual(255);
				}
			}),
		);
	});

	it.each([
		['ComfyUI_00001_.latent', 'ComfyUI_00001_'],
		['style.v2.safetensors', 'style.v2'],
		['mesh', 'mesh'],
	])('takes the extension off a file’s own name: %s', (name, stem) =>
		expect(outputFileStems([{ name, kind: 'file' }], '')).toEqual([stem]),
	);

	it('is fast for thousands of files of the same name', () => {
		const found = stems('', ...Array.from({ length: 30_000 }, (_, n) => `https://a/${n}/Out.png`));
		expect(new Set(found).size).toBe(30_000);
		expect(found.at(-1)).toBe('Out_29999');
	}, 3_000);

	it(
		'is fast on hostile text',
		() => expect(stems(`a${' '.repeat(500_000)}b`, 'https://a/x.png')).toEqual(['a']),
		2_000,
	);
});

it('There is a field for each file', () =>
	expect([0, 1, 2].map((i) => outputFieldName('data', i))).toEqual(['data', 'data_1', 'data_2']));
