import type { Field, Item } from './item';

/** How many results an operation returns that lists something. */

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

export const limitFields = [returnAllField, limitField];

/**
 * Reads these fields.
 * @returns Infinity for all results.
 * @throws FieldError.
 */
export function readLimit(item: Item): number {
	return item.boolean(returnAllField) ? Infinity : item.number(limitField);
}
