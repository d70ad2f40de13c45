import { readRequestId, type RequestApi } from '../api/answers';
import { deploymentRequests } from '../api/deploymentApi';
import { modelRequests } from '../api/modelApi';
import type { Field, Item } from '../fields/item';
import { deploymentIdField, readDeploymentChoice } from '../fields/locators';
import { FieldError } from '../util/errors';
import type { OperationTools } from './operation';

const requestTypeField: Field = {
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
};

const requestIdField: Field = {
	displayName: 'Request ID',
	name: 'requestId',
	decides: true,
	type: 'string',
	required: true,
	default: '',
	placeholder: 'e.g. {{ $json.requestId }}',
	description:
		'The ID of an earlier request. It is in the output of the request, in its errors, and in the log of n8n.',
};

/** The fields that name an earlier request. */
export const requestFields: Field[] = [
	requestTypeField,
	{
		...deploymentIdField,
		description: 'The deployment that the request was submitted to',
		displayOptions: { show: { requestType: ['deployment'] } },
	},
	requestIdField,
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
export function readRequest({ http }: Pick<OperationTools, 'http'>, item: Item): ChosenRequest {
	const isDeployment = item.choice(requestTypeField) === 'deployment';
	const deploymentId = isDeployment ? readDeploymentChoice(item.raw(deploymentIdField)) : undefined;
	const requestId = readRequestId(item.filledText(requestIdField));
	if (requestId === undefined)
		throw new FieldError(requestIdField.displayName, 'cannot be the ID of a request');
	const api = deploymentId === undefined ? modelRequests(http) : deploymentRequests(http, deploymentId);
	return { requestId, deploymentId, api };
}
