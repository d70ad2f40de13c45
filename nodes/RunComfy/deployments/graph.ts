import { isJsonObject, type JsonObject, textAt } from '../api/json';

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
	/** The connected inputs. */
	links: GraphLink[];
}

/** An input that is the output of another node. */
export interface GraphLink {
	name: string;
	from: string;
}

/** The nodes of a graph in its order. What is no node is left out. */
export function readGraph(graph: JsonObject): GraphNode[] {
	return Object.entries(graph).flatMap(([nodeId, node]) => {
		if (!isJsonObject(node)) return [];
		const className = textAt(node, 'class_type');
		const given = isJsonObject(node._meta) ? textAt(node._meta, 'title') : undefined;
		const inputs: GraphInput[] = [];
		const links: GraphLink[] = [];
		for (const [name, value] of Object.entries(isJsonObject(node.inputs) ? node.inputs : {})) {
			if (isConnection(value)) links.push({ name, from: value[0] });
			else inputs.push({ id: `${nodeId}.${name}`, nodeId, name, value });
		}
		return [{ nodeId, className, title: given ?? className ?? `Node ${nodeId}`, inputs, links }];
	});
}

/** `["<node id>", <slot>]`, as ComfyUI itself recognizes a connection. */
function isConnection(value: unknown): value is [string, number] {
	return (
		Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && typeof value[1] === 'number'
	);
}
