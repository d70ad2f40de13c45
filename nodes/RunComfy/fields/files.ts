import type { JsonObject } from '../api/json';
import { findFileUrlProblem, type AddressRules } from '../api/urls';
import type { FileKind } from '../files/fileTypes';
import { hasInputFile, openInputFile, urlSource, type InputSource } from '../files/inputFile';
import type { InputField } from '../models/inputSchema';
import { inputLabel, type FileInput } from '../models/inputValues';
import { FieldError } from '../util/errors';
import type { Item } from './item';

/** The file inputs of a request. They are checked now, and read only when they are sent, because files may be large. */
export interface FileInputs {
	/** Whether a file of the item is sent, and not only URLs. */
	includeItemFiles: boolean;
	/** The approximate size in the body, in bytes. */
	bytes: number;
	read(): Promise<JsonObject>;
}

/** That RunComfy accepts files as data URIs is [assumed]: a model may accept only URLs. */
export const FILE_ADVICE =
	'A file was sent instead of a URL. It is not confirmed that RunComfy accepts files for this model, and this may be the reason. ' +
	'Upload the file to a storage service on the internet, and use its URL.';

/** Which files are accepted. */
export interface FileRules extends AddressRules {
	maxMegabytes: number;
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
		includeItemFiles: all.some(({ isItemFile }) => isItemFile),
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

async function open(
	item: Item,
	field: InputField,
	source: string,
	rules: FileRules,
): Promise<InputSource & { isItemFile: boolean }> {
	const url = urlOf(rules, field, source) ?? fileOfMachine(item, field, source);
	return url === undefined
		? { ...(await openFile(item, field, source, rules)), isItemFile: true }
		: { ...urlSource(url), isItemFile: false };
}

/** The name of a file that is already on the machine of a deployment; a file of the item with this name comes first. */
function fileOfMachine(
	{ context, index }: Item,
	{ choices = [], default: deployed }: InputField,
	source: string,
): string | undefined {
	const isThere = choices.includes(source) || source === deployed;
	return isThere && !hasInputFile(context, index, source) ? source : undefined;
}

/** The URL that a source is; undefined for the name of a file. */
function urlOf(rules: AddressRules, field: InputField, source: string): string | undefined {
	if (/^data:[a-z]+\//i.test(source)) return source;
	if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) return undefined;
	const problem = findFileUrlProblem(source, rules);
	if (problem !== undefined) throw new FieldError(inputLabel(field), problem);
	return new URL(source).href;
}

const FILE_KINDS = new Map<string | undefined, FileKind>([
	['image', 'image'],
	['video', 'video'],
	['audio', 'audio'],
]);

async function openFile(
	{ context, index }: Item,
	field: InputField,
	fieldName: string,
	{ maxMegabytes }: FileRules,
): Promise<InputSource> {
	const label = inputLabel(field);
	const { choices = [] } = field;
	if (!hasInputFile(context, index, fieldName) && /[/\\.]/.test(fieldName)) {
		throw new FieldError(
			label,
			`is neither a URL that begins with https:// nor the name of an input file (“${fieldName}”)`,
			choices.length === 0 ? undefined : `On the machine are: ${choices.slice(0, 20).join(', ')}.`,
		);
	}
	const kind = FILE_KINDS.get(field.fileKind);
	const file = await openInputFile(context, index, { label, fieldName, kind, maxMegabytes });
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
