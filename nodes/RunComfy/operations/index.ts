import type { INodeProperties } from 'n8n-workflow';

import type { Field, Item } from '../fields/item';
import { FieldError } from '../util/errors';
import { getBalance } from './account/getBalance';
import { getDeployment } from './deployment/get';
import { getManyDeployments } from './deployment/getMany';
import { runDeployment } from './deployment/run';
import { replaceBackground } from './image/replaceBackground';
import { getModel } from './model/get';
import { getManyModels } from './model/getMany';
import { runModel } from './model/run';
import type { Operation } from './operation';
import { cancel } from './request/cancel';
import { getResult } from './request/getResult';
import { getStatus } from './request/getStatus';

interface Resource {
	name: string;
	/** The operation of a new node. */
	default: string;
	operations: Record<string, Operation>;
}

/** The operations by resource. Saved workflows hold these keys. */
const RESOURCES: Record<string, Resource> = {
	account: { name: 'Account', default: 'getBalance', operations: { getBalance } },
	deployment: {
		name: 'ComfyUI Deployment',
		default: 'run',
		operations: { get: getDeployment, getMany: getManyDeployments, run: runDeployment },
	},
	image: { name: 'Image', default: 'replaceBackground', operations: { replaceBackground } },
	model: {
		name: 'Model',
		default: 'run',
		operations: { get: getModel, getMany: getManyModels, run: runModel },
	},
	request: { name: 'Request', default: 'getStatus', operations: { cancel, getResult, getStatus } },
};

const resourceField: INodeProperties = {
	displayName: 'Resource',
	name: 'resource',
	type: 'options',
	noDataExpression: true,
	options: Object.entries(RESOURCES).map(([value, { name }]) => ({ name, value })),
	default: 'image',
};

/** The lists of operations, one for each resource. */
const operationLists = Object.entries(RESOURCES).map(
	([resource, { operations, default: first }]): INodeProperties => ({
		displayName: 'Operation',
		name: 'operation',
		type: 'options',
		noDataExpression: true,
		displayOptions: { show: { resource: [resource] } },
		options: Object.entries(operations).map(([value, { name, action, description }]) => ({
			...{ name, value, action, description },
		})),
		default: first,
	}),
);

/** Every operation, with its names in saved workflows. */
export const allOperations = Object.entries(RESOURCES).flatMap(([resource, { operations }]) =>
	Object.entries(operations).map(([operation, definition]) => ({ resource, operation, ...definition })),
);

/** The operation that the user has selected. Resource and operation are the same for all items. */
export function findOperation(first: Item): Operation {
	const [resource, operation] = ['resource', 'operation'].map((name) => String(first.raw({ name })));
	const found = allOperations.find((one) => one.resource === resource && one.operation === operation);
	if (found === undefined) throw new FieldError('Operation', `is not known: ${resource} → ${operation}`);
	return found;
}

const titles = allOperations.map(({ resource, operation, name, action }) => [
	`${resource}.${operation}`,
	resource === 'image' ? name : action,
]);

/**
 * What the canvas shows below the node's name: the ID of the model or deployment, or what the operation does. The raw
 * parameters, because evaluating a chooser's expression fails where the editor has no data yet.
 */
export const subtitle = `={{ (${[
	'String(["run", "get"].includes($rawParameter.operation) && $rawParameter[$rawParameter.resource + "Id"] || "")',
	'.match(/^[^=].*/)',
	` ?? [(${JSON.stringify(Object.fromEntries(titles))})[$rawParameter.resource + "." + $rawParameter.operation]]`,
].join('')})[0] ?? "" }}`;

/** The properties of the node: the lists of resources and operations, and the fields of each operation. */
export const properties: INodeProperties[] = [
	resourceField,
	...operationLists,
	...allOperations.flatMap(({ resource, operation, fields }) =>
		fields.map((field) => ({
			...toProperty(field),
			displayOptions: {
				...field.displayOptions,
				show: { resource: [resource], operation: [operation], ...field.displayOptions?.show },
			},
		})),
	),
];

/** The field as n8n knows it. */
function toProperty({ decides: _decides, ...property }: Field): INodeProperties {
	if (property.type !== 'collection') return property;
	return { ...property, options: (property.options as Field[]).map(toProperty) };
}
