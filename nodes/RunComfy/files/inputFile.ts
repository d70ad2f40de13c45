import type { IBinaryData, IExecuteFunctions } from 'n8n-workflow';

import { cleanReason } from '../api/problems';
import { FieldError, toError } from '../util/errors';
import { type AddressRules, findFileUrlProblem } from '../api/urls';
import { BYTES_PER_MB, type FileKind, inputTypeOf, nameKind, SNIFF_BYTES } from './fileTypes';

/** The other choice of the option “Send Files As”. */
export const TEMPORARY_LINK = 'Temporary Link to This n8n';

/** Which files are accepted, and how they are sent. */
export interface FileRules extends AddressRules {
	maxMegabytes: number;
	/** How long the link to a file works; undefined to send the file itself. */
	linkSeconds: number | undefined;
}

/** Which file of the item to open, and what it must be. */
export interface InputFileOptions extends FileRules {
	/** The label of the field, for error messages. */
	label: string;
	/** The name of the item's binary field. */
	fieldName: string;
	/** The required kind; undefined to accept any file. */
	kind: FileKind | undefined;
	/** The formats that are accepted, by extension; undefined for all of the kind. */
	formats?: { names: string; extensions: string[] };
}

/** The value of an input that may be large. It is read only when it is sent. */
export interface InputSource {
	/** The approximate length of what `read` returns, in bytes. */
	bytes: number;
	/** @returns the URL of a file, a temporary link to it, or a whole file as a data URI. */
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
	{ label, fieldName, kind, formats, ...rules }: InputFileOptions,
): Promise<InputSource & { megabytes: number | undefined }> {
	const refuse = (problem: string, advice?: string): never => {
		throw new FieldError(label, problem, advice);
	};
	const { maxMegabytes, linkSeconds } = rules;
	const assertSize = (size: number, max: number, limit: string, advice?: string): void => {
		const megabytes = (size / BYTES_PER_MB).toFixed(1);
		if (size > max)
			refuse(`points to a file of ${megabytes} MB (“${fieldName}”), more than ${limit}`, advice);
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
	if (binary.id === undefined && !BASE64.test(binary.data))
		refuse(`points to a file whose contents are not base64 (“${fieldName}”)`);
	const size = await stored(async () => await fileSizeOf(context, binary));
	const head = size === 0 ? undefined : await stored(async () => await firstBytes(context, binary));
	// What an item says of a file's size may be wrong.
	if (head === undefined || head.length === 0) return refuse(`points to an empty file (“${fieldName}”)`);
	const type = inputTypeOf(head, binary.fileName);
	if (kind !== undefined && (type?.kind !== kind || formats?.extensions.includes(type.extension) === false)) {
		refuse(`points to a file that is not ${formats?.names ?? nameKind(kind)} (“${fieldName}”)`);
	}
	const checkSize = (bytes: number): void => {
		const max = `the ${maxMegabytes} MB of the option “Max File Size (MB)”`;
		assertSize(bytes, maxMegabytes * BYTES_PER_MB, max);
		if (linkSeconds !== undefined) return;
		const mebibytes = MAX_DATA_URI_MIB[kind ?? type?.kind ?? 'file'];
		const limit = `the ${mebibytes} MiB that RunComfy takes as a data URI`;
		assertSize(bytes, mebibytes * 2 ** 20, limit, TOO_LARGE_ADVICE);
	};
	checkSize(size ?? 0);
	const megabytes = size === undefined ? undefined : size / BYTES_PER_MB;
	if (linkSeconds !== undefined) {
		const read = async () => createLink(context, binary, fieldName, { ...rules, linkSeconds });
		// What is wrong with a link shows now, before anything is submitted.
		return { megabytes, bytes: (await read()).length, read };
	}
	const claimed = MIME_TYPE.test(binary.mimeType) ? binary.mimeType : 'application/octet-stream';
	const mimeType = type?.mimeType ?? claimed;
	return {
		megabytes,
		bytes: Math.ceil((size ?? maxMegabytes * BYTES_PER_MB) * BASE64_GROWTH),
		async read() {
			const bytes = await stored(async () => await context.helpers.getBinaryDataBuffer(itemIndex, fieldName));
			checkSize(bytes.length);
			return `data:${mimeType};base64,${bytes.toString('base64')}`;
		},
	};
}

/** The limits of RunComfy's own ComfyUI nodes; for other files, that of videos [assumed]. */
const MAX_DATA_URI_MIB = { image: 6, audio: 16, video: 32, file: 32 };
const TOO_LARGE_ADVICE = `Set the option “Send Files As” to “${TEMPORARY_LINK}”, or upload the file to a storage service and enter its URL. Nothing was submitted for this item.`;

/**
 * A link under which n8n gives the file to whoever has it, for a limited time.
 * @throws FieldError where n8n can make none, or RunComfy could not reach it.
 */
function createLink(
	{ helpers }: IExecuteFunctions,
	binary: IBinaryData,
	fieldName: string,
	{ linkSeconds, ...rules }: FileRules & { linkSeconds: number },
): string {
	const refuse = (why: string, advice: string): never => {
		const problem = `cannot be “${TEMPORARY_LINK}” for the file “${fieldName}”: ${why}`;
		throw new FieldError('Send Files As', problem, `${advice}, or choose “Data URI”. Nothing was submitted.`);
	};
	const { createBinarySignedUrl }: Partial<Pick<typeof helpers, 'createBinarySignedUrl'>> = helpers;
	if (createBinarySignedUrl === undefined) return refuse('this n8n makes no such links', 'Update n8n');
	if (binary.id === undefined) {
		return refuse(
			'n8n keeps it in memory',
			'Have n8n store files outside of it (N8N_DEFAULT_BINARY_DATA_MODE, for example “filesystem”)',
		);
	}
	const link = createBinarySignedUrl(binary, `${linkSeconds}s`);
	const problem = findFileUrlProblem(link, rules);
	if (problem === undefined) return link;
	return refuse(
		`the address of this n8n ${problem}`,
		'Have the operator set WEBHOOK_URL to the public https:// address of this n8n',
	);
}

const MIME_TYPE = /^[\w.+-]+\/[\w.+-]+$/;
const BASE64 = /^[\w+/-]*={0,2}\s*$/;
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
