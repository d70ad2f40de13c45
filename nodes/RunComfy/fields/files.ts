import type { JsonObject } from '../api/json';
import type { AddressRules } from '../api/urls';
import type { FileKind } from '../files/fileTypes';
import {
	hasInputFile,
	openInputFile,
	TEMPORARY_LINK,
	urlSource,
	type FileRules,
	type InputSource,
} from '../files/inputFile';
import type { InputField } from '../models/inputSchema';
import { inputLabel, type FileInput } from '../models/inputValues';
import { FieldError } from '../util/errors';
import { type Item, urlOf } from './item';
import type { Options } from './options';

/** The file inputs of a request. They are checked now, and read only when they are sent, because files may be large. */
export interface FileInputs {
	/** What may be wrong where RunComfy refuses the request; undefined when only URLs are sent. */
	advice: string | undefined;
	/** The approximate size in the body, in bytes. */
	bytes: number;
	read(): Promise<JsonObject>;
}

/** How much longer a link to a file works than the node waits for the item. */
const LINK_MARGIN_SECONDS = 3_600;

/**
 * Reads which files are accepted, and how they are sent.
 * @throws FieldError.
 */
export function readFileRules(options: Options, rules: AddressRules): FileRules {
	const isLink = options.choice('sendFilesAs') === 'temporaryUrl';
	const linkSeconds = isLink ? Math.ceil(options.number('timeout')) + LINK_MARGIN_SECONDS : undefined;
	return { ...rules, maxMegabytes: options.number('maxFileSize'), linkSeconds };
}

/** What may be wrong where RunComfy refuses a file. That models accept data URIs is [assumed]: one may accept only URLs. */
export function fileAdvice({ linkSeconds }: FileRules): string {
	return linkSeconds === undefined
		? `A file was sent as a data URI, which the model may not accept. Set the option “Send Files As” to “${TEMPORARY_LINK}”, or upload the file to a storage service and enter its URL.`
		: 'A file was sent as a link to this n8n. Check that RunComfy can reach this n8n over the internet without a login.';
}

/**
 * Opens the files that the user has specified by URL or by the name of one of the item's files, all at once.
 * @throws FieldError.
 */
export async function openFileInputs(
	item: Item,
	fileInputs: FileInput[],
	rules: FileRules,
): Promise<FileInputs> {
	const opened = await Promise.all(
		fileInputs.map(async ({ field, sources }) => ({
			field,
			sources: await Promise.all(sources.map(async (source) => await open(item, field, source, rules))),
		})),
	);
	const all = opened.flatMap(({ sources }) => sources);
	return {
		advice: all.some(({ isItemFile }) => isItemFile) ? fileAdvice(rules) : undefined,
		bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
		async read() {
			const input: Array<[string, unknown]> = [];
			for (const { field, sources } of opened) {
				const values = await Promise.all(sources.map(async (source) => await source.read()));
				input.push([field.name, field.kind === 'files' ? values : values[0]]);
			}
			return Object.fromEntries(input);
		},
	};
}

/** Opens a URL, the name of one of the item's files, or the name of a file that is already on the machine of a deployment. */
async function open(
	item: Item,
	field: InputField,
	source: string,
	rules: FileRules,
): Promise<InputSource & { isItemFile: boolean }> {
	const label = inputLabel(field);
	const { choices = [], default: deployed } = field;
	const isAddress = /^[a-z][a-z0-9+.-]*:\/\//i.test(source);
	const isOwn = () => hasInputFile(item.context, item.index, source);
	const isOnMachine = choices.includes(source) || source === deployed;
	if (/^data:[a-z]+\//i.test(source) || (!isAddress && isOnMachine && !isOwn()))
		return { ...urlSource(source), isItemFile: false };
	if (isAddress) return { ...urlSource(urlOf(source, label, rules)), isItemFile: false };
	if (!isOwn() && /[/\\.]/.test(source)) {
		throw new FieldError(
			label,
			`is neither a URL that begins with https:// nor the name of an input file (“${source}”)`,
			choices.length === 0 ? undefined : `On the machine are: ${choices.slice(0, 20).join(', ')}.`,
		);
	}
	return { ...(await openItemFile(item, field, source, rules)), isItemFile: true };
}

const FILE_KINDS = new Map<string | undefined, FileKind>([
	['image', 'image'],
	['video', 'video'],
	['audio', 'audio'],
]);

async function openItemFile(
	{ context, index }: Item,
	field: InputField,
	fieldName: string,
	rules: FileRules,
): Promise<InputSource> {
	const label = inputLabel(field);
	const kind = FILE_KINDS.get(field.fileKind);
	const file = await openInputFile(context, index, { ...rules, label, fieldName, kind });
	for (const { subject, comparison, value, problem } of field.fileRules ?? []) {
		// Only the size is known before the file is read. RunComfy checks the other rules.
		if (subject !== 'file_size_mb' || file.megabytes === undefined) continue;
		const holds = comparison === '<' ? file.megabytes < value : file.megabytes > value;
		if (!holds)
			throw new FieldError(
				label,
				`points to a file that the model does not accept (“${fieldName}”): ${problem}`,
			);
	}
	return file;
}
