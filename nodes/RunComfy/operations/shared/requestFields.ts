import type { IExecuteFunctions } from 'n8n-workflow';

import { readRequestId as toRequestId } from '../../api/responses';
import { deploymentRequests } from '../../deployments/endpoint';
import type { RequestApi } from '../../jobs/types';
import { modelRequests } from '../../models/endpoint';
import type { Field } from '../../n8n/identity';
import { FieldError } from '../../util/errors';
import { deploymentIdField, readDeploymentChoice } from './deploymentIdField';
import type { OperationTools } from './operation';
import { readChoice, readFilledText } from './parameters';

const LABEL = 'Request ID';

export const requestFields: Field[] = [
	{
		displayName: 'Request Type',
		name: 'requestType',
		decides: true,
		type: 'options',
		options: [
			{ name: 'Model', value: 'model', description: 'A request to a model, or of Replace Background' },
			{
				name: 'ComfyUI Deployment',
				value: 'deployment',
				description: 'A request to one of your deployments',
			},
		],
		default: 'model',
		description: 'What the request was submitted to',
	},
	{ ...deploymentIdField, displayOptions: { show: { requestType: ['deployment'] } } },
	{
		displayName: LABEL,
		name: 'requestId',
		decides: true,
		type: 'string',
		required: true,
		default: '',
		placeholder: 'e.g. {{ $json.requestId }}',
		description:
			'The ID of an earlier request. It is in the output of the request, in its errors, and in the log of n8n.',
	},
];

/** An earlier request, and where it was submitted. */
export interface ChosenRequest {
	requestId: string;
	/** Undefined for a request to a model. */
	deploymentId: string | undefined;
	api: RequestApi;
}

/**
 * Reads these fields.
 * @throws FieldError.
 */
export function readRequest({ context, client }: OperationTools, itemIndex: number): ChosenRequest {
	const deploymentId = readDeploymentId(context, itemIndex);
	const requestId = toRequestId(readFilledText(context, itemIndex, 'requestId', LABEL));
	if (requestId === undefined) throw new FieldError(LABEL, 'cannot be the ID of a request');
	const api = deploymentId === undefined ? modelRequests(client) : deploymentRequests(client, deploymentId);
	return { requestId, deploymentId, api };
}

function readDeploymentId(context: IExecuteFunctions, itemIndex: number): string | undefined {
	const type = readChoice(context, itemIndex, 'requestType', 'Request Type', ['model', 'deployment']);
	if (type === 'model') return undefined;
	return readDeploymentChoice(context.getNodeParameter('deploymentId', itemIndex));
}
