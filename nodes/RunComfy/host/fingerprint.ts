import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../api/json';
import { digest } from '../common/digest';

/** As an AI agent's tool, the node is called with a run index of its own each time. */
export function isUsedAsTool(context: IExecuteFunctions): boolean {
	return context.getNode().type.endsWith('Tool') || 'addInputData' in context;
}

/**
 * Which run of the agent calls the tool: in a loop, the agent of another photo may make the same call. The expressions of
 * the tool's fields read that photo, but the call's own input does not show it.
 */
function agentRunOf(context: IExecuteFunctions): unknown {
	return isUsedAsTool(context) ? context.getExecuteData().source : undefined;
}

/** Parameters that decide how to wait and what to return: whoever raises the timeout still means the same request. */
const NOT_PAID_FOR = new Set([
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

function whatIsPaidFor(parameters: IDataObject): IDataObject {
	const entries = Object.entries(parameters).filter(([name]) => !NOT_PAID_FOR.has(name));
	const kept: IDataObject = Object.fromEntries(entries);
	const { options } = kept;
	return isJsonObject(options) ? { ...kept, options: whatIsPaidFor(options as IDataObject) } : kept;
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
		JSON.stringify([whatIsPaidFor(context.getNode().parameters), agentRunOf(context)]),
	);
	const items = context.getInputData();
	return async (itemIndex) => {
		const { json = {}, binary = {} } = items[itemIndex] ?? {};
		// An AI agent gives its tool call a new ID in every attempt.
		const { toolCallId: _toolCallId, ...input } = json;
		const files: unknown[] = [];
		for (const [name, file] of Object.entries(binary)) {
			// Whatever an earlier node has put there: it may be no file at all.
			const { data, ...description }: JsonObject = isJsonObject(file) ? file : {};
			// A file that n8n stores elsewhere is identified by its ID; otherwise the item contains the file.
			const isInside = description.id === undefined && typeof data === 'string';
			files.push([name, description, isInside ? await digest(data) : undefined]);
		}
		return await digest(JSON.stringify([parameters, input, files]));
	};
}
