import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type ILoadOptionsFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import type * as EditorLists from './editorLists';
import { properties, subtitle } from './operations';

/** n8n loads every installed node when it starts. Execution and the editor's lists are loaded when they are first needed. */
const loadExecution = async () => await import('./execute');

function editorList<A extends unknown[], R>(
	pick: (lists: typeof EditorLists) => (this: ILoadOptionsFunctions, ...search: A) => Promise<R>,
) {
	return async function (this: ILoadOptionsFunctions, ...search: A): Promise<R> {
		return await pick(await import('./editorLists')).apply(this, search);
	};
}

export class RunComfy implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'RunComfy',
		name: 'runComfy',
		icon: { light: 'file:../../icons/runcomfy.svg', dark: 'file:../../icons/runcomfy.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle,
		description:
			'Make images, videos, and audio with RunComfy’s models or your own ComfyUI workflows, and put products into new scenes',
		defaults: { name: 'RunComfy' },
		usableAsTool: true,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'runComfyApi', required: true }],
		properties,
	};

	methods = {
		listSearch: {
			searchModels: editorList((lists) => lists.searchModels),
			searchDeployments: editorList((lists) => lists.searchDeployments),
		},
		loadOptions: { getCategories: editorList((lists) => lists.getCategories) },
		resourceMapping: {
			getModelInputs: editorList((lists) => lists.getModelInputs),
			getDeploymentInputs: editorList((lists) => lists.getDeploymentInputs),
		},
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await (await loadExecution()).executeRunComfy(this);
	}
}
