/** Hashes of texts and files, which are read block by block, so that large ones are not copied as a whole. */

/** Three bytes are four characters in Base64: a block of bytes is a whole number of these. */
const BLOCK_BYTES = 999_999;
const BLOCK_BASE64_CHARACTERS = (BLOCK_BYTES / 3) * 4;

/** @returns SHA-256 as hexadecimal digits; of several blocks, of their hashes, followed by their number. */
async function digestBlocks(
	blocks: AsyncIterable<Uint8Array<ArrayBuffer>> | Iterable<Uint8Array<ArrayBuffer>>,
): Promise<string> {
	const hashes: string[] = [];
	for await (const block of blocks) {
		hashes.push(Buffer.from(await crypto.subtle.digest('SHA-256', block)).toString('hex'));
	}
	const [first = ''] = hashes;
	// The number of blocks tells a large file from a small one that contains its hashes.
	return hashes.length === 1 ? first : `${await digest(hashes.join())}-${hashes.length}`;
}

export async function digest(text: string): Promise<string> {
	return await digestBlocks(textBlocks(text));
}

/** The same hash as `digestBase64` of the same bytes. */
export async function digestStream(stream: AsyncIterable<unknown>): Promise<string> {
	return await digestBlocks(streamBlocks(stream));
}

export async function digestBase64(base64: string): Promise<string> {
	return await digestBlocks(base64Blocks(base64));
}

function* textBlocks(text: string): Iterable<Uint8Array<ArrayBuffer>> {
	for (let from = 0; from === 0 || from < text.length; from += BLOCK_BYTES) {
		// As UTF-16, because UTF-8 has no half of a character.
		yield Buffer.from(text.slice(from, from + BLOCK_BYTES), 'utf16le');
	}
}

function* base64Blocks(base64: string): Iterable<Uint8Array<ArrayBuffer>> {
	for (let from = 0; from === 0 || from < base64.length; from += BLOCK_BASE64_CHARACTERS) {
		yield Buffer.from(base64.slice(from, from + BLOCK_BASE64_CHARACTERS), 'base64');
	}
}

async function* streamBlocks(stream: AsyncIterable<unknown>): AsyncIterable<Uint8Array<ArrayBuffer>> {
	let chunks: Array<Uint8Array<ArrayBuffer>> = [];
	let length = 0;
	for await (const chunk of stream) {
		const bytes = chunk as Uint8Array<ArrayBuffer>;
		chunks.push(bytes);
		length += bytes.length;
		if (length < BLOCK_BYTES) continue;
		// Some storages give a whole file as one chunk, which is not copied.
		let rest = chunks.length === 1 ? bytes : Buffer.concat(chunks);
		for (; rest.length >= BLOCK_BYTES; rest = rest.subarray(BLOCK_BYTES)) {
			yield rest.subarray(0, BLOCK_BYTES);
		}
		chunks = [rest];
		length = rest.length;
	}
	if (length > 0) yield Buffer.concat(chunks);
}
