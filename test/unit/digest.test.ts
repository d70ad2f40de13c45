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
