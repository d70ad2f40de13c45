import { Readable } from 'node:stream';

import * as fc from 'fast-check';
import type { ILoadOptionsFunctions, INodeParameters } from 'n8n-workflow';

import { readGraph } from '../../nodes/RunComfy/deployments/graph';
import { readGraphFields } from '../../nodes/RunComfy/deployments/graphFields';
import { readObjectInfo } from '../../nodes/RunComfy/deployments/objectInfo';
import { toDeploymentMapperField } from '../../nodes/RunComfy/deployments/savedRules';
import { getModelInputs, searchDeployments, searchModels } from '../../nodes/RunComfy/editorLists';
import { withoutExpressions } from '../../nodes/RunComfy/n8n/expressions';

/** What the editor would save of the node's lists, with texts of RunComfy that n8n could take for expressions. */

/** Such as have leaked an item, changed it, or ended a run. */
export const EXPRESSIONS = [
	'={{ $json.secret }}',
	'={{ $json["6.text"] = "LEAK:" + JSON.stringify($input.all()) }}',
	'={{ $("Nowhere").first() }}',
	'=plain',
	'==',
	'=',
];
const texts = fc.oneof(
	fc.constantFrom(...EXPRESSIONS),
	fc.constantFrom(' ={{ 1 }}', "'={{ 1 }}", 'a {{ $json.secret }}'),
	fc.string(),
);

const models = fc.record({
	id: fc.oneof(fc.constantFrom('a/b', 'c/d'), texts),
	name: texts,
	unit: texts,
	description: texts,
	url: texts,
});
const property = fc.record(
	{
		type: fc.constantFrom('string', 'integer', 'array'),
		title: texts,
		default: texts,
		enum: fc.array(texts),
	},
	{ requiredKeys: ['type'] },
);
const schemas = fc.dictionary(texts, property, { maxKeys: 4 });
const literals = fc.oneof(texts, fc.integer(), fc.boolean(), fc.dictionary(texts, texts, { maxKeys: 2 }));
const graphNodes = fc.record({
	class_type: texts,
	_meta: fc.record({ title: texts }),
	inputs: fc.dictionary(texts, literals, { maxKeys: 4 }),
});
const graphs = fc.dictionary(texts, graphNodes, { maxKeys: 4 });

/** Answers every call by `answer`. */
function editor(parameter: unknown, answer: unknown): ILoadOptionsFunctions {
	const context: Partial<ILoadOptionsFunctions> = {
		getCredentials: async <T extends object>() =>
			({ apiToken: 'token-of-a-test', baseUrl: 'https://a.test', platformBaseUrl: 'https://b.test' }) as T,
		getCurrentNodeParameter: () => parameter as INodeParameters,
		helpers: {
			httpRequestWithAuthentication: async () => ({
				...{ statusCode: 200, headers: {} },
				body: Readable.from([Buffer.from(JSON.stringify(answer))]),
			}),
		} as unknown as ILoadOptionsFunctions['helpers'],
	};
	return context as ILoadOptionsFunctions;
}

export interface SavedList {
	name: string;
	raw: fc.Arbitrary<unknown>;
	save(raw: unknown): Promise<unknown>;
}

function savedList<T>(name: string, raw: fc.Arbitrary<T>, load: (raw: T) => Promise<unknown>): SavedList {
	return { name, raw, save: async (given) => JSON.parse(JSON.stringify(await load(given as T))) as unknown };
}

export const SAVED_LISTS = [
	savedList('a catalog', fc.array(models, { maxLength: 3 }), async (catalog) => {
		const answer = catalog.map(({ id, name, unit, description, url }) => ({
			...{ model_id: id, display_name: name, base_price_usd: 1, price_unit: unit, description },
			...{ model_url: url, categories: [unit] },
		}));
		return await searchModels.call(editor('', { models: answer, total: answer.length }));
	}),
	savedList('a list of deployments', fc.array(models, { maxLength: 3 }), async (list) => {
		const answer = list.map(({ id, name, unit }) => ({ id, name, workflow_version: unit, hardware: [unit] }));
		return await searchDeployments.call(editor('', answer));
	}),
	savedList('a model’s inputs', schemas, async (properties) => {
		const answer = { model_id: 'a/b', display_name: 'A', input_schema: { properties } };
		return await getModelInputs.call(editor({ mode: 'id', value: 'a/b' }, answer));
	}),
	savedList('a graph and its definitions', fc.tuple(graphs, fc.array(texts)), async ([graph, choices]) => {
		const classes = readGraph(graph).flatMap(({ className }) => className ?? []);
		const info = Object.fromEntries(
			Object.values(graph).map(({ class_type: name, inputs }) => [
				name,
				{ input: { required: Object.fromEntries(Object.keys(inputs).map((key) => [key, [choices]])) } },
			]),
		);
		const fields = readGraphFields(graph, readObjectInfo(info, classes)).map(toDeploymentMapperField);
		return withoutExpressions({ fields });
	}),
];

/** The text that each choice stands for whose value is written as an expression. */
export function plain(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(plain);
	if (typeof value === 'object' && value !== null) {
		return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
	}
	const literal = /^=\{\{ ("(?:[\w .-]|\\u[\da-f]{4})*") \}\}$/.exec(String(value));
	return literal === null ? value : JSON.parse(String(literal[1]));
}
