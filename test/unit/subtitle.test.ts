import * as newHost from 'n8n-workflow';
import * as oldHost from 'n8n-workflow-1-120';

import { RunComfy } from '../../nodes/RunComfy/RunComfy.node';
import { workflowNode } from '../workflow';

const node = new RunComfy();
const nodeTypes = { getByName: () => node, getByNameAndVersion: () => node, getKnownTypes: () => ({}) };

/** As the editor evaluates it, which has no data of a run. */
function subtitleIn({ Workflow }: typeof newHost, parameters: newHost.INodeParameters): unknown {
	const runComfy = workflowNode('RunComfy', 'runComfy', { parameters });
	const workflow = new Workflow({ nodes: [runComfy], connections: {}, active: false, nodeTypes });
	const { subtitle } = node.description;
	return workflow.expression.getSimpleParameterValue(runComfy, subtitle, 'internal', {});
}

const locator = (value: unknown, mode = 'list') => ({ __rl: true, mode, value });

describe.each([
	['2.41', newHost],
	['1.120', oldHost as unknown as typeof newHost],
])('The subtitle in n8n-workflow %s', (_, host) => {
	it.each<[string, object, string]>([
		['a new node', {}, 'Replace Background'],
		['a model', { resource: 'model', operation: 'run', modelId: locator('a/b') }, 'a/b'],
		['a model without its chooser', { resource: 'model', operation: 'get', modelId: 'a/b' }, 'a/b'],
		['no model yet', { resource: 'model', operation: 'run', modelId: locator('') }, 'Run model'],
		['nothing chosen', { resource: 'model', operation: 'run' }, 'Run model'],
		[
			'an expression in the chooser',
			{ resource: 'model', operation: 'run', modelId: locator('={{ $json.model.id }}', 'id') },
			'Run model',
		],
		[
			'an expression that fails',
			{ resource: 'deployment', operation: 'get', deploymentId: '={{ $("Nowhere").item.json.id }}' },
			'Get deployment',
		],
		['a deployment', { resource: 'deployment', operation: 'run', deploymentId: locator('3f1c') }, '3f1c'],
		['a list', { resource: 'deployment', operation: 'getMany', deploymentId: 'x' }, 'Get many deployments'],
		['a request', { resource: 'request', operation: 'getResult', modelId: 'x' }, 'Get result of request'],
		['what is not known', { resource: 'model', operation: 'gone' }, ''],
	])('%s', (_name, parameters, expected) => expect(subtitleIn(host, parameters as never)).toBe(expected));
});
