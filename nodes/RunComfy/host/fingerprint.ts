import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../api/json';

/**
 * How much text is hashed at once: the files in an item may be large, and are not copied as a whole.
 */
const CHUNK_LENGTH = 1_000_000;

/** SHA-256 of texts, as hexadecimal digits. */
async function digest(text: string): Promise<string> {
	const hashes: string[] = [];
	for (let from = 0; from === 0 || from < text.length; from += CHUNK_LENGTH) {
		const bytes = new TextEncoder().encode(text.slice(from, from + CHUNK_LENGTH));
		hashes.push(Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex'));
	}
	const [first = ''] = hashes;
	return hashes.length === 1 ? first : await digest(hashes.join());
}

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
 * What an item is recognized by in a retry: the node's parameters as they are written, expressions and all, and the
 * input item. Evaluated values are no part of it: `{{ $now }}` or `{{ Math.random() }}` differ in every try.
 * @returns a function that gives the fingerprint of an item: a hash, so that n8n's execution data holds neither prompts
 * nor files because of it.
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
		// An agent's call of a tool has an id of its own in every attempt of the agent.
		const { toolCallId: _toolCallId, ...input } = json;
		const files: unknown[] = [];
		for (const [name, file] of Object.entries(binary)) {
			// Whatever an earlier node has put there: it may be no file at all.
			const { data, ...description }: JsonObject = isJsonObject(file) ? file : {};
			// A file that n8n keeps elsewhere is named by its id; otherwise its content stands in the item.
			const isInside = description.id === undefined && typeof data === 'string';
			files.push([name, description, isInside ? await digest(data) : undefined]);
		}
		return await digest(JSON.stringify([parameters, input, files]));
	};
}
