import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import { readRequestId as toRequestId } from '../../api/responses';
import { FieldError } from '../../common/fieldError';
import { readFilledText } from './parameters';

const LABEL = 'Request ID';

export const requestIdField: INodeProperties = {
	displayName: LABEL,
	name: 'requestId',
	type: 'string',
	required: true,
	default: '',
	placeholder: 'e.g. {{ $json.requestId }}',
	description:
		'The ID of an earlier request. It is in the output of the request, in its errors, and in the log of n8n.',
};

/**
 * Reads the request ID.
 * @throws FieldError.
 */
export function readRequestId(context: IExecuteFunctions, itemIndex: number): string {
	const requestId = toRequestId(readFilledText(context, itemIndex, 'requestId', LABEL));
	if (requestId === undefined) throw new FieldError(LABEL, 'cannot be the ID of a request');
	return requestId;
}
