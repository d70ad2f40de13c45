import { isJsonObject, type JsonObject, numberAt } from '../api/json';
import { kindByName } from '../files/fileTypes';
import { distinctLabels, labelOf, PURPOSES } from '../models/inputNames';
import {
	type Choice,
	type FieldContent,
	type InputField,
	type InputKind,
	isChoice,
} from '../models/inputSchema';
import { cached, omitUndefined } from '../util/values';
import { type GraphInput, type GraphNode, readGraph } from './graph';
import { isValueName, readRoles, type Role } from './graphRoles';
import type { Definitions, InputDefinition } from './objectInfo';

/**
 * The literal inputs of a graph as typed fields: files, prompts, sizes, seeds, settings of samplers, and the rest by node.
 * Pure. Types, choices, and bounds come from the definitions of the node classes, and from the literal itself where there
 * are none.
 */

/** More settings at once would hide what matters. Files, prompts, sizes and seeds are always shown. */
const MAX_SHOWN = 15;

interface Candidate {
	field: InputField;
	role: Role;
	node: GraphNode;
	input: GraphInput;
}

/** @param definitions empty where `object_info` is not read: in a run, or when it could not be read. */
export function readGraphFields(graph: JsonObject, definitions: Definitions = new Map()): InputField[] {
	const nodes = readGraph(graph);
	const definitionOf = (node: GraphNode, name: string) => definitions.get(node.className ?? '')?.get(name);
	const roles = readRoles(nodes);
	const candidates = nodes.flatMap((node) =>
		node.inputs.map((input): Candidate => {
			const definition = definitionOf(node, input.name);
			const content = contentOf(node, input, definition);
			const role = roleOf(roles.get(input.id), input, content, definition);
			const { value } = input;
			// A larger integer has lost digits when its JSON was read.
			const isExact = !Number.isInteger(value) || Number.isSafeInteger(value);
			const field: InputField = {
				name: input.id,
				label: '',
				required: false,
				default: isExact ? (value ?? undefined) : undefined,
				isSeed: role.purpose === 'seed' ? true : undefined,
				...content,
				...(role.purpose === 'seed' ? seedBounds(content, role, definitionOf) : undefined),
			};
			return { field, role, node, input };
		}),
	);
	const rankOf = ({ role }: Candidate) => PURPOSES.indexOf(role.purpose);
	candidates.sort((a, b) => rankOf(a) - rankOf(b));
	const labels = labelsOf(candidates);
	const shown = shownOf(candidates);
	return candidates.map((candidate, index) => {
		const isHidden = shown.has(candidate) ? undefined : true;
		return omitUndefined({ ...candidate.field, label: labels[index] ?? '', isHidden });
	});
}

/** What a run needs of a graph. */
export type GraphFacts = ReturnType<typeof deriveFacts>;

const FACTS = new WeakMap<JsonObject, GraphFacts>();

/**
 * The facts of a graph. They are the same for all items, so they are derived once for each graph.
 * @param graph must not be changed afterward.
 */
export function graphFactsOf(graph: JsonObject): GraphFacts {
	return cached(FACTS, graph, () => deriveFacts(graph));
}

function deriveFacts(graph: JsonObject) {
	const nodes = readGraph(graph);
	return {
		/** The literal inputs, by their ID. */
		inputs: new Map(nodes.flatMap((node) => node.inputs).map((input) => [input.id, input])),
		/** The literal inputs as fields, without the definitions that only the editor reads. */
		fields: readGraphFields(graph),
		/** Of the nodes, by ID. */
		titles: new Map(nodes.map(({ nodeId, title }) => [nodeId, title])),
	};
}

/** What only the definition or the kind of the input says. */
function roleOf(
	role: Role = { purpose: 'rest' },
	{ name, value }: GraphInput,
	{ kind }: FieldContent,
	definition: InputDefinition | undefined,
): Role {
	if (kind === 'file') return { purpose: 'file' };
	// ComfyUI marks the numbers of value nodes in the same way, whatever they are for.
	const isMarked = definition?.rules.control_after_generate === true && !isValueName(name);
	if (role.purpose === 'rest' && isMarked && Number.isInteger(value)) return { purpose: 'seed' };
	// A drop-down list holds no prompt.
	return kind === 'choice' && !['size', 'setting'].includes(role.purpose) ? { purpose: 'rest' } : role;
}

/** What people change. n8n would send a new switch as off, so switches wait until they are added. */
function shownOf(candidates: Candidate[]): Set<Candidate> {
	const offered = candidates.filter(({ field }) => field.kind !== 'boolean');
	const known = offered.filter(({ role }) => role.purpose !== 'rest');
	const needed = known.filter(({ role }) => role.purpose !== 'setting');
	const count = Math.max(MAX_SHOWN, needed.length);
	return new Set((known.length > 0 ? known : offered).slice(0, count));
}

/** What an input is called alone, with its node's title, and with the node's ID. */
function labelsOf(candidates: Candidate[]): string[] {
	const names = candidates.map(nameOf);
	const keys = candidates.map(({ node }, index) => `${node.nodeId}\n${names[index]}`);
	const counts = new Map<string, number>();
	for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
	return distinctLabels(
		candidates.map(({ role, node, input }, index) => {
			const isOnly = counts.get(keys[index] ?? '') === 1;
			const name = isOnly ? (names[index] ?? '') : `${names[index]} (${labelOf(input.name)})`;
			const title = titleOf(node);
			const suffix = title.toLowerCase() === name.toLowerCase() ? '' : ` · ${title}`;
			const all = [name, `${name}${suffix}`, `${name} #${node.nodeId}${suffix}`];
			const isTitled = role.purpose === 'rest' || (role.purpose === 'file' && hasOwnTitle(node));
			return isTitled ? all.slice(1) : all;
		}),
	);
}

/** Without a sign at the end, as in `ImageResize+`, and without numbers of many digits. */
function titleOf({ title }: GraphNode): string {
	return title.replace(/\+$/, '').replace(/\d{9,}/g, '…');
}

/** True for a title that the user has given, as opposed to `Load Image` of a `LoadImage`. */
function hasOwnTitle({ title, className = '' }: GraphNode): boolean {
	const lettersOf = (text: string) => text.replace(/[^\p{L}]/gu, '').toLowerCase();
	return lettersOf(title) !== lettersOf(className);
}

const NAMES: Partial<Record<Role['purpose'], string>> = {
	positive: 'Positive Prompt',
	negative: 'Negative Prompt',
	seed: 'Seed',
};

function nameOf({ role, input }: Candidate): string {
	const { purpose, names = [] } = role;
	if (names.length > 0) return names.slice(0, 2).join(' / ');
	if (purpose === 'text' && /^(text|string|value)/i.test(input.name)) return 'Prompt';
	return NAMES[purpose] ?? labelOf(input.name);
}

function contentOf(
	node: GraphNode,
	{ name, value }: GraphInput,
	definition: InputDefinition | undefined,
): FieldContent {
	const { type, choices = [], rules = {} } = definition ?? {};
	const fileKind = fileKindOf(node, name, value, rules);
	const usable = choices.filter(isChoice);
	if (fileKind !== undefined)
		return { kind: 'file', fileKind, ...(usable.length > 0 ? { choices: usable } : {}) };
	if (usable.length > 0) return { kind: 'choice', choices: withLiteral(usable, value) };
	const defined = KINDS.get(type);
	const kind = defined === undefined || !fits(value, defined) ? kindOfLiteral(value) : defined;
	return { kind, ...boundsOf(kind, rules) };
}

/** n8n refuses a value that is no choice, so what is deployed must be one. */
function withLiteral(choices: Choice[], value: unknown): Choice[] {
	return isChoice(value) && !choices.includes(value) ? [value, ...choices] : choices;
}

/** The kinds that can be literals. A literal of another type is taken as it is. */
const KINDS = new Map<string | undefined, InputKind>([
	['INT', 'integer'],
	['FLOAT', 'number'],
	['STRING', 'text'],
	['BOOLEAN', 'boolean'],
]);

/** False for a literal that is of another type than its definition: it is shown, and sent, as what it is. */
function fits(value: unknown, kind: InputKind): boolean {
	const own = kindOfLiteral(value);
	return own === 'any' || own === (kind === 'integer' ? 'number' : kind);
}

/** JSON writes a whole FLOAT without decimals, so a whole literal may be either. */
function kindOfLiteral(value: unknown): InputKind {
	if (typeof value === 'number') return 'number';
	if (typeof value === 'boolean') return 'boolean';
	if (typeof value === 'string') return 'text';
	if (Array.isArray(value)) return 'array';
	return isJsonObject(value) ? 'object' : 'any';
}

function boundsOf(kind: InputKind, rules: JsonObject): Pick<InputField, 'minimum' | 'maximum'> {
	if (kind !== 'number' && kind !== 'integer') return {};
	const bound = (name: string) => {
		const value = numberAt(rules, name);
		if (value === undefined || kind === 'number') return value;
		return Math.min(Math.max(value, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
	};
	return { minimum: bound('min'), maximum: bound('max') };
}

/** A seed is a whole number, within the bounds of the inputs that it feeds. */
function seedBounds(
	own: FieldContent,
	{ ends = [] }: Role,
	definitionOf: (node: GraphNode, name: string) => InputDefinition | undefined,
): FieldContent {
	const all = [
		own,
		...ends.map(({ node, name }) => boundsOf('integer', definitionOf(node, name)?.rules ?? {})),
	];
	const minimums = all.flatMap(({ minimum }) => minimum ?? []);
	const maximums = all.flatMap(({ maximum }) => maximum ?? []);
	return {
		kind: 'integer',
		minimum: minimums.length === 0 ? undefined : Math.max(...minimums),
		maximum: maximums.length === 0 ? undefined : Math.min(...maximums),
	};
}

const MEDIA_INPUT = /^(image|video|audio|mask)(_(file|path|name|url))?$|^file$/i;

/**
 * The kind of file that an input takes; undefined for other inputs. An upload flag decides. Without one, it is the input of
 * a loader that is named after a medium, or whose literal is the name of a media file: loaders also load models.
 */
function fileKindOf(
	{ className = '' }: GraphNode,
	name: string,
	value: unknown,
	rules: JsonObject,
): string | undefined {
	const flag = Object.keys(rules).find((key) => key.endsWith('_upload') && rules[key] === true);
	if (flag !== undefined) return /image|video|audio/.exec(flag)?.[0] ?? 'file';
	if (typeof value !== 'string' || !/Load/.test(className) || /base64/i.test(className)) return undefined;
	const byLiteral = kindByName(value);
	if (byLiteral !== undefined || !MEDIA_INPUT.test(name)) return byLiteral;
	const words = `${name} ${className}`.toLowerCase().replace('mask', 'image');
	return /image|video|audio/.exec(words)?.[0] ?? 'file';
}
