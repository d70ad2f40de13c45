import type { JsonObject } from '../api/json';
import { cached } from '../util/values';
import { readGraph } from './graph';
import { readGraphFields } from './graphFields';

/** What a run needs of a graph. It is the same for all items, so it is derived once for each graph. */
export type GraphFacts = ReturnType<typeof deriveFacts>;

const FACTS = new WeakMap<JsonObject, GraphFacts>();

/** @param graph must not be changed afterward. */
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
