import type { JsonObject } from '../api/json';
import type { InputField } from '../models/inputSchema';
import { cached } from '../util/values';
import { type GraphInput, isSeed, readGraph } from './graph';
import { readGraphFields } from './graphFields';

/** What a run needs of a graph. It is the same for all items, so it is derived once for each graph. */
export interface GraphFacts {
	/** The literal inputs, by their ID. */
	inputs: ReadonlyMap<string, GraphInput>;
	seeds: readonly GraphInput[];
	/** The literal inputs as fields, without the definitions that only the editor reads. */
	fields: readonly InputField[];
	/** Of the nodes, by ID. */
	titles: ReadonlyMap<string, string>;
}

const FACTS = new WeakMap<JsonObject, GraphFacts>();

/** @param graph must not be changed afterward. */
export function graphFactsOf(graph: JsonObject): GraphFacts {
	return cached(FACTS, graph, () => {
		const nodes = readGraph(graph);
		const inputs = nodes.flatMap((node) => node.inputs);
		return {
			inputs: new Map(inputs.map((input) => [input.id, input])),
			seeds: inputs.filter(isSeed),
			fields: readGraphFields(graph),
			titles: new Map(nodes.map(({ nodeId, title }) => [nodeId, title])),
		};
	});
}
