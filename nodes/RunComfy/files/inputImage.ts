import type { IBinaryData, IBinaryKeyData, IExecuteFunctions } from 'n8n-workflow';

import { FieldError } from '../fieldError';
import { inputImageTypeOf, SNIFF_BYTES } from './imageTypes';
import { BYTES_PER_MB } from './sizes';

/** The label of the field, as errors name it. */
const FIELD = 'Input Data Field Name';

/** An image of the item that has been checked and not yet been read. */
export interface InputImage {
	/** The whole image as a data URI. */
	toDataUri(): Promise<string>;
}

/**
 * Finds the image in the item's binary data, however n8n keeps it, and checks what can be checked without reading it:
 * that it is there, that it is an image by its first bytes, and that it is not too large.
 * @throws FieldError naming the field and, when it is missing, what the item has instead.
 */
export async function openInputImage(
	context: IExecuteFunctions,
	itemIndex: number,
	fieldName: string,
	maxMegabytes: number,
): Promise<InputImage> {
	const binary = findBinary(context, itemIndex, fieldName);
	const size = await sizeOf(context, binary);
	if (size === 0) throw new FieldError(FIELD, `points to an empty file (“${fieldName}”)`);
	if (size !== undefined) assertSize(size, maxMegabytes, fieldName);
	const type = inputImageTypeOf(await firstBytes(context, binary));
	if (type === undefined) {
		throw new FieldError(FIELD, `points to a file that is not a JPEG, PNG or WebP image (“${fieldName}”)`);
	}
	return {
		async toDataUri() {
			const bytes = await context.helpers.getBinaryDataBuffer(itemIndex, fieldName);
			assertSize(bytes.length, maxMegabytes, fieldName);
			return `data:${type.mimeType};base64,${bytes.toString('base64')}`;
		},
	};
}

function assertSize(bytes: number, maxMegabytes: number, fieldName: string): void {
	if (bytes <= maxMegabytes * BYTES_PER_MB) return;
	const megabytes = (bytes / BYTES_PER_MB).toFixed(1);
	throw new FieldError(
		FIELD,
		`points to a file of ${megabytes} MB (“${fieldName}”), more than the ${maxMegabytes} MB of the option “Max Image Size (MB)”`,
	);
}

function findBinary(context: IExecuteFunctions, itemIndex: number, fieldName: string): IBinaryData {
	const fields = context.getInputData()[itemIndex]?.binary ?? {};
	const binary = Object.hasOwn(fields, fieldName) ? fields[fieldName] : undefined;
	if (binary !== undefined) return binary;
	try {
		// A newer n8n may keep files inside the JSON; its own helper knows where.
		return context.helpers.assertBinaryData(itemIndex, fieldName);
	} catch {
		throw missingFile(fields, fieldName);
	}
}

function missingFile(fields: IBinaryKeyData, fieldName: string): FieldError {
	const names = Object.keys(fields).map((name) => `“${name}”`);
	const has = names.length === 0 ? 'This item has no files' : `This item has: ${names.join(', ')}`;
	return new FieldError(
		FIELD,
		fieldName === '' ? 'is empty' : `names no file of this item (“${fieldName}”)`,
		`${has}.`,
	);
}

/** In bytes; undefined when n8n does not say. */
async function sizeOf(context: IExecuteFunctions, binary: IBinaryData): Promise<number | undefined> {
	if (typeof binary.bytes === 'number') return binary.bytes;
	if (binary.id === undefined) return Math.floor((binary.data.length * 3) / 4);
	const metadata = await context.helpers.getBinaryMetadata(binary.id);
	return typeof metadata.fileSize === 'number' ? metadata.fileSize : undefined;
}

async function firstBytes(context: IExecuteFunctions, binary: IBinaryData): Promise<Buffer> {
	if (binary.id === undefined) return Buffer.from(binary.data.slice(0, SNIFF_BYTES * 2), 'base64');
	const stream = await context.helpers.getBinaryStream(binary.id, SNIFF_BYTES * 4);
	for await (const chunk of stream) {
		// Leaving the loop destroys the stream.
		return Buffer.from(chunk as Uint8Array);
	}
	return Buffer.alloc(0);
}
