import { isDeploymentId } from '../../api/deployments';
import { isJsonObject } from '../../api/json';
import type { Field } from '../../n8n/identity';
import { FieldError } from '../../util/errors';
import { isEmpty } from '../../util/values';

const LABEL = 'Deployment';

export const deploymentIdField: Field = {
	displayName: LABEL,
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

/**
 * Reads the chosen deployment from the value of the resource locator or of an expression.
 * @throws FieldError.
 */
export function readDeploymentChoice(parameter: unknown): string {
	const value: unknown = isJsonObject(parameter) ? parameter.value : parameter;
	if (isEmpty(value)) throw new FieldError(LABEL, 'must not be empty', 'Choose a deployment from the list.');
	const deploymentId = typeof value === 'string' ? value.trim() : '';
	if (isDeploymentId(deploymentId)) return deploymentId;
	throw new FieldError(
		LABEL,
		'is not the ID of a deployment',
		'An ID looks like 3f1c6a52-8d4e-4b7a-9c25-6e0d1f7a9b01. Choose the deployment from the list, or copy its ID from its page on RunComfy.',
	);
}
