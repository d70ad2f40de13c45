import type { INodeProperties } from 'n8n-workflow';

export const requestIdField: INodeProperties = {
	displayName: 'Request ID',
	name: 'requestId',
	type: 'string',
	required: true,
	default: '',
	placeholder: 'e.g. {{ $json.requestId }}',
	description:
		'The ID that an earlier request was given. It is in the output, in every error and in the log of n8n.',
};
