import { labelOf, purposeOfName, type Purpose } from '../models/inputNames';
import { cached } from '../util/values';
import type { GraphInput, GraphNode } from './graph';

/**
 * What the literal inputs of a graph are for: their names say it, or the inputs in which their values end. Pure. Nodes are
 * told apart by their shape, their connections, and words in their names, because there are thousands of classes.
 */

export interface Role {
	purpose: Purpose;
	/** What the input feeds, or the title of its node, as labels; where its own name says nothing. */
	names?: string[];
	/** The inputs that get its value. */
	ends?: End[];
}

/** A connected input of a node. */
export interface End {
	node: GraphNode;
	name: string;
}

/** A node, and where its outputs end. */
interface Source {
	node: GraphNode;
	isConnected: boolean;
	/** It only holds a number, and is connected to no other node's output. */
	isValueNode: boolean;
	/** The ends of a number, and of a text. */
	numberEnds: () => End[];
	textEnds: () => End[];
}

/** The role of each literal input, by the input's ID. */
export function readRoles(nodes: GraphNode[]): Map<string, Role> {
	const consumers = new Map<string, End[]>();
	for (const node of nodes) {
		for (const { name, from } of node.links) cached(consumers, from, () => []).push({ node, name });
	}
	const roles = new Map<string, Role>();
	for (const node of nodes) {
		const found = new Map<(end: End) => boolean, End[]>();
		const endsBy = (passesOn: (end: End) => boolean) =>
			cached(found, passesOn, () => findEnds(node, consumers, passesOn));
		const source: Source = {
			node,
			isConnected: consumers.has(node.nodeId),
			isValueNode: node.links.length === 0 && node.inputs.filter(isNumber).length === 1,
			numberEnds: () => endsBy(passesNumberOn).filter((end) => !passesNumberOn(end)),
			textEnds: () => endsBy(passesTextOn),
		};
		for (const input of node.inputs) {
			const { value } = input;
			const role = typeof value === 'string' ? textRole(source, input, value) : numberRole(source, input);
			roles.set(input.id, role);
		}
	}
	return roles;
}

/** The inputs that an output of a node reaches, directly or through what passes its value on. */
function findEnds(
	from: GraphNode,
	consumers: ReadonlyMap<string, End[]>,
	passesOn: (end: End) => boolean,
): End[] {
	const passed = new Set([from.nodeId]);
	const ends: End[] = [];
	for (const nodeId of passed) {
		for (const end of consumers.get(nodeId) ?? []) {
			ends.push(end);
			if (passesOn(end)) passed.add(end.node.nodeId);
		}
	}
	return ends;
}

/** The inputs of switches, reroutes, expressions, and other nodes that pass a value on. */
const VALUE_NAME =
	/^(\*|data|source|output|condition|default(_value)?|on_(true|false)|true|false|X[if]|((value|val|int|integer|float|number|num|boolean|string|str|text|any|anything|input|in|arg|line)s?[._]?)?([a-hx-z]|\d+)?)$/i;
const TEXT_NAME = /^(text|string)s?([._]?\w{0,2}|_input)$|_(text|string)$/i;
const PROMPT_NAME =
	/prompt|caption|lyrics|wildcard|populated_text|instruction|^t5xxl$|^(clip|text)_[lg]$|^tags$|^labels$/i;
/** The inputs that take what an encoder has made of a prompt. */
const CONDITIONING_NAME = /cond(itioning)?([._]?\w{0,4})?$|embed(ding)?s?$|^guider$/i;
const MEDIA_NAME = /(image|video|audio|sample|latent|mask|frame|pixel|seg|mesh)s?([._]?\d+)?$/i;

function lastPart(name: string): string {
	return name.slice(name.lastIndexOf('.') + 1);
}

/** True for a name that says nothing but that there is a value. */
export function isValueName(name: string): boolean {
	return VALUE_NAME.test(lastPart(name));
}

function passesNumberOn({ name }: End): boolean {
	return isValueName(name);
}

/** Through the nodes that put texts together, through encoders, and through what changes a conditioning. */
function passesTextOn({ node, name }: End): boolean {
	const last = lastPart(name);
	const isPassed = [VALUE_NAME, TEXT_NAME, PROMPT_NAME, CONDITIONING_NAME].some((pattern) =>
		pattern.test(last),
	);
	return isPassed && signOf(name) === undefined && !/ZeroOut/i.test(node.className ?? '');
}

function signOf(name: string): 'positive' | 'negative' | undefined {
	const purpose = purposeOfName(name);
	return purpose === 'positive' || purpose === 'negative' ? purpose : undefined;
}

function isNumber({ value }: GraphInput): boolean {
	return typeof value === 'number';
}

function numberRole(source: Source, input: GraphInput): Role {
	const { node, isValueNode, numberEnds } = source;
	const isWhole = Number.isInteger(input.value);
	const own = purposeOfName(input.name);
	if (own === 'size' && isSideSize(source, input.name)) return { purpose: 'rest' };
	if (own === 'size' || own === 'setting' || (own === 'seed' && isWhole)) return { purpose: own };
	if (!isNumber(input) || !(isValueNode || isValueName(input.name))) return { purpose: 'rest' };
	const ends = numberEnds().map((end) => ({ end, purpose: purposeOfName(end.name) }));
	// A random number must not go to anything but seeds.
	const isSeed = isWhole && ends.length > 0 && ends.every(({ purpose }) => purpose === 'seed');
	const wanted: Purpose[] = isSeed ? ['seed'] : ['size', 'setting'];
	const purpose = wanted.find((one) => ends.some((end) => end.purpose === one));
	const byTitle = purposeOfName(node.title);
	const isTitled = byTitle === 'size' || byTitle === 'setting';
	if (purpose === undefined)
		return isValueNode && isTitled ? { purpose: byTitle, names: [node.title] } : { purpose: 'rest' };
	const fed = ends.filter((end) => end.purpose === purpose).map(({ end }) => end);
	if (purpose === 'seed') return { purpose, ends: fed };
	// What is computed from a number has another name than the number.
	const names = isTitled ? [node.title] : [...new Set(fed.map(({ name }) => labelOf(lastPart(name))))];
	return { purpose, ends: fed, names };
}

/** A size that is not one of the result: of what a detector looks at, or the speed at which a saved video is played. */
function isSideSize({ node, isConnected }: Source, name: string): boolean {
	if (node.links.length === 0) return false;
	if (name === 'frame_rate') return !isConnected;
	return name === 'resolution' && !/scal|resiz/i.test(node.className ?? '');
}

/** Texts that are no prompts, whatever they feed. */
const TECHNICAL_NAME =
	/expression|sigmas|code|regex|pattern|colou?r|find|replace|^old$|^new$|delimiter|separator|file|prefix|suffix|path|folder|directory|format|json|script|url|preset|model|token|weight|name$|method|mode|template|type|key$|preview|data$|device|interpretation|normalization/i;
/** Nodes that show a text keep what they have shown last. */
const SHOWING_CLASS = /show|display|preview|view|debug|print|inspect/i;

function textRole(source: Source, input: GraphInput, value: string): Role {
	const { className = '', links, title } = source.node;
	const name = lastPart(input.name);
	const own = purposeOfName(name);
	if (own === 'size' || own === 'setting') return { purpose: own };
	const isShown = links.length > 0 && SHOWING_CLASS.test(className);
	if (TECHNICAL_NAME.test(name) || isShown) return { purpose: 'rest' };
	if (own === 'positive' || own === 'negative') return { purpose: own };
	const isPrompt = PROMPT_NAME.test(name);
	if (!isPrompt && !TEXT_NAME.test(name) && !VALUE_NAME.test(name)) return { purpose: 'rest' };

	const ends = source.textEnds();
	const signs = new Set(ends.map((end) => signOf(end.name)));
	if (signs.has('positive')) return { purpose: 'positive' };
	if (signs.has('negative')) return { purpose: 'negative' };
	const isUsed =
		isPrompt ||
		/encode|prompt/i.test(`${className} ${title}`) ||
		// A text that becomes a medium is what is spoken, drawn, or looked for.
		ends.some((end) =>
			[PROMPT_NAME, CONDITIONING_NAME, MEDIA_NAME].some((one) => one.test(lastPart(end.name))),
		);
	// Words that a node holds are a prompt, unless something says what else they are.
	const isLoose =
		links.length === 0 &&
		/^(text|string|value)$/i.test(name) &&
		hasWords(value) &&
		!ends.some((end) => TECHNICAL_NAME.test(lastPart(end.name)));
	if (!isUsed && !isLoose) return { purpose: 'rest' };
	return { purpose: signOf(title) ?? 'text', names: isUsed ? undefined : [title] };
}

/** True for two words or more, as opposed to a name or to numbers. */
function hasWords(text: string): boolean {
	return text.split(/\s+/).filter((word) => /\p{L}/u.test(word)).length > 1;
}
