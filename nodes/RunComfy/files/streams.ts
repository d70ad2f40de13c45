import { type ByteStream, DownloadProblem, type FetchedFile } from './fetchFile';
import { BYTES_PER_MB } from './fileTypes';

/**
 * Reads the first bytes of a stream and puts them back. A file with fewer bytes `isWhole`: its bytes are not put back,
 * because a stream that has ended does not accept them.
 */
export async function peek(file: FetchedFile, bytes: number): Promise<{ head: Buffer; isWhole: boolean }> {
	const { stream } = file;
	const chunks: Buffer[] = [];
	let length = 0;
	while (length < bytes) {
		const chunk: unknown = stream.read();
		if (chunk === null) {
			if (stream.readableEnded || stream.destroyed || (await moreOrEnd(stream)) === 'end') break;
			continue;
		}
		const buffer = Buffer.from(chunk as Uint8Array);
		chunks.push(buffer);
		length += buffer.length;
		file.touch();
	}
	const problem = file.problem();
	if (problem !== undefined) throw problem;
	const head = Buffer.concat(chunks);
	if (length < bytes) return { head, isWhole: true };
	stream.unshift(head);
	return { head: head.subarray(0, bytes), isWhole: false };
}

async function moreOrEnd(stream: ByteStream): Promise<'more' | 'end'> {
	return await new Promise((resolve, reject) => {
		const finish = (then: () => void) => () => {
			for (const [event, listener] of listeners) stream.off(event, listener);
			then();
		};
		const listeners: Array<[string, (...args: unknown[]) => void]> = [
			['readable', finish(() => resolve('more'))],
			['end', finish(() => resolve('end'))],
			['close', finish(() => resolve('end'))],
			[
				'error',
				(error: unknown) => finish(() => reject(error instanceof Error ? error : new Error('lost')))(),
			],
		];
		for (const [event, listener] of listeners) stream.once(event, listener);
	});
}

/** Ends a download as soon as the file exceeds the user's limit. n8n then discards what it has stored of the file. */
export class SizeLimit {
	received = 0;
	/** Set when the file has exceeded the limit. */
	problem: DownloadProblem | undefined;

	constructor(
		private readonly file: FetchedFile,
		private readonly maxMegabytes: number,
	) {}

	/** @throws DownloadProblem. */
	check(bytes: number): void {
		if (bytes <= this.maxMegabytes * BYTES_PER_MB) return;
		this.problem = new DownloadProblem(
			`the file is larger than the ${this.maxMegabytes} MB of the option “Max File Size (MB)”`,
			false,
		);
		throw this.problem;
	}

	/**
	 * The file's stream with this limit applied. `map` exists in Node's streams since version 16, but is experimental;
	 * without it, the file is held in memory.
	 */
	async guard(): Promise<ByteStream | Buffer> {
		const { stream } = this.file;
		const count = (chunk: Uint8Array): Uint8Array => {
			this.received += chunk.length;
			this.file.touch();
			this.check(this.received);
			return chunk;
		};
		if (typeof stream.map === 'function') return stream.map(count);
		const chunks: Uint8Array[] = [];
		for await (const chunk of stream) chunks.push(count(chunk as Uint8Array));
		return Buffer.concat(chunks);
	}
}
