import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../api/json';
import { digest } from '../common/digest';

/** As an AI agent's tool, the node is called with a run index of its own each time. */
export function isUsedAsTool(context: IExecuteFunctions): boolean {
	return context.getNode().type.endsWith('Tool') || 'addInputData' in context;
}

/**
 * Which run of the agent calls the tool. In a loop, the agent may make the same call for another item. The expressions of
 * the tool's fields read that item, but the input of the call does not show it.
 */
function agentRunOf(context: IExecuteFunctions): unknown {
	return isUsedAsTool(context) ? context.getExecuteData().source : undefined;
}

/** Parameters that decide how to wait and what to return. With a longer timeout, a request is still the same one. */
const WAIT_AND_OUTPUT_PARAMETERS = new Set([
	'waitForCompletion',
	'downloadFiles',
	'binaryPropertyOutput',
	'cancelOnStop',
	'fileName',
	'includeCost',
	'maxConcurrency',
	'maxFileSize',
	'pollInterval',
	'reuseResults',
	'spendingLimit',
	'timeout',
]);

function withoutWaitAndOutput(parameters: IDataObject): IDataObject {
	const entries = Object.entries(parameters).filter(([name]) => !WAIT_AND_OUTPUT_PARAMETERS.has(name));
	const kept: IDataObject = Object.fromEntries(entries);
	const { options } = kept;
	return isJsonObject(options) ? { ...kept, options: withoutWaitAndOutput(options as IDataObject) } : kept;
}

/**
 * The fingerprint that identifies an item in a retry: a hash of the node's parameters with their unevaluated expressions,
 * and of the input item. Evaluated values are not included: `{{ $now }}` or `{{ Math.random() }}` differ in every try.
 * @returns a function that returns the fingerprint of an item. It is a hash, so that n8n's execution data, where it is
 * stored, does not contain prompts or files because of it.
 */
export async function createFingerprints(
	context: IExecuteFunctions,
): Promise<(itemIndex: number) => Promise<string>> {
	const parameters = await digest(
		JSON.stringify([withoutWaitAndOutput(context.getNode().parameters), agentRunOf(context)]),
	);
	const items = context.getInputData();
	return async (itemIndex) => {
		const { json = {}, binary = {} } = items[itemIndex] ?? {};
		// An AI agent gives its tool call a new ID in every attempt.
		const { toolCallId: _toolCallId, ...input } = json;
		const files: unknown[] = [];
		for (const [name, file] of Object.entries(binary)) {
			// An earlier node may have put anything there.
			const { data, ...description }: JsonObject = isJsonObject(file) ? file : {};
			// A file that n8n stores elsewhere is identified by its ID; otherwise the item contains the file.
			const isInside = description.id === undefined && typeof data === 'string';
			files.push([name, description, isInside ? await digest(data) : undefined]);
		}
		return await digest(JSON.stringify([parameters, input, files]));
	};
}
