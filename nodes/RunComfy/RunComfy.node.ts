import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type ILoadOptionsFunctions,
	type INodeExecutionData,
	type INodeListSearchResult,
	type INodePropertyOptions,
	type INodeType,
	type INodeTypeDescription,
	type ResourceMapperFields,
} from 'n8n-workflow';

import { properties, subtitle } from './operations';

/** n8n loads every installed node when it starts. Execution and the editor's lists are loaded when they are first needed. */
const loadExecution = async () => await import('./execute');
const loadEditorLists = async () => await import('./editorLists');

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
			async searchModels(
				this: ILoadOptionsFunctions,
				...search: [filter?: string, page?: string]
			): Promise<INodeListSearchResult> {
				return await (await loadEditorLists()).searchModels.apply(this, search);
			},
			async searchDeployments(this: ILoadOptionsFunctions, filter?: string): Promise<INodeListSearchResult> {
				return await (await loadEditorLists()).searchDeployments.call(this, filter);
			},
		},
		loadOptions: {
			async getCategories(this: ILoadOptionsFunctions): Promise<INodePropertyOptions[]> {
				return await (await loadEditorLists()).getCategories.call(this);
			},
		},
		resourceMapping: {
			async getModelInputs(this: ILoadOptionsFunctions): Promise<ResourceMapperFields> {
				return await (await loadEditorLists()).getModelInputs.call(this);
			},
			async getDeploymentInputs(this: ILoadOptionsFunctions): Promise<ResourceMapperFields> {
				return await (await loadEditorLists()).getDeploymentInputs.call(this);
			},
		},
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await (await loadExecution()).executeRunComfy(this);
	}
}
