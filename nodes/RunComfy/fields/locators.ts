import { isDeploymentId } from '../api/deploymentApi';
import { isJsonObject } from '../api/json';
import { readModelReference, type ModelReference } from '../models/modelReference';
import { FieldError } from '../util/errors';
import { isEmpty } from '../util/values';
import type { Field } from './item';

/** The fields in which the user chooses a model or a deployment, and how their values are read. */

export const modelIdField: Field = {
	displayName: 'Model',
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

export const deploymentIdField: Field = {
	displayName: 'Deployment',
	name: 'deploymentId',
	decides: true,
	type: 'resourceLocator',
	required: true,
	default: { mode: 'list', value: '' },
	description: 'The ComfyUI workflow to use, one that you have deployed on RunComfy',
	modes: [
		{
			displayName: 'From List',
			name: 'list',
			type: 'list',
			placeholder: 'Select a deployment...',
			typeOptions: { searchListMethod: 'searchDeployments', searchable: true },
		},
		{
			displayName: 'By ID',
			name: 'id',
			type: 'string',
			placeholder: 'e.g. 3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b01',
		},
	],
};

/** The text that the user has chosen or entered; an expression may give it without the locator around it. */
function chosen({ displayName }: Field, parameter: unknown): string {
	const value: unknown = isJsonObject(parameter) ? parameter.value : parameter;
	const advice = `Choose a ${displayName.toLowerCase()} from the list.`;
	if (isEmpty(value)) throw new FieldError(displayName, 'must not be empty', advice);
	return typeof value === 'string' ? value.trim() : '';
}

/**
 * Reads the chosen model from the value of its field.
 * @throws FieldError.
 */
export function readModelChoice(parameter: unknown): ModelReference {
	const reference = readModelReference(chosen(modelIdField, parameter));
	if (reference !== undefined) return reference;
	throw new FieldError(
		modelIdField.displayName,
		'is neither the ID of a model nor the URL of its page on RunComfy',
		'An ID looks like blackforestlabs/flux-2/flash/text-to-image. Choose the model from the list, or copy its ID from its page.',
	);
}

/**
 * Reads the ID of the chosen deployment from the value of its field.
 * @throws FieldError.
 */
export function readDeploymentChoice(parameter: unknown): string {
	const deploymentId = chosen(deploymentIdField, parameter);
	if (isDeploymentId(deploymentId)) return deploymentId;
	throw new FieldError(
		deploymentIdField.displayName,
		'is not the ID of a deployment',
		'An ID looks like 3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b01. Choose the deployment from the list, or copy its ID from its page on RunComfy.',
	);
}
