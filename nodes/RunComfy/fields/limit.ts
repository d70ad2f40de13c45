import type { Field, Item } from './item';

/** How much an operation returns that gets or lists something. */

const returnAllField: Field = {
	displayName: 'Return All',
	name: 'returnAll',
	decides: false,
	type: 'boolean',
	default: false,
	description: 'Whether to return all results or only up to a given limit',
};

const limitField: Field = {
	displayName: 'Limit',
	name: 'limit',
	decides: false,
	type: 'number',
	typeOptions: { minValue: 1, numberPrecision: 0 },
	default: 50,
	description: 'Max number of results to return',
	displayOptions: { show: { returnAll: [false] } },
};

/** For an output of more than ten fields. */
export const simplifyField: Field = {
	displayName: 'Simplify',
	name: 'simplify',
	decides: false,
	type: 'boolean',
	default: true,
	description: 'Whether to return a simplified version of the response instead of the raw data',
};

export const limitFields = [returnAllField, limitField];

/**
 * Reads how many results to return.
 * @returns Infinity for all results.
 * @throws FieldError.
 */
export function readLimit(item: Item): number {
	return item.boolean(returnAllField) ? Infinity : item.number(limitField);
}
