import { Readable } from 'node:stream';

import { digest, digestBase64, digestStream } from '../../nodes/RunComfy/common/digest';

describe('Digests', () => {
	it.each([1, 999_998, 999_999, 1_000_000, 2_999_997, 3_500_000])(
		'of %i bytes are the same however n8n keeps the file, and in whatever pieces it comes',
		async (length) => {
			const bytes = Buffer.alloc(length, 'abcdefg');
			const expected = await digestBase64(bytes.toString('base64'));
			for (const pieceLength of [65_536, 1_000_001, length]) {
				const pieces: Buffer[] = [];
				for (let from = 0; from < length; from += pieceLength)
					pieces.push(bytes.subarray(from, from + pieceLength));
				expect(await digestStream(Readable.from(pieces))).toBe(expected);
			}
			bytes[length - 1] = 0;
			expect(await digestBase64(bytes.toString('base64'))).not.toBe(expected);
		},
	);

	it('tell a large file from a small one that contains the hashes of its blocks', async () => {
		const hashOf = async (bytes: Buffer) => await digestStream(Readable.from([bytes]));
		const blocks = [Buffer.alloc(999_999, 'a'), Buffer.alloc(5, 'b')];
		const hashes = await Promise.all(blocks.map(hashOf));
		expect(await hashOf(Buffer.from(hashes.join()))).not.toBe(await hashOf(Buffer.concat(blocks)));
	});

	it('of texts differ by an emoji at the boundary of two blocks', async () => {
		const before = 'a'.repeat(999_998);
		expect(await digest(`${before}😀`)).not.toBe(await digest(`${before}😁`));
	});

	it('of a file that comes as one chunk are made without a copy of it', async () => {
		const bytes = Buffer.alloc(3_500_000, 'abcdefg');
		const read = jest.spyOn(crypto.subtle, 'digest');
		await digestStream(Readable.from([bytes]));
		const blocks = read.mock.calls.slice(0, 3).map(([, block]) => (block as Uint8Array).buffer);
		read.mockRestore();
		expect(blocks.every((buffer) => buffer === bytes.buffer)).toBe(true);
	});

	it('of texts differ when a character far behind differs', async () => {
		const text = 'x'.repeat(2_500_000);
		expect(await digest(text)).toBe(await digest(text));
		expect(await digest(`${text}a`)).not.toBe(await digest(`${text}b`));
	});
});
