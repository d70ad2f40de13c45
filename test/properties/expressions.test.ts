import * as fc from 'fast-check';
import { Expression, type INodeParameters, type INodeType, Workflow } from 'n8n-workflow';

import { withoutExpressions } from '../../nodes/RunComfy/n8n/expressions';
import { RUNCOMFY_TYPE } from '../workflow';
import { EXPRESSIONS, plain, SAVED_LISTS } from './editorTexts';

/** n8n's own evaluator finds no expression in what it saves of the editor's lists. The same on its `vm` engine: `test/e2e`. */

const type = { description: { properties: [] } } as unknown as INodeType;
const workflow = new Workflow({
	nodes: [{ id: '1', name: 'A', type: RUNCOMFY_TYPE, typeVersion: 1, position: [0, 0], parameters: {} }],
	connections: {},
	active: false,
	nodeTypes: { getByName: () => type, getByNameAndVersion: () => type, getKnownTypes: () => ({}) },
});

/** What a run gets of a saved parameter. */
function evaluate(saved: unknown, secret = 'a secret'): unknown {
	const items = [{ json: { secret } }];
	const parameter = { saved } as INodeParameters;
	return workflow.expression.getParameterValue(parameter, null, 0, 0, 'A', items, 'internal', {});
}

test('the evaluator evaluates', () => {
	expect(Expression.getActiveImplementation()).toBe('legacy');
	expect(evaluate({ deep: ['={{ $json.secret }}'] })).toEqual({ saved: { deep: ['a secret'] } });
});

test.each(SAVED_LISTS)('$name: what the editor saves is text', async ({ raw, save }) => {
	await fc.assert(
		fc.asyncProperty(raw, async (given) => {
			const saved = await save(given);
			expect(evaluate(saved)).toEqual({ saved: plain(saved) });
		}),
		{ numRuns: 200 },
	);
});

test('a choice that begins with = is given back exactly', () => {
	fc.assert(
		fc.property(fc.oneof(fc.constantFrom(...EXPRESSIONS), fc.string({ unit: 'binary' })), (text) => {
			const value = `=${text}`;
			const saved = withoutExpressions({ options: [{ name: 'a', value }] });
			expect(evaluate(saved)).toEqual({ saved: { options: [{ name: 'a', value }] } });
		}),
	);
});

test('what a run has returned is text for the next node', () => {
	for (const text of EXPRESSIONS) expect(evaluate('={{ $json.secret }}', text)).toEqual({ saved: text });
});
