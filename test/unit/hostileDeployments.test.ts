import { readDeployment } from '../../nodes/RunComfy/api/deploymentApi';
import { toOverrides } from '../../nodes/RunComfy/deployments/graph';
import { readGraphFields } from '../../nodes/RunComfy/deployments/graphFields';
import { readObjectInfo } from '../../nodes/RunComfy/deployments/objectInfo';
import {
	readSavedFields,
	toDeploymentMapperField,
	withSavedRules,
} from '../../nodes/RunComfy/deployments/savedRules';
import { readInputValues } from '../../nodes/RunComfy/models/inputValues';
import { readDeploymentChoice, readModelChoice } from '../../nodes/RunComfy/fields/locators';

/** What a deployment and its answers may hold besides what they should. */

describe('A workflow', () => {
	const withGraph = (text: string) => readDeployment({ id: 'd', payload: { workflow_api_json: text } });

	it('is left out when it is nested so deeply that it could not be written again', () => {
		const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
		expect(withGraph(`{"1": {"inputs": {"x": {"a": ${deep}}}}}`)?.graph).toBeUndefined();
		expect(withGraph('{"1": {"inputs": {"x": [[1]]}}}')?.graph).toEqual({ 1: { inputs: { x: [[1]] } } });
	});

	it('may have names that objects have by themselves', () => {
		const graph = JSON.parse(
			'{"__proto__": {"class_type": "constructor", "inputs": {"__proto__": "v", "toString": 1}}}',
		) as Record<string, unknown>;
		const names = ['__proto__.__proto__', '__proto__.toString'];
		expect(readGraphFields(graph).map(({ name }) => name)).toEqual(names);
		const overrides = toOverrides([{ nodeId: '__proto__', name: '__proto__', value: 1 }]);
		expect(JSON.stringify(overrides)).toBe('{"__proto__":{"inputs":{"__proto__":1}}}');
	});

	it('may have a node with thousands of inputs', () => {
		const values = Array.from({ length: 50_000 }, (_, n) => ({ nodeId: '1', name: `n${n}`, value: n }));
		expect(JSON.stringify(toOverrides(values))).toContain('"n49999":49999');
	}, 3_000);
});

describe('Choices of several types', () => {
	const definitions = readObjectInfo(
		{
			Resize: {
				input: {
					required: {
						size: [[512, 1024, 'auto']],
						edge: ['COMBO', { options: ['auto', 512] }],
						mode: [['a', 'b']],
					},
				},
			},
		},
		['Resize'],
	);
	const graph = { 1: { class_type: 'Resize', inputs: { size: 512, edge: 'auto', mode: 'a' } } };

	it('are sent as they were chosen, whatever the type of the literal', () => {
		const saved = readGraphFields(graph, definitions).map(toDeploymentMapperField);
		const rules = readSavedFields(JSON.parse(JSON.stringify(saved)));
		const fields = readGraphFields(graph).map((field) => withSavedRules(field, rules.get(field.name)));
		const chosen = { '1.size': 'auto', '1.edge': 512, '1.mode': 'b' };
		expect(readInputValues(fields, chosen).input).toEqual(chosen);
		expect(rules.get('1.mode')).toEqual({ defaultValue: 'a' });
	});
});

describe('The choice of a deployment or a model', () => {
	const choices: Array<[string, (value: unknown) => unknown]> = [
		['Deployment', readDeploymentChoice],
		['Model', readModelChoice],
	];

	it.each(choices)('%s: what is no ID is not called empty', (_, read) => {
		for (const value of ['', ' ', null, undefined, { value: '' }])
			expect(() => read(value)).toThrow('must not be empty');
		for (const value of [5, { value: 5 }, { value: ['a'] }]) expect(() => read(value)).toThrow('the ID of a');
	});

	it.each(['a/b', '..', '../x', 'a?b', 'a#b', 'a%2fb', 'a\u0000b', 'a b', 'x'.repeat(201)])(
		'refuses %j, which could be another path',
		(value) => expect(() => readDeploymentChoice(value)).toThrow('is not the ID of a deployment'),
	);
});
