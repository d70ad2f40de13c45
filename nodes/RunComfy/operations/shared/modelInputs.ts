import type { JsonObject } from '../../api/json';
import { RunComfyError } from '../../api/problems';
import { findFileUrlProblem } from '../../api/addresses';
import { FieldError } from '../../common/fieldError';
import type { FileKind } from '../../files/fileTypes';
import { hasInputFile, openInputFile, type InputSource } from '../../files/inputFile';
import type { Random } from '../../common/clock';
import type { InputField } from '../../models/inputSchema';
import { inputLabel, type FileInput } from '../../models/inputValues';
import type { ItemWork, OperationTools } from './operation';
import { SEED_RANGE } from './parameters';

/** What a model is given: files from the item, and a seed where the user chose none. */

/**
 * Whether the server fills in its default seed is unknown; then every result would be the same: so always send one.
 * @param range both ends included.
 */
export function randomSeed(random: Random, { min, max }: { min: number; max: number }): number {
	return min + Math.floor(random() * (max - min + 1));
}

/** The seed for a model that takes one as a whole number, undefined for others. */
export function randomSeedFor(fields: InputField[], random: Random): number | undefined {
	const field = fields.find(({ name, kind }) => name === 'seed' && kind === 'integer');
	if (field === undefined) return undefined;
	const min = Math.max(SEED_RANGE.min, field.minimum ?? SEED_RANGE.min);
	const max = Math.min(SEED_RANGE.max, field.maximum ?? SEED_RANGE.max);
	return min <= max ? randomSeed(random, { min, max }) : undefined;
}

/** The inputs that hold files, checked now and read when they are sent: files may be large. */
export interface ModelFiles {
	/** Whether any of them comes from the item itself. */
	areSent: boolean;
	/** About how many bytes they take in the body. */
	bytes: number;
	read(): Promise<JsonObject>;
}

/**
 * Opens the files that the user has given by address or by the name of one of the item's files.
 * @throws FieldError.
 */
export async function openModelFiles(
	tools: OperationTools,
	itemIndex: number,
	fileInputs: FileInput[],
	maxMegabytes: number,
): Promise<ModelFiles> {
	const opened: Array<{ field: InputField; sources: InputSource[] }> = [];
	let areSent = false;
	for (const { field, sources } of fileInputs) {
		const readers: InputSource[] = [];
		for (const source of sources) {
			const url = addressOf(tools, field, source);
			areSent ||= url === undefined;
			readers.push(
				url === undefined
					? await openFile(tools, itemIndex, field, source, maxMegabytes)
					: { bytes: url.length, read: async () => url },
			);
		}
		opened.push({ field, sources: readers });
	}
	return {
		areSent,
		bytes: opened.flatMap(({ sources }) => sources).reduce((sum, { bytes }) => sum + bytes, 0),
		async read() {
			const input: JsonObject = {};
			for (const { field, sources } of opened) {
				const values = await Promise.all(sources.map(async (source) => await source.read()));
				input[field.name] = field.kind === 'files' ? values : values[0];
			}
			return input;
		},
	};
}

/** Undefined for the name of a file. */
function addressOf({ access }: OperationTools, field: InputField, source: string): string | undefined {
	if (/^data:[a-z]+\//i.test(source)) return source;
	if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) return undefined;
	const problem = findFileUrlProblem(source, { allowLoopback: access.isLoopback });
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
			`is neither a web address that begins with https:// nor the name of an input file (“${fieldName}”)`,
		);
	}
	const kind = FILE_KINDS.get(field.fileKind);
	const file = await openInputFile(context, itemIndex, { label, fieldName, kind, maxMegabytes });
	for (const { subject, comparison, value, problem } of field.fileRules ?? []) {
		// Of an unread file only the size is known; the other rules are RunComfy's to check.
		if (subject !== 'file_size_mb' || file.megabytes === undefined) continue;
		const holds = comparison === '<' ? file.megabytes < value : file.megabytes > value;
		if (!holds)
			throw new FieldError(
				label,
				`points to a file that the model does not take (“${fieldName}”): ${problem}`,
			);
	}
	return file;
}

/** [unconfirmed] Whether RunComfy takes a data URI for a model: when it refuses one, that may be the whole reason. */
export function explainFileInput(work: ItemWork): ItemWork {
	return { ...work, run: async (tools) => await work.run(tools).catch(explain) };
}

function explain(error: unknown): never {
	if (!(error instanceof RunComfyError) || error.problem.mayBeInput !== true) throw error;
	const { problem } = error;
	throw new RunComfyError({
		...problem,
		advice:
			'A file was sent along instead of a URL. Whether RunComfy takes files for this model is not confirmed, and this may be the reason: ' +
			`upload the file to a storage that the internet can reach and pass its URL. Otherwise: ${problem.advice}`,
	});
}
