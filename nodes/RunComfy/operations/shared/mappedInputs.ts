import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../../api/json';
import { FieldError } from '../../util/errors';

/** What the resource mappers “Inputs” of all operations have in common. */
export const INPUTS_MAPPER = {
	mode: 'add',
	valuesLabel: 'Inputs',
	fieldWords: { singular: 'input', plural: 'inputs' },
	addAllFields: true,
	multiKeyMatch: false,
	supportAutoMap: true,
} as const;

/** What n8n saves of the resource mapper “Inputs”. */
interface MappedInputs {
	values: JsonObject;
	/** The fields as the editor has saved them; of any shape, because an expression may give them. */
	schema: unknown;
}

/**
 * Reads the resource mapper “Inputs”. When mapped automatically, the values are the item's fields with these names.
 * @throws FieldError.
 */
export function readMappedInputs(
	context: IExecuteFunctions,
	itemIndex: number,
	names: string[],
): MappedInputs {
	const mapper: unknown = context.getNodeParameter('inputs', itemIndex, {});
	if (!isJsonObject(mapper)) throw new FieldError('Inputs', 'must be an object');
	const { schema, mappingMode } = mapper;
	if (mappingMode === 'autoMapInputData') {
		const json: JsonObject = context.getInputData()[itemIndex]?.json ?? {};
		const known = names.filter((name) => Object.hasOwn(json, name));
		return { values: Object.fromEntries(known.map((name) => [name, json[name]])), schema };
	}
	const values = mapper.value ?? {};
	if (!isJsonObject(values)) throw new FieldError('Inputs', 'must be filled in');
	return { values, schema };
}
