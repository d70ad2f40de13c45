import { isLink, isRecord, type Graph, type GraphNode } from './comfyUi';
import { inputDefinition, type InputDefinition, type ObjectInfo } from './objectInfo';

/** One entry of an error's `detail`. */
export interface Detail {
	loc: string[];
	msg: string;
	type: string;
}

export function problemAt(loc: string[], msg: string): Detail {
	return { loc, msg, type: 'value_error' };
}

/** Puts overrides into a graph. What is wrong with them is left out, and reported in `detail`. */
export function applyOverrides(
	saved: Graph,
	overrides: unknown,
	info: ObjectInfo,
): { graph: Graph; detail: Detail[] } {
	const detail: Detail[] = [];
	const report = (loc: string[], msg: string) =>
		void detail.push(problemAt(['body', 'overrides', ...loc], msg));
	const graph: Graph = { ...saved };
	if (overrides !== undefined && !isRecord(overrides)) report([], 'Overrides must be an object.');
	for (const [id, override] of Object.entries(isRecord(overrides) ? overrides : {})) {
		const node = Object.hasOwn(saved, id) ? saved[id] : undefined;
		if (node === undefined) {
			report([id], `Node ${id} does not exist in the workflow.`);
		} else if (!isRecord(override) || !isRecord(override.inputs) || Object.keys(override).length > 1) {
			report([id], `The override of node ${id} must be an object with inputs only.`);
		} else {
			graph[id] = overrideNode(node, override.inputs, (name, value) => {
				const problem = Object.hasOwn(node.inputs, name)
					? findProblem(value, inputDefinition(info, node.class_type, name), saved)
					: `does not exist in node ${id} (${node.class_type}).`;
				if (problem !== undefined) report([id, 'inputs', name], `Input ${name} ${problem}`);
				return problem === undefined;
			});
		}
	}
	return { graph, detail };
}

function overrideNode(
	node: GraphNode,
	inputs: Record<string, unknown>,
	accepts: (name: string, value: unknown) => boolean,
): GraphNode {
	const accepted = Object.entries(inputs).filter(([name, value]) => accepts(name, value));
	return { ...node, inputs: { ...node.inputs, ...Object.fromEntries(accepted) } };
}

/** What ComfyUI has against a value, if anything. Values of unknown classes are not checked. */
function findProblem(
	value: unknown,
	definition: InputDefinition | undefined,
	graph: Graph,
): string | undefined {
	if (isLink(value)) {
		return Object.hasOwn(graph, value[0])
			? undefined
			: `is connected with node ${value[0]}, which does not exist.`;
	}
	if (definition === undefined) return undefined;
	const { type, choices, min = -Infinity, max = Infinity, isFile } = definition;
	switch (type) {
		case 'INT':
		case 'FLOAT': {
			const isNumeric = typeof value === 'number' || (typeof value === 'string' && value.trim() !== '');
			const number = isNumeric ? Number(value) : NaN;
			const isValid = type === 'INT' ? Number.isInteger(number) : Number.isFinite(number);
			if (!isValid) return `must be ${type === 'INT' ? 'an integer' : 'a number'}.`;
			if (number < min) return `is smaller than ${min}.`;
			return number > max ? `is greater than ${max}.` : undefined;
		}
		case 'STRING':
			return typeof value === 'string' ? undefined : 'must be a text.';
		case 'BOOLEAN':
			return typeof value === 'boolean' ? undefined : 'must be true or false.';
		case 'COMBO': {
			if (isFile && typeof value === 'string' && /^(https?:\/\/|data:)/.test(value)) return undefined;
			const shown = JSON.stringify(value)?.slice(0, 100);
			return choices?.includes(value) ? undefined : `must be one of its choices, not ${shown}.`;
		}
		default:
			return `must be connected with a node that makes ${type}.`;
	}
}
