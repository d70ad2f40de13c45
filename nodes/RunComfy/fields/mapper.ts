import { isJsonObject, type JsonObject } from '../api/json';
import { FieldError } from '../util/errors';
import type { Field, Item } from './item';

/**
 * The resource mapper “Inputs”: one field for each input of a model or of a deployment's workflow.
 * @param method that loads the inputs in the editor.
 * @param locator the field on which they depend.
 */
export function inputsField(
	method: string,
	{ name: locator }: Field,
	texts: { description: string; noFieldsError: string },
): Field {
	const { description, noFieldsError } = texts;
	return {
		displayName: 'Inputs',
		name: 'inputs',
		decides: true,
		type: 'resourceMapper',
		noDataExpression: true,
		required: true,
		default: { mappingMode: 'defineBelow', value: null },
		description,
		typeOptions: {
			loadOptionsDependsOn: [`${locator}.value`],
			resourceMapper: {
				resourceMapperMethod: method,
				mode: 'add',
				valuesLabel: 'Inputs',
				fieldWords: { singular: 'input', plural: 'inputs' },
				addAllFields: true,
				// An emptied text is sent as an empty text.
				allowEmptyValues: true,
				multiKeyMatch: false,
				supportAutoMap: true,
				noFieldsError,
			},
		},
		displayOptions: { show: { inputMode: ['fields'] }, hide: { [locator]: [''] } },
	};
}

/** What n8n saves of the resource mapper “Inputs”. */
export interface MappedInputs {
	values: JsonObject;
	/** The fields as the editor has saved them; of any shape, because an expression may give them. */
	schema: unknown;
}

/**
 * Reads the resource mapper “Inputs”. When mapped automatically, the values are the item's fields with these names.
 * @throws FieldError.
 */
export function readMappedInputs(item: Item, names: string[]): MappedInputs {
	const mapper = item.raw({ name: 'inputs' }, {});
	if (!isJsonObject(mapper)) throw new FieldError('Inputs', 'must be an object');
	const { schema, mappingMode, value: values = {} } = mapper;
	if (mappingMode === 'autoMapInputData') {
		const { json } = item;
		const known = names.filter((name) => Object.hasOwn(json, name));
		return { values: Object.fromEntries(known.map((name) => [name, json[name]])), schema };
	}
	if (values === null) return { values: {}, schema };
	if (!isJsonObject(values)) throw new FieldError('Inputs', 'must be filled in');
	return { values, schema };
}
