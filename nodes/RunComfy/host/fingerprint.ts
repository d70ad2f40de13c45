import type { IExecuteFunctions } from 'n8n-workflow';

/** The length of text that is hashed at once, so that large files in an item are not copied as a whole. */
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

/**
 * The fingerprint that identifies an item in a retry: a hash of the node's parameters with their unevaluated expressions,
 * and of the input item. Evaluated values are not included: `{{ $now }}` or `{{ Math.random() }}` differ in every try.
 * @returns a function that returns the fingerprint of an item. It is a hash, so that n8n's execution data, where it is
 * stored, does not contain prompts or files because of it.
 */
export async function createFingerprints(
	context: IExecuteFunctions,
): Promise<(itemIndex: number) => Promise<string>> {
	const parameters = await digest(JSON.stringify(context.getNode().parameters));
	const items = context.getInputData();
	return async (itemIndex) => {
		const { json = {}, binary = {} } = items[itemIndex] ?? {};
		// An AI agent gives its tool call a new ID in every attempt.
		const { toolCallId: _toolCallId, ...input } = json;
		const files: unknown[] = [];
		for (const [name, { data, ...description }] of Object.entries(binary)) {
			// A file that n8n stores elsewhere is identified by its ID; otherwise the item contains the file.
			files.push([name, description, description.id === undefined ? await digest(data) : undefined]);
		}
		return await digest(JSON.stringify([parameters, input, files]));
	};
}
