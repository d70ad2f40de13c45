import {
	NodeConnectionTypes,
	type IExecuteFunctions,
	type INodeExecutionData,
	type INodeType,
	type INodeTypeDescription,
} from 'n8n-workflow';

import { executeRunComfy } from './execute';
import { operationFields } from './operations';

export class RunComfy implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'RunComfy',
		name: 'runComfy',
		icon: { light: 'file:../../icons/runcomfy.svg', dark: 'file:../../icons/runcomfy.dark.svg' },
		group: ['transform'],
		version: 1,
		subtitle: '={{ $parameter["operation"] + ": " + $parameter["resource"] }}',
		description: 'Replace the background of images with RunComfy: all items at once, never paid twice',
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
					{ name: 'Image', value: 'image' },
					{ name: 'Request', value: 'request' },
				],
				default: 'image',
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
						description: 'Put the subject of an image into a new scene (Ideogram 3.0)',
					},
				],
				default: 'replaceBackground',
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
						description: 'Cancel a request that is still queued; a running one cannot be cancelled',
					},
					{
						name: 'Get Result',
						value: 'getResult',
						action: 'Get result of request',
						description: 'Fetch the image of an earlier request, for example after a timeout; free',
					},
					{
						name: 'Get Status',
						value: 'getStatus',
						action: 'Get status of request',
						description: 'Look once at the state of a request and its place in the queue; free',
					},
				],
				default: 'getStatus',
			},
			...operationFields,
		],
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		return await executeRunComfy(this);
	}
}
