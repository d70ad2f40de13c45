import {
	NodeConnectionTypes,
	type IDataObject,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

/** Fakes of other packages' nodes, so that a workflow can run on the engine without them. */

type Execute = (this: IExecuteFunctions) => Promise<INodeExecutionData[][]>;

function fakeNode(
	name: string,
	execute: Execute,
	description: Partial<INodeTypeDescription> = {},
): INodeType {
	return {
		description: {
			displayName: name,
			name,
			group: ['transform'],
			version: [1, 1.1, 1.2, 2, 2.1, 2.2, 3, 3.1, 3.2, 3.3, 3.4, 4, 4.1, 4.2],
			description: '',
			defaults: { name },
			inputs: [NodeConnectionTypes.Main],
			outputs: [NodeConnectionTypes.Main],
			properties: [],
			...description,
		},
		execute,
	};
}

/** Returns its input. */
export const passThrough: INodeType = fakeNode('passThrough', async function () {
	return [this.getInputData()];
});

/** Starts a workflow with the given items. */
export function source(items: INodeExecutionData[]): INodeType {
	return fakeNode(
		'source',
		async () => [items.map((item, index) => ({ ...item, pairedItem: { item: index } }))],
		{
			group: ['trigger'],
			inputs: [],
		},
	);
}

/** Sends its input around the loop (output 1) the given number of times, then to output 0. */
export function loop(times: number): INodeType {
	return fakeNode(
		'loop',
		async function () {
			const memory: IDataObject = this.getContext('node');
			const turn = Number(memory.turn ?? 0);
			memory.turn = turn + 1;
			const items = this.getInputData().map(({ json }, index) => ({ json, pairedItem: { item: index } }));
			return turn < times ? [[], items] : [items, []];
		},
		{ outputs: [NodeConnectionTypes.Main, NodeConnectionTypes.Main] },
	);
}
