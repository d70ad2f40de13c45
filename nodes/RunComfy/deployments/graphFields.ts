import { isJsonObject, type JsonObject, numberAt } from '../api/json';
import { kindByName } from '../files/fileTypes';
import { type FieldContent, type InputField, type InputKind, isChoice, labelOf } from '../models/inputSchema';
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

/** @param definitions empty where `object_info` is not read: in a run, or when it could not be read. */
export function readGraphFields(graph: JsonObject, definitions: Definitions = new Map()): InputField[] {
	const inputs = readGraph(graph).flatMap((node) =>
		node.inputs.map((input) => {
			const definition = definitions.get(node.className ?? '')?.get(input.name);
			const field = toField(node, input, definition);
			return { field, rank: rankOf(field, node, input, definition) };
		}),
	);
	// n8n shows a new switch as off, and would send that.
	const candidates = inputs.filter(({ field }) => field.kind !== 'boolean').sort((a, b) => a.rank - b.rank);
	const ranked = candidates.filter(({ rank }) => rank < UNRANKED);
	const shown = new Set((ranked.length > 0 ? ranked : candidates).slice(0, MAX_SHOWN));
	return inputs.map((input) => (shown.has(input) ? input.field : { ...input.field, isHidden: true }));
}

function toField(node: GraphNode, input: GraphInput, definition?: InputDefinition): InputField {
	const { id, name, value } = input;
	// A larger integer has lost digits when its JSON was read.
	const isExact = !Number.isInteger(value) || Number.isSafeInteger(value);
	return omitUndefined({
		name: id,
		label: `${node.title} → ${labelOf(name)}`,
		required: false,
		default: isExact ? (value ?? undefined) : undefined,
		...contentOf(node, input, definition),
	});
}

function contentOf(
	node: GraphNode,
	input: GraphInput,
	definition: InputDefinition | undefined,
): FieldContent {
	const { type, choices = [], rules = {} } = definition ?? {};
	const fileKind = fileKindOf(node, input, rules);
	if (fileKind !== undefined) return { kind: 'file', fileKind };
	const usable = choices.filter(isChoice).slice(0, MAX_CHOICES);
	if (usable.length > 0) return { kind: 'choice', choices: usable };
	const kind = KINDS.get(type) ?? kindOfLiteral(input);
	return { kind, ...boundsOf(kind, rules, isSeed(input)) };
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
	const minimum = numberAt(rules, 'min');
	const maximum = numberAt(rules, 'max');
	if (kind === 'number') return { minimum, maximum };
	if (kind !== 'integer') return {};
	const exact = (bound: number) =>
		Math.min(Math.max(bound, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
	const highest = maximum ?? (isRandom ? Infinity : undefined);
	return {
		minimum: minimum === undefined ? undefined : exact(minimum),
		maximum: highest === undefined ? undefined : exact(highest),
	};
}

const MEDIA_INPUT = /^(image|video|audio|mask)(_(file|path|name|url))?$|^file$/i;

/**
 * The kind of file that an input takes; undefined for other inputs. An upload flag decides. Without one, it is the input of
 * a loader that is named after a medium, or whose literal is the name of a media file: loaders also load models.
 */
function fileKindOf(
	{ className = '' }: GraphNode,
	{ name, value }: GraphInput,
	rules: JsonObject,
): string | undefined {
	const flagged = ['image', 'video', 'audio'].find((kind) => rules[`${kind}_upload`] === true);
	if (flagged !== undefined) return flagged;
	if (typeof value !== 'string' || !/(^|_)Load/.test(className)) return undefined;
	const byLiteral = kindByName(value);
	if (byLiteral !== undefined || !MEDIA_INPUT.test(name)) return byLiteral;
	const words = `${name} ${className}`.toLowerCase().replace('mask', 'image');
	return /image|video|audio/.exec(words)?.[0] ?? 'file';
}

const UNRANKED = 9;
const TEXT_NAME = /(^|_)(text|prompt|caption|lyrics|positive|negative)($|_)/i;
const SAMPLER_NAME = /^(steps|cfg|guidance|guidance_scale|denoise|sampler_name|scheduler|strength|shift)$/;
const SIZE_NAME =
	/^(width|height|length|batch_size|megapixels|resolution|aspect_ratio|(num_|video_)?frames|seconds|duration|fps|frame_rate)$/;

/** What people change comes first: files, texts, seeds, sizes, settings of samplers. */
function rankOf(
	{ kind }: InputField,
	{ className = '' }: GraphNode,
	input: GraphInput,
	definition: InputDefinition | undefined,
): number {
	const { name, value } = input;
	if (kind === 'file') return 0;
	const isText = typeof value === 'string' && definition?.choices === undefined;
	if (isText && (definition?.rules.multiline === true || TEXT_NAME.test(name) || /\s/.test(value.trim())))
		return 1;
	// Nodes that only hold a value are there to be changed.
	if (className.startsWith('Primitive')) return 1;
	if (isSeed(input)) return 2;
	if (SIZE_NAME.test(name)) return 3;
	return SAMPLER_NAME.test(name) ? 4 : UNRANKED;
}
