/** Node's Readable, as far as it is used here: a node may not import `stream`. */
export interface ByteStream extends AsyncIterable<unknown> {
	on(event: 'error', listener: () => void): unknown;
	destroy(): unknown;
}

export function isStream(value: unknown): value is ByteStream {
	return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'destroy' in value;
}

/** Reads a stream into memory; undefined, and the stream is destroyed, when it is longer than that. */
export async function readBytes(stream: ByteStream, maxBytes: number): Promise<Buffer | undefined> {
	// An error without a listener would crash n8n, also after the last reader has left.
	stream.on('error', () => {});
	const chunks: Uint8Array[] = [];
	let bytes = 0;
	for await (const chunk of stream) {
		if (!(chunk instanceof Uint8Array)) return undefined;
		bytes += chunk.length;
		if (bytes > maxBytes) return undefined;
		chunks.push(chunk);
	}
	return Buffer.concat(chunks);
}
