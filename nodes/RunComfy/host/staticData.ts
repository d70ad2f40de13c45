import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../api/json';

/**
 * What the node keeps across executions, in n8n's static data of the workflow. n8n saves it at the end of an execution
 * that succeeded or failed; not in manual executions, and not after Stop. Parallel executions overwrite each other's, and
 * users may have edited it: whoever reads a value checks it.
 *
 * Each value is stored as JSON text: n8n wraps every object of it in a proxy, and notices only assignments.
 */
export type StaticDataName = 'jobTimes';

/** @returns what has been stored under the name; undefined when there is nothing, or nothing that can be read. */
export function readStaticData(context: IExecuteFunctions, name: StaticDataName): unknown {
	const text = staticDataOf(context)?.[name];
	if (typeof text !== 'string') return undefined;
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

export function writeStaticData(context: IExecuteFunctions, name: StaticDataName, value: unknown): void {
	const data = staticDataOf(context);
	if (data !== undefined) data[name] = JSON.stringify(value);
}

function staticDataOf(context: IExecuteFunctions): JsonObject | undefined {
	const data: unknown = context.getWorkflowStaticData('node');
	return isJsonObject(data) ? data : undefined;
}
