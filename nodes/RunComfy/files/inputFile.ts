import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { cleanReason } from '../api/problems';
import { FieldError, toError } from '../util/errors';
import { BYTES_PER_MB, type FileKind, fileTypeOf, isInputType, nameKind, SNIFF_BYTES } from './fileTypes';

/** Which file of the item to open, and what it must be. */
export interface InputFileOptions {
	/** The label of the field, for error messages. */
	label: string;
	/** The name of the item's binary field. */
	fieldName: string;
	/** The required kind; undefined to accept any file. */
	kind: FileKind | undefined;
	maxMegabytes: number;
}

/** The value of an input that may be large. It is read only when it is sent. */
export interface InputSource {
	/** The approximate length of what `read` returns, in bytes. */
	bytes: number;
	/** @returns the URL of a file, or a whole file as a data URI. */
	read(): Promise<string>;
}

/** A URL is sent as it is. */
export function urlSource(url: string): InputSource {
	return { bytes: url.length, read: async () => url };
}

/** True when the item has a file with that name. */
export function hasInputFile(context: IExecuteFunctions, itemIndex: number, fieldName: string): boolean {
	return findBinary(context, itemIndex, fieldName) !== undefined;
}

/**
 * Finds a file in the item's binary data, wherever n8n stores it, and checks it without reading all of it: that it exists,
 * that its first bytes are of the required kind, and that it is not too large.
 * @returns what reads it, and its size, which is undefined when n8n does not report it.
 * @throws FieldError with the label of the field; when the file is missing, the advice lists the files of the item.
 */
export async function openInputFile(
	context: IExecuteFunctions,
	itemIndex: number,
	{ label, fieldName, kind, maxMegabytes }: InputFileOptions,
): Promise<InputSource & { megabytes: number | undefined }> {
	const refuse = (problem: string, advice?: string): never => {
		throw new FieldError(label, problem, advice);
	};
	const assertSize = (size: number): void => {
		if (size > maxMegabytes * BYTES_PER_MB) {
			const megabytes = (size / BYTES_PER_MB).toFixed(1);
			const limit = `the ${maxMegabytes} MB of the option “Max File Size (MB)”`;
			refuse(`points to a file of ${megabytes} MB (“${fieldName}”), more than ${limit}`);
		}
	};
	const binary = findBinary(context, itemIndex, fieldName);
	if (binary === undefined) {
		const names = Object.keys(context.getInputData()[itemIndex]?.binary ?? {}).map((name) => `“${name}”`);
		const has = names.length === 0 ? 'This item has no files.' : `This item has: ${names.join(', ')}.`;
		return refuse(fieldName === '' ? 'is empty' : `names no file of this item (“${fieldName}”)`, has);
	}
	/** Errors of n8n's storages name no field: “File not found”. */
	const stored = async <T>(work: () => Promise<T>): Promise<T> =>
		await work().catch((error: unknown) => {
			const reason = cleanReason(toError(error).message) ?? 'no reason given';
			return refuse(
				`points to a file that n8n cannot read (“${fieldName}”): ${reason}`,
				'Nothing was submitted for this item. The file may have been deleted with its execution: run the workflow from the start. If it never works, check where n8n stores binary data (N8N_DEFAULT_BINARY_DATA_MODE).',
			);
		});
	const size = await stored(async () => await fileSizeOf(context, binary));
	if (size === 0) refuse(`points to an empty file (“${fieldName}”)`);
	assertSize(size ?? 0);
	const type = fileTypeOf(await stored(async () => await firstBytes(context, binary)));
	if (kind !== undefined && (type === undefined || !isInputType(type, kind))) {
		const expected = kind === 'image' ? 'a JPEG, PNG, or WebP image' : nameKind(kind);
		refuse(`points to a file that is not ${expected} (“${fieldName}”)`);
	}
	const mimeType = type?.mimeType ?? (binary.mimeType || 'application/octet-stream');
	return {
		megabytes: size === undefined ? undefined : size / BYTES_PER_MB,
		bytes: Math.ceil((size ?? maxMegabytes * BYTES_PER_MB) * BASE64_GROWTH),
		async read() {
			const read = async () => await context.helpers.getBinaryDataBuffer(itemIndex, fieldName);
			const bytes = await stored(read);
			assertSize(bytes.length);
			return `data:${mimeType};base64,${bytes.toString('base64')}`;
		},
	};
}

/** Base64 encodes three bytes as four characters. */
const BASE64_GROWTH = 4 / 3;

function findBinary(
	context: IExecuteFunctions,
	itemIndex: number,
	fieldName: string,
): IBinaryData | undefined {
	try {
		// Newer versions of n8n may keep files in the JSON, where their helper finds them. It also accepts `constructor`.
		const found = context.helpers.assertBinaryData(itemIndex, fieldName);
		return [found.data, found.mimeType].every((part: unknown) => typeof part === 'string')
			? found
			: undefined;
	} catch {
		return undefined;
	}
}

/** The size in bytes; undefined when n8n does not report it. */
async function fileSizeOf(context: IExecuteFunctions, binary: IBinaryData): Promise<number | undefined> {
	if (typeof binary.bytes === 'number' && binary.bytes >= 0) return binary.bytes;
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
