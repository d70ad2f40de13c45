import { isJsonObject } from '../../api/json';
import type { ModelEntry } from '../../api/models';
import type { Catalog } from '../../models/catalog';
import { type ModelReference, readModelReference } from '../../models/modelReference';
import type { Field } from '../../n8n/identity';
import { FieldError } from '../../util/errors';
import { isEmpty } from '../../util/values';

const LABEL = 'Model';

export const modelIdField: Field = {
	displayName: LABEL,
	name: 'modelId',
	decides: true,
	type: 'resourceLocator',
	required: true,
	default: { mode: 'list', value: '' },
	description: 'The model to use, one of those that RunComfy hosts',
	modes: [
		{
			displayName: 'From List',
			name: 'list',
			type: 'list',
			placeholder: 'Select a model...',
			typeOptions: { searchListMethod: 'searchModels', searchable: true },
		},
		{
			displayName: 'By ID',
			name: 'id',
			type: 'string',
			placeholder: 'e.g. blackforestlabs/flux-2/flash/text-to-image',
		},
		{
			displayName: 'By URL',
			name: 'url',
			type: 'string',
			placeholder: 'e.g. https://www.runcomfy.com/models/blackforestlabs/flux-2-flash',
		},
	],
};

/**
 * Reads the chosen model from the value of the resource locator or of an expression.
 * @throws FieldError.
 */
export function readModelChoice(parameter: unknown): ModelReference {
	const value: unknown = isJsonObject(parameter) ? parameter.value : parameter;
	if (isEmpty(value)) throw new FieldError(LABEL, 'must not be empty', 'Choose a model from the list.');
	const reference = typeof value === 'string' ? readModelReference(value.trim()) : undefined;
	if (reference !== undefined) return reference;
	throw new FieldError(
		LABEL,
		'is neither the ID of a model nor the URL of its page on RunComfy',
		'An ID looks like blackforestlabs/flux-2/flash/text-to-image. Choose the model from the list, or copy its ID from its page.',
	);
}

/**
 * The catalog entry of the chosen model.
 * @throws FieldError, RunComfyError.
 */
export async function findChosenModel(catalog: Catalog, parameter: unknown): Promise<ModelEntry> {
	return await catalog.find(readModelChoice(parameter));
}
