import { readFileSync } from 'node:fs';
import path from 'node:path';

import * as newHost from 'n8n-workflow';
import * as oldHost from 'n8n-workflow-1-120';

import { RunComfyApi } from '../../credentials/RunComfyApi.credentials';
import codex from '../../nodes/RunComfy/RunComfy.node.json';
import { RunComfy } from '../../nodes/RunComfy/RunComfy.node';
import { allOperations } from '../../nodes/RunComfy/operations';
import { workflowNode } from '../workflow';

const node = new RunComfy();
const { properties } = node.description;
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

/** A text with where it stands, such as `Options → Seed: …`. */
function textsOf(fields: object[], path = ''): string[] {
	return fields.flatMap((field): string[] => {
		const { displayName, name, description, hint, options, values } = field as Record<string, unknown>;
		const where = `${path}${String(displayName ?? name)}: `;
		const texts = [description, hint].filter((text) => typeof text === 'string');
		const parts = [options, values].flatMap((list) => (Array.isArray(list) ? (list as object[]) : []));
		return [...texts.map((text) => where + text), ...textsOf(parts, where)];
	});
}

it('Tooltips and hints have two sentences at most', () => {
	const texts = textsOf([...properties, ...new RunComfyApi().properties]);
	expect(texts.length).toBeGreaterThan(100);
	const sentences = (text: string) =>
		text.replace(/<[^>]*>|e\.g\./g, '').match(/[^.!?]+([.!?]+(?=\s|$)|$)/g)?.length ?? 0;
	expect(texts.filter((text) => sentences(text) > 2)).toEqual([]);
});

it.each(
	allOperations.map(({ resource, operation, fields }) => [`${resource} → ${operation}`, fields] as const),
)('%s shows a field by the values of earlier ones, because n8n loses it otherwise', (_, fields) => {
	for (const [index, { displayOptions }] of fields.entries()) {
		const earlier = fields.slice(0, index).map(({ name }) => name);
		expect(earlier).toEqual(expect.arrayContaining(Object.keys(displayOptions?.show ?? {})));
	}
});

it('The editor shows the description of a choice whole: it has two lines', () => {
	const choicesOf = (fields: object[]): string[] =>
		fields.flatMap((field): string[] => {
			const { value, description, options, values } = field as Record<string, unknown>;
			const parts = [options, values].flatMap((list) => (Array.isArray(list) ? (list as object[]) : []));
			return [
				...(value !== undefined && typeof description === 'string' ? [description] : []),
				...choicesOf(parts),
			];
		});
	const choices = choicesOf(properties);
	expect(choices.length).toBeGreaterThan(20);
	expect(choices.filter((text) => text.length > 117)).toEqual([]);
});

it('Its actions are found by their names, and the links of its help lead to a heading of the README', () => {
	const found = codex.alias.map((alias) => alias.toLowerCase());
	const actions = properties
		.filter(({ name }) => name === 'operation')
		.flatMap(({ options = [] }) => options as Array<{ value: string; action: string }>)
		.filter(({ value }) => ['run', 'replaceBackground'].includes(value))
		.map(({ action }) => action.toLowerCase());
	expect(actions).toHaveLength(3);
	expect(found).toEqual(expect.arrayContaining(actions));

	const readme = readFileSync(path.join(__dirname, '..', '..', 'README.md'), 'utf8');
	const anchors = [...readme.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
		heading.toLowerCase().replaceAll(' ', '-'),
	);
	const links = [
		new RunComfyApi().documentationUrl,
		...codex.resources.credentialDocumentation.map(({ url }) => url),
	];
	for (const link of links) expect(anchors).toContain(link.split('#')[1]);
});

it('Get Result has no option for input files, because it sends none', () => {
	const options = properties.filter(
		({ name, displayOptions }) =>
			name === 'options' && displayOptions?.show?.operation?.includes('getResult') === true,
	);
	expect(options).toHaveLength(2);
	expect(JSON.stringify(options)).not.toContain('sendFilesAs');
});

it('The node is found by what people call the work', () => {
	const found = codex.alias.map((alias) => alias.toLowerCase());
	const words = [
		...['generate image', 'image generation', 'ai image', 'create image', 'edit image', 'text to video'],
		...['generate video', 'image to video', 'upscale', 'background removal', 'product photos', 'lipsync'],
		...['voice', 'music', 'inpaint', 'nano banana', 'wan', 'kling', 'flux'],
	];
	expect(found).toEqual(expect.arrayContaining(words));
});
