import { isJsonObject, type JsonObject, numberOf } from '../api/json';
import { kindByName } from '../files/fileTypes';
import { type Choice, type InputField, type InputKind, labelOf } from '../models/inputSchema';
import { omitUndefined } from '../util/values';
import { type GraphInput, type GraphNode, isSeed, readGraph } from './graph';
import type { Definitions, InputDefinition } from './objectInfo';

/**
 * The literal inputs of a graph as typed fields, grouped by node in the graph's order. Pure. Types, choices, and bounds come
 * from the definitions of the node classes, and from the literal itself where there are none.
 */

/** More at once would hide what matters. */
const MAX_SHOWN = 15;
/** Longer lists are no choices that anybody would scroll through. */
const MAX_CHOICES = 2_000;
/** Larger integers have lost digits when their JSON was read, and would lose them again when it is written. */
const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

/** @param definitions empty where `object_info` is not read: in a run, or when it could not be read. */
export function readGraphFields(graph: JsonObject, definitions: Definitions = new Map()): InputField[] {
	const inputs = readGraph(graph).flatMap((node) =>
		node.inputs.map((input) => {
			const definition =
				node.className === undefined ? undefined : definitions.get(node.className)?.get(input.name);
			return { field: readField(node, input, definition), rank: rankOf(node, input, definition) };
		}),
	);
	// n8n shows a new switch as off, and would send that.
	const candidates = inputs.filter(({ field }) => field.kind !== 'boolean').sort((a, b) => a.rank - b.rank);
	const ranked = candidates.filter(({ rank }) => rank < UNRANKED);
	const shown = new Set((ranked.length > 0 ? ranked : candidates).slice(0, MAX_SHOWN));
	return inputs.map((input) => ({
		...input.field,
		...(shown.has(input) ? {} : { isHidden: true as const }),
	}));
}

function readField(node: GraphNode, input: GraphInput, definition: InputDefinition | undefined): InputField {
	const { id, name, value } = input;
	const common = {
		name: id,
		label: `${node.title} → ${labelOf(name)}`,
		required: false,
		...omitUndefined({ default: isExact(value) ? (value ?? undefined) : undefined }),
	};
	const fileKind = fileKindOf(node, input, definition);
	if (fileKind !== undefined) return { ...common, kind: 'file', fileKind };
	const choices = definition?.choices?.filter(isChoice).slice(0, MAX_CHOICES) ?? [];
	if (choices.length > 0) return { ...common, kind: 'choice', choices };
	const kind = KINDS.get(definition?.type) ?? kindOfLiteral(input);
	return { ...common, kind, ...boundsOf(kind, definition?.rules ?? {}, isSeed(input)) };
}

/** The kinds that can be literals. A literal of another type is taken as it is. */
const KINDS = new Map<string | undefined, InputKind>([
	['INT', 'integer'],
	['FLOAT', 'number'],
	['STRING', 'text'],
	['BOOLEAN', 'boolean'],
]);

/** JSON writes a whole FLOAT without decimals, so a whole literal may be either. */
function kindOfLiteral(input: GraphInput): InputKind {
	const { value } = input;
	if (isSeed(input)) return 'integer';
	if (typeof value === 'number') return 'number';
	if (typeof value === 'boolean') return 'boolean';
	if (typeof value === 'string') return 'text';
	if (Array.isArray(value)) return 'array';
	return isJsonObject(value) ? 'object' : 'any';
}

function boundsOf(kind: InputKind, rules: JsonObject, isRandom: boolean): Partial<InputField> {
	if (kind !== 'integer' && kind !== 'number') return {};
	const minimum = numberOf(rules, 'min');
	const maximum = numberOf(rules, 'max');
	const isInteger = kind === 'integer';
	return omitUndefined({
		minimum: isInteger && minimum !== undefined ? Math.max(minimum, -MAX_INTEGER) : minimum,
		maximum:
			isInteger && (maximum !== undefined || isRandom)
				? Math.min(maximum ?? MAX_INTEGER, MAX_INTEGER)
				: maximum,
	});
}

function isExact(value: unknown): boolean {
	return typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value);
}

function isChoice(value: unknown): value is Choice {
	return ['string', 'number', 'boolean'].includes(typeof value);
}

const FILE_FLAGS: ReadonlyArray<readonly [flag: string, kind: string]> = [
	['image_upload', 'image'],
	['video_upload', 'video'],
	['audio_upload', 'audio'],
];
const MEDIA_INPUT = /^(image|video|audio|mask)(_(file|path|name|url))?$|^file$/i;

/**
 * The kind of file that an input takes; undefined for other inputs. An upload flag decides. Without one, it is the input of
 * a loader that is named after a medium, or whose literal is the name of a media file: loaders also load models.
 */
function fileKindOf(
	{ className = '' }: GraphNode,
	{ name, value }: GraphInput,
	definition: InputDefinition | undefined,
): string | undefined {
	const [, flagged] = FILE_FLAGS.find(([flag]) => definition?.rules[flag] === true) ?? [];
	if (flagged !== undefined) return flagged;
	if (typeof value !== 'string' || !/(^|_)Load/.test(className)) return undefined;
	const byLiteral = kindByName(value);
	if (byLiteral !== undefined) return byLiteral;
	if (!MEDIA_INPUT.test(name)) return undefined;
	return (
		/(image|video|audio)/.exec(`${name} ${className}`.toLowerCase().replace('mask', 'image'))?.[1] ?? 'file'
	);
}

const UNRANKED = 9;
const TEXT_NAME = /(^|_)(text|prompt|caption|lyrics|positive|negative)($|_)/i;
const SAMPLER_NAME = /^(steps|cfg|guidance|guidance_scale|denoise|sampler_name|scheduler|strength|shift)$/;
const SIZE_NAME =
	/^(width|height|length|batch_size|megapixels|resolution|aspect_ratio|(num_|video_)?frames|seconds|duration|fps|frame_rate)$/;

/** What people change comes first: files, texts, seeds, sizes, settings of samplers. */
function rankOf(node: GraphNode, input: GraphInput, definition: InputDefinition | undefined): number {
	const { name, value } = input;
	if (fileKindOf(node, input, definition) !== undefined) return 0;
	const isText = typeof value === 'string' && definition?.choices === undefined;
	if (isText && (definition?.rules.multiline === true || TEXT_NAME.test(name) || /\s/.test(value.trim())))
		return 1;
	// Nodes that only hold a value are there to be changed.
	if (/^Primitive/.test(node.className ?? '')) return 1;
	if (isSeed(input)) return 2;
	if (SIZE_NAME.test(name)) return 3;
	return SAMPLER_NAME.test(name) ? 4 : UNRANKED;
}
