import { isJsonObject, type JsonObject, textAt } from '../api/json';
import { cached } from '../util/values';

/**
 * A ComfyUI workflow in the API format: nodes by their ID, each with its class and its inputs. Pure. An input is a
 * connection to the output of another node, or a literal that a request may override.
 */

export interface GraphInput {
	/** `<node id>.<input name>`, as saved workflows hold it. */
	id: string;
	nodeId: string;
	name: string;
	value: unknown;
}

export interface GraphNode {
	nodeId: string;
	/** Undefined when the graph does not name it. */
	className?: string;
	/** The title that the user gave the node, or else its class. */
	title: string;
	/** The literal inputs, in the graph's order. */
	inputs: GraphInput[];
}

/** The nodes of a graph in its order. What is no node is left out. */
export function readGraph(graph: JsonObject): GraphNode[] {
	return Object.entries(graph).flatMap(([nodeId, node]) => {
		if (!isJsonObject(node)) return [];
		const className = textAt(node, 'class_type');
		const given = isJsonObject(node._meta) ? textAt(node._meta, 'title') : undefined;
		const inputs = Object.entries(isJsonObject(node.inputs) ? node.inputs : {})
			.filter(([, value]) => !isConnection(value))
			.map(([name, value]) => ({ id: `${nodeId}.${name}`, nodeId, name, value }));
		return [{ nodeId, className, title: given ?? className ?? `Node ${nodeId}`, inputs }];
	});
}

/** `["<node id>", <slot>]`, as ComfyUI itself recognizes a connection. */
function isConnection(value: unknown): boolean {
	return (
		Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && typeof value[1] === 'number'
	);
}

/** True for an input that makes the result of a node random. */
export function isSeed({ name, value }: Pick<GraphInput, 'name' | 'value'>): boolean {
	return /^(noise_)?seed$|_seed$/i.test(name) && typeof value === 'number' && Number.isInteger(value);
}

/** Values by input, as the `overrides` of a request. */
export function toOverrides(
	values: Array<{ nodeId: string; name: string; value: unknown }>,
): Record<string, { inputs: JsonObject }> {
	// Entries, because assigning a name such as `__proto__` to an object would not create a key.
	const nodes = new Map<string, Array<[string, unknown]>>();
	for (const { nodeId, name, value } of values) cached(nodes, nodeId, () => []).push([name, value]);
	return Object.fromEntries(
		[...nodes].map(([nodeId, inputs]) => [nodeId, { inputs: Object.fromEntries(inputs) }]),
	);
}
