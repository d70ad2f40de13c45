import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, parseJson, type JsonObject } from '../api/json';
import { RequestStore } from '../jobs/requestStore';

/**
 * What the node keeps across executions, in n8n's static data of the workflow. n8n saves it at the end of an execution
 * that succeeded or failed; not in manual executions, and not after Stop. Parallel executions overwrite each other's, and
 * users may have edited it: whoever reads a value checks it.
 *
 * Each value is stored as JSON text: n8n wraps every object of it in a proxy, and notices only assignments.
 */
type StaticDataName = 'jobTimes' | 'requests';

/** The stores of executions that are under way in this process, by n8n's static data. */
const REQUEST_STORES = new WeakMap<object, RequestStore>();

/** The requests of earlier executions, and of this one: the same store for all runs of the node in an execution. */
export function requestStoreOf(context: IExecuteFunctions): RequestStore {
	const data = staticDataOf(context);
	const store = (data && REQUEST_STORES.get(data)) ?? new RequestStore(readStaticData(context, 'requests'));
	if (data !== undefined) REQUEST_STORES.set(data, store);
	return store;
}

export function saveRequestStore(context: IExecuteFunctions, store: RequestStore): void {
	if (!store.isChanged) return;
	writeStaticData(context, 'requests', store.toJson());
	store.isChanged = false;
}

/** @returns what has been stored under the name; undefined when there is nothing, or nothing that can be read. */
export function readStaticData(context: IExecuteFunctions, name: StaticDataName): unknown {
	const text = staticDataOf(context)?.[name];
	return typeof text === 'string' ? parseJson(text) : undefined;
}

export function writeStaticData(context: IExecuteFunctions, name: StaticDataName, value: unknown): void {
	const data = staticDataOf(context);
	if (data !== undefined) data[name] = JSON.stringify(value);
}

function staticDataOf(context: IExecuteFunctions): JsonObject | undefined {
	const data: unknown = context.getWorkflowStaticData('node');
	return isJsonObject(data) ? data : undefined;
}
