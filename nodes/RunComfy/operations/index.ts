import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';

import type { Field } from '../n8n/identity';
import { FieldError } from '../util/errors';
import { getBalance } from './account/getBalance';
import { getDeployment } from './deployment/get';
import { getManyDeployments } from './deployment/getMany';
import { runDeployment } from './deployment/run';
import { replaceBackground } from './image/replaceBackground';
import { getModel } from './model/get';
import { getManyModels } from './model/getMany';
import { runModel } from './model/run';
import { cancel } from './request/cancel';
import { getResult } from './request/getResult';
import { getStatus } from './request/getStatus';
import type { Operation } from './shared/operation';

/** The operations by resource. Saved workflows hold these names. */
const OPERATIONS: Record<string, Record<string, Operation>> = {
	account: { getBalance },
	deployment: { get: getDeployment, getMany: getManyDeployments, run: runDeployment },
	image: { replaceBackground },
	model: { get: getModel, getMany: getManyModels, run: runModel },
	request: { cancel, getResult, getStatus },
};

/** The operation that the user has selected. Resource and operation are the same for all items. */
export function findOperation(context: IExecuteFunctions): Operation {
	const resource = String(context.getNodeParameter('resource', 0));
	const name = String(context.getNodeParameter('operation', 0));
	const operations = Object.hasOwn(OPERATIONS, resource) ? OPERATIONS[resource] : undefined;
	const operation = operations && Object.hasOwn(operations, name) ? operations[name] : undefined;
	if (operation === undefined) throw new FieldError('Operation', `is not known: ${resource} → ${name}`);
	return operation;
}

/** Every operation with its fields, for the node's description and for tests of all fields. */
export const allOperations = Object.entries(OPERATIONS).flatMap(([resource, operations]) =>
	Object.entries(operations).map(([operation, { fields }]) => ({ resource, operation, fields })),
);

/** The fields of all operations, each shown only for its own operation. */
export const operationFields: INodeProperties[] = allOperations.flatMap(({ resource, operation, fields }) =>
	fields.map((field) => ({
		...toProperty(field),
		displayOptions: {
			...field.displayOptions,
			show: { resource: [resource], operation: [operation], ...field.displayOptions?.show },
		},
	})),
);

/** The field as n8n knows it. */
function toProperty({ decides: _decides, ...property }: Field): INodeProperties {
	if (property.type !== 'collection') return property;
	return { ...property, options: (property.options as Field[]).map(toProperty) };
}
