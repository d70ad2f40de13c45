import type { IExecuteFunctions } from 'n8n-workflow';

import type { Field } from '../../n8n/identity';
import { numberIn, readBoolean } from './parameters';

/** How many results an operation returns that lists something. */
export const limitFields: Field[] = [
	{
		displayName: 'Return All',
		name: 'returnAll',
		decides: false,
		type: 'boolean',
		default: false,
		description: 'Whether to return all results or only up to a given limit',
	},
	{
		displayName: 'Limit',
		name: 'limit',
		decides: false,
		type: 'number',
		typeOptions: { minValue: 1 },
		default: 50,
		description: 'Max number of results to return',
		displayOptions: { show: { returnAll: [false] } },
	},
];

const LIMIT_RANGE = { min: 1, max: 10_000, integer: true };

/**
 * Reads these fields.
 * @returns Infinity for all results.
 * @throws FieldError.
 */
export function readLimit(context: IExecuteFunctions, itemIndex: number): number {
	if (readBoolean(context, itemIndex, 'returnAll', 'Return All')) return Infinity;
	return numberIn(context.getNodeParameter('limit', itemIndex), 'Limit', LIMIT_RANGE);
}
