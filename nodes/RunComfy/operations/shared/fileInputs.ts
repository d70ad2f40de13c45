import type { JsonObject } from '../../api/json';
import { RunComfyError } from '../../api/problems';
import { type AddressRules, findFileUrlProblem } from '../../api/urls';
import type { FileKind } from '../../files/fileTypes';
import { hasInputFile, type InputSource, openInputFile, urlSource } from '../../files/inputFile';
import type { InputField } from '../../models/inputSchema';
import { type FileInput, inputLabel } from '../../models/inputValues';
import { allowsLoopbackFiles } from '../../n8n/credential';
import { FieldError } from '../../util/errors';
import type { ItemWork, OperationTools } from './operation';

/** The file inputs of a request. They are checked now, and read only when they are sent, because files may be large. */
export interface FileInputs {
	/** Whether a file of the item is sent, and not only URLs. */
	includeItemFiles: boolean;
	/** The approximate size in the body, in bytes. */
	bytes: number;
	read(): Promise<JsonObject>;
}

/**
 * Opens the files that the user has specified by URL or by the name of one of the item's files.
 * @param isDeployment whether they are sent to a deployment, or to a model.
 * @throws FieldError.
 */
export async function openFileInputs(
	tools: OperationTools,
	itemIndex: number,
	fileInputs: FileInput[],
	maxMegabytes: number,
	isDeployment = false,
): Promise<FileInputs> {
	const rules = { allowLoopback: allowsLoopbackFiles(tools.access, isDeployment) };
	const opened: Array<{ field: InputField; sources: InputSource[] }> = [];
	let includeItemFiles = false;
	for (const { field, sources } of fileInputs) {
		const readers: InputSource[] = [];
		for (const source of sources) {
			const url = urlOf(rules, field, source);
			includeItemFiles ||= url === undefined;
			readers.push(
				url === undefined ? await openFile(tools, itemIndex, field, source, maxMegabytes) : urlSource(url),
			);
		}
		opened.push({ field, sources: readers });
	}
	return {
		includeItemFiles,
		bytes: opened.flatMap(({ sources }) => sources).reduce((sum, { bytes }) => sum + bytes, 0),
		async read() {
			const input: JsonObject = {};
			for (const { field, sources: readers } of opened) {
				const values = await Promise.all(readers.map(async (source) => await source.read()));
				input[field.name] = field.kind === 'files' ? values : values[0];
			}
			return input;
		},
	};
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
	{ context }: OperationTools,
	itemIndex: number,
	field: InputField,
	fieldName: string,
	maxMegabytes: number,
): Promise<InputSource> {
	const label = inputLabel(field);
	if (!hasInputFile(context, itemIndex, fieldName) && /[/\\.]/.test(fieldName)) {
		throw new FieldError(
			label,
			`is neither a URL that begins with https:// nor the name of an input file (“${fieldName}”)`,
		);
	}
	const kind = FILE_KINDS.get(field.fileKind);
	const file = await openInputFile(context, itemIndex, { label, fieldName, kind, maxMegabytes });
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

/**
 * Adds advice to the error when RunComfy refuses a request with a file: a model may accept only URLs. That RunComfy accepts
 * files as data URIs is [assumed].
 */
export function explainFileInput(work: ItemWork): ItemWork {
	return { ...work, run: async (tools) => await work.run(tools).catch(explain) };
}

function explain(error: unknown): never {
	if (!(error instanceof RunComfyError) || error.problem.mayBeInput !== true) throw error;
	const { problem } = error;
	throw new RunComfyError({
		...problem,
		advice:
			'A file was sent instead of a URL. It is not confirmed that RunComfy accepts files for this model, and this may be the reason. ' +
			`Upload the file to a storage service on the internet, and use its URL. Otherwise: ${problem.advice}`,
	});
}
