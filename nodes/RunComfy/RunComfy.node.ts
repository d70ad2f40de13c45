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

import { operationFields } from './operations';

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
		subtitle: '={{ $parameter["operation"] + ": " + $parameter["resource"] }}',
		description:
			'Run any RunComfy model or your own ComfyUI workflows, and replace image backgrounds: items run in parallel, and none is paid for twice',
		defaults: { name: 'RunComfy' },
		usableAsTool: true,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'runComfyApi', required: true }],
		properties: [
			{
				displayName: 'Resource',
				name: 'resource',
				type: 'options',
				noDataExpression: true,
				options: [
					{ name: 'Account', value: 'account' },
					{ name: 'ComfyUI Deployment', value: 'deployment' },
					{ name: 'Image', value: 'image' },
					{ name: 'Model', value: 'model' },
					{ name: 'Request', value: 'request' },
				],
				default: 'image',
			},
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				displayOptions: { show: { resource: ['account'] } },
				options: [
					{
						name: 'Get Balance',
						value: 'getBalance',
						action: 'Get account balance',
						description: 'Get the remaining balance of your RunComfy account (free)',
					},
				],
				default: 'getBalance',
			},
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				displayOptions: { show: { resource: ['deployment'] } },
				options: [
					{
						name: 'Get',
						value: 'get',
						action: 'Get deployment',
						description: 'Get the inputs and the workflow of a deployment (free)',
					},
					{
						name: 'Get Many',
						value: 'getMany',
						action: 'Get many deployments',
						description: 'List your ComfyUI deployments (free)',
					},
					{
						name: 'Run',
						value: 'run',
						action: 'Run deployment',
						description:
							'Run a ComfyUI workflow that you have deployed on RunComfy. RunComfy bills the GPU time by the second, including the start of the deployment.',
					},
				],
				default: 'run',
			},
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				displayOptions: { show: { resource: ['image'] } },
				options: [
					{
						name: 'Replace Background',
						value: 'replaceBackground',
						action: 'Replace image background',
						description: 'Place the subject of an image in a new scene (Ideogram 3.0)',
					},
				],
				default: 'replaceBackground',
			},
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				displayOptions: { show: { resource: ['model'] } },
				options: [
					{
						name: 'Get',
						value: 'get',
						action: 'Get model',
						description: 'Get the inputs and the price of a model (free)',
					},
					{
						name: 'Get Many',
						value: 'getMany',
						action: 'Get many models',
						description: 'List the models that RunComfy hosts (free)',
					},
					{
						name: 'Run',
						value: 'run',
						action: 'Run model',
						description: 'Generate images, videos, or audio with any model that RunComfy hosts',
					},
				],
				default: 'run',
			},
			{
				displayName: 'Operation',
				name: 'operation',
				type: 'options',
				noDataExpression: true,
				displayOptions: { show: { resource: ['request'] } },
				options: [
					{
						name: 'Cancel',
						value: 'cancel',
						action: 'Cancel request',
						description:
							'Cancel a request that is still queued. A running request can be cancelled only if it belongs to a ComfyUI deployment.',
					},
					{
						name: 'Get Result',
						value: 'getResult',
						action: 'Get result of request',
						description: 'Get the result of an earlier request, for example after a timeout (free)',
					},
					{
						name: 'Get Status',
						value: 'getStatus',
						action: 'Get status of request',
						description: 'Get the status of a request and its position in the queue (free)',
					},
				],
				default: 'getStatus',
			},
			...operationFields,
		],
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
