/** Node's Readable, as far as it is used here: a node may not import `stream`. */
export interface ByteStream extends AsyncIterable<unknown> {
	on(event: string, listener: (given?: unknown) => void): unknown;
	destroy(): unknown;
}

export function isStream(value: unknown): value is ByteStream {
	return typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'destroy' in value;
}

/**
 * Reads a stream into memory. Listeners cost less than an iterator: most answers are one chunk.
 * @returns undefined, and the stream is destroyed, when it is longer than that.
 * @throws the stream's error.
 */
export async function readBytes(stream: ByteStream, maxBytes: number): Promise<Buffer | undefined> {
	return await new Promise((resolve, reject) => {
		const chunks: Uint8Array[] = [];
		let bytes = 0;
		stream.on('data', (chunk) => {
			if (chunk instanceof Uint8Array) chunks.push(chunk);
			bytes += chunk instanceof Uint8Array ? chunk.length : Infinity;
			if (bytes <= maxBytes) return;
			stream.destroy();
			resolve(undefined);
		});
		stream.on('end', () => resolve(Buffer.concat(chunks)));
		// Also without a reader: an error without a listener would crash n8n.
		stream.on('error', reject);
		stream.on('close', () => reject(new Error('The answer ended early')));
	});
}
