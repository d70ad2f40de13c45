import { readGraphFields } from '../../nodes/RunComfy/deployments/graphFields';
import { readObjectInfo } from '../../nodes/RunComfy/deployments/objectInfo';
import { toDeploymentMapperField } from '../../nodes/RunComfy/deployments/savedRules';
import { withinBudget } from '../../nodes/RunComfy/models/fieldBudget';
import { readInputFields } from '../../nodes/RunComfy/models/inputSchema';
import { toMapperFields } from '../../nodes/RunComfy/models/mapperFields';

/** What the editor gets of a model. */
const fieldsOf = (properties: object, more: object = {}, required: string[] = []) =>
	toMapperFields(withinBudget(readInputFields({ properties, ...more }, required)));
/** What it gets of a workflow whose nodes are all of one class. */
const graphFieldsOf = (nodes: number, inputs: object, definition: object) => {
	const node = { class_type: 'Loader', inputs };
	const graph = Object.fromEntries(Array.from({ length: nodes }, (_, n) => [String(n), node]));
	const definitions = readObjectInfo({ Loader: { input: { required: definition } } }, ['Loader']);
	return withinBudget(readGraphFields(graph, definitions)).map(toDeploymentMapperField);
};
const names = (count: number, length: number) =>
	Array.from({ length: count }, (_, n) => `${n}`.padEnd(length, 'x'));
const many = (count: number, rule: object) =>
	Object.fromEntries(Array.from({ length: count }, (_, n) => [`p${n}`, rule]));
const deep = (value: unknown) => Array.from({ length: 90 }).reduce<unknown>((inner) => [inner], value);
const sizeOf = (fields: unknown) => JSON.stringify(fields).length;

describe('What the editor gets', () => {
	it('keeps ordinary choices', () => {
		const [field] = fieldsOf({ voice: { type: 'string', enum: names(1_000, 20) } });
		expect(field?.options).toHaveLength(1_000);
	});

	it('loses the longest lists of choices first, and keeps the value', () => {
		const fields = fieldsOf({
			a: { enum: names(2_000, 60), default: names(1, 60)[0] },
			b: { enum: ['x', 'y'], default: 'x' },
			c: { enum: Array.from({ length: 1_000 }, (_, n) => n), default: 5 },
		});
		expect(fields.sort((one, other) => (one.id < other.id ? -1 : 1))).toMatchObject([
			{ id: 'a', type: 'string', defaultValue: names(1, 60)[0] },
			{ id: 'b', type: 'options', defaultValue: 'x' },
			{ id: 'c', type: 'options', defaultValue: 5 },
		]);
		expect(fields[0]?.options).toBeUndefined();
	});

	it.each([
		['ten loaders of 2,000 names', 10, { lora: names(1, 60)[0] }, { lora: [names(2_000, 60)] }, 150_000],
		['sixty loaders', 60, { lora: names(1, 60)[0] }, { lora: [names(2_000, 60)] }, 150_000],
		['2 MB of choices for 100 nodes', 100, { a: 'x' }, { a: [names(20_000, 100)] }, 150_000],
		['2 MB of text in each of 100 nodes', 100, { text: 'x'.repeat(2_000_000) }, {}, 1_000_000],
	])('is limited for a workflow with %s', (_, nodes, inputs, definition, max) => {
		const fields = graphFieldsOf(nodes, inputs, definition);
		expect(sizeOf(fields)).toBeLessThan(max);
		if (max < 1_000_000) expect(fields).toHaveLength(nodes);
	});

	it.each<[string, object]>([
		['500 inputs of one list of 20,000', many(500, { $ref: '#/$defs/long' })],
		[
			'500 inputs of twenty such lists',
			many(500, { anyOf: names(20, 2).map(() => ({ $ref: '#/$defs/long' })) }),
		],
		[
			'500 inputs of ten shorter lists',
			many(500, { anyOf: names(10, 2).map(() => ({ $ref: '#/$defs/short' })) }),
		],
	])(
		'is limited for a model with %s',
		(_, properties) => {
			const $defs = { long: { enum: names(20_000, 40) }, short: { enum: names(400, 40) } };
			const fields = fieldsOf(properties, { $defs });
			expect(fields).toHaveLength(500);
			expect(sizeOf(fields)).toBeLessThan(200_000);
		},
		3_000,
	);

	it.each<[string, object]>([
		['a deep default, which is indented', { type: 'array', default: deep(Array(20_000).fill(1)) }],
		['a text of characters that are escaped', { type: 'string', default: '\u0001'.repeat(400_000) }],
	])('counts %s, as it is saved', (_, rule) =>
		expect(sizeOf(fieldsOf(many(20, rule)))).toBeLessThan(1_000_000),
	);

	it('offers required inputs where there is no room for all', () => {
		const fields = fieldsOf({ ...many(9_000, { type: 'string' }), prompt: { type: 'string' } }, {}, [
			'prompt',
		]);
		expect(fields[0]?.id).toBe('prompt');
		expect(sizeOf(fields)).toBeLessThan(1_000_000);
		const titles = fieldsOf(many(300, { type: 'string', title: 'x'.repeat(1_000_000) }));
		expect(sizeOf(titles)).toBeLessThan(1_000_000);
	});
});
