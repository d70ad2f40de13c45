import { fileTypeOf } from './fileTypes';

/** Whether a file has come to its end, by its format. Pure. */

/** The number of bytes at the end of a file that show whether it is whole. */
const TAIL_BYTES = 64;

/** The size that a format states in its first bytes; 0 and the largest number mean that it was not known. */
function hasSize(bytes: number, stated: number): boolean | undefined {
	return stated === 0 || stated >= 0xffffff00 ? undefined : bytes >= stated;
}

type HasEnded = (head: Buffer, tail: string, bytes: number) => boolean | undefined;

const riff: HasEnded = (head, _tail, bytes) => hasSize(bytes - 8, head.readUInt32LE(4));

/** A number of EBML and the position after it; undefined where it is not known, or not there. */
function ebmlNumber(bytes: Buffer, at: number): { value: number; end: number } | undefined {
	const first = bytes[at] ?? 0;
	const length = Math.clz32(first) - 23;
	const digits = bytes.subarray(at + 1, at + length);
	if (first === 0 || digits.length < length - 1) return undefined;
	const value = digits.reduce((sum, digit) => sum * 256 + digit, first & (0xff >> length));
	return value === 2 ** (7 * length) - 1 ? undefined : { value, end: at + length };
}

/** A header, and then one segment, whose size is not known when the file was written as a stream. */
const ebml: HasEnded = (head, _tail, bytes) => {
	const header = ebmlNumber(head, 4);
	if (header === undefined) return undefined;
	const segment = ebmlNumber(head, header.end + header.value + 4);
	return segment === undefined ? undefined : bytes >= segment.end + segment.value;
};

/** How formats with an end show it. A few bytes may follow it. */
const ENDS = new Map<string, HasEnded>([
	['png', (_head, tail) => tail.includes('IEND\xaeB`\x82')],
	['gif', (_head, tail) => /\0;\0*$/.test(tail)],
	['svg', (_head, tail) => /<\/svg\s*>/.test(tail)],
	['pdf', (_head, tail) => tail.includes('%%EOF')],
	...['webp', 'wav', 'avi'].map((extension) => [extension, riff] as const),
	['aiff', (head, _tail, bytes) => hasSize(bytes - 8, head.readUInt32BE(4))],
	['bmp', (head, _tail, bytes) => hasSize(bytes, head.readUInt32LE(2))],
	['glb', (head, _tail, bytes) => hasSize(bytes, head.readUInt32LE(8))],
	['webm', ebml],
]);

/** Formats made of boxes, with the box that describes the contents. */
const BOXES = new Map([
	...['mp4', 'mov', 'm4a'].map((extension) => [extension, 'moov'] as const),
	...['avif', 'heic'].map((extension) => [extension, 'meta'] as const),
]);

/** Follows the bytes of a file as they come, and says at the end whether it is whole. */
export class FileEnd {
	/** How many bytes have come. */
	bytes = 0;
	private tail: Uint8Array = Buffer.alloc(0);
	/** The names of the boxes so far; the next one begins at `nextBox`, which is Infinity where there are none. */
	private readonly boxes = new Set<string>();
	private nextBox = 0;
	/** Where the next segment of a JPEG begins; Infinity after them, and where there are none. */
	private nextSegment = 0;
	/** Where the picture of a JPEG begins: what is before it may hold a small one with an end of its own. */
	private pictureAt = 0;

	push(chunk: Uint8Array): void {
		const start = this.bytes - this.tail.length;
		this.bytes += chunk.length;
		// The header of a box may begin in what came before.
		let both: Buffer | undefined;
		while (this.nextBox + 16 <= this.bytes) {
			both ??= Buffer.concat([this.tail, chunk]);
			this.readBox(both.subarray(this.nextBox - start));
		}
		while (this.nextSegment + 4 <= this.bytes) {
			both ??= Buffer.concat([this.tail, chunk]);
			this.readSegment(both.subarray(this.nextSegment - start));
		}
		this.tail = (chunk.length < TAIL_BYTES ? Buffer.concat([this.tail, chunk]) : chunk).subarray(-TAIL_BYTES);
	}

	private readBox(header: Buffer): void {
		const size = header.readUInt32BE(0);
		const name = header.toString('latin1', 4, 8);
		if (this.nextBox === 0 && name !== 'ftyp') this.nextBox = Infinity;
		else {
			this.boxes.add(name);
			const length = size === 1 ? Number(header.readBigUInt64BE(8)) : size;
			// 0: up to the end of the file.
			this.nextBox = length < 8 ? Infinity : this.nextBox + length;
		}
	}

	private readSegment(header: Buffer): void {
		const [mark, name = 0] = header;
		if (this.nextSegment === 0) this.nextSegment = header.readUInt16BE(0) === 0xffd8 ? 2 : Infinity;
		else if (mark !== 0xff || name === 0xda) {
			this.pictureAt = this.nextSegment;
			this.nextSegment = Infinity;
		} else this.nextSegment += name === 0xff ? 1 : 2 + header.readUInt16BE(2);
	}

	/**
	 * Whether it is whole; undefined where its format does not show that.
	 * @param head its first bytes.
	 */
	isWhole(head: Buffer): boolean | undefined {
		if (head.length < 16) return undefined;
		const extension = fileTypeOf(head)?.extension ?? '';
		const description = BOXES.get(extension);
		if (description === undefined) {
			const tail = Buffer.from(this.tail).toString('latin1');
			if (extension !== 'jpg') return ENDS.get(extension)?.(head, tail, this.bytes);
			const end = tail.lastIndexOf('\xff\xd9') + this.bytes - tail.length;
			return this.nextSegment === Infinity && tail.includes('\xff\xd9') && end >= this.pictureAt;
		}
		const { boxes, nextBox, bytes } = this;
		if (nextBox === Infinity) return undefined;
		// The last box may be smaller than what is read at once.
		const left = bytes - nextBox;
		const hasAll =
			left === 0 || (left === 8 && Buffer.from(this.tail).readUInt32BE(this.tail.length - 8) === 8);
		const hasContents = boxes.has(description) && (boxes.has('mdat') || boxes.has('moof'));
		// Fragments may follow, unless there is their index.
		return hasAll && hasContents ? !boxes.has('moof') || boxes.has('mfra') || undefined : false;
	}
}
