import { isJsonObject, parseJson, textOf, type JsonObject } from '../api/json';
import { cleanReason, flattenReason } from '../api/problems';

/** How ComfyUI reports why a run failed. Pure. */
export interface ComfyError {
	/** ComfyUI's own message. */
	reason?: string;
	/** The node, such as `node 3 (KSampler)`, where the error names it apart from its message. */
	node?: string;
}

const MAX_NODES = 20;
const MAX_DETAIL_LENGTH = 200;

/**
 * Reads the `error` of a failed request: an object with a `message` (documented), a list of `{errorCode, error, debugInfo}`
 * [assumed: seen in other clients], or one of ComfyUI's own errors [assumed: passed on as they are].
 */
export function describeComfyError(error: unknown): ComfyError {
	const parsed = parse(error);
	const nodeErrors = isJsonObject(parsed) ? readNodeErrors(parsed.node_errors) : undefined;
	if (nodeErrors !== undefined) return nodeErrors;
	const [first] = Array.isArray(parsed) ? (parsed as unknown[]) : [parsed];
	const facts = isJsonObject(first) ? first : {};
	const message = Array.isArray(parsed) ? parsed.slice(0, MAX_NODES).map(sentenceOf) : [sentenceOf(parsed)];
	const texts = message.filter((text) => text !== undefined);
	const reason = cleanReason(texts.length === 0 ? undefined : texts.join('; '));
	const node = nodeOf(facts);
	return { ...(reason === undefined ? {} : { reason }), ...(node === undefined ? {} : { node }) };
}

/** An error may be JSON within a text. */
function parse(error: unknown): unknown {
	if (typeof error !== 'string' || !/^\s*[[{]/.test(error)) return error;
	return parseJson(error) ?? error;
}

function sentenceOf(error: unknown): string | undefined {
	if (!isJsonObject(error)) return flattenReason(error);
	const text = textOf(error, 'exception_message') ?? flattenReason(error) ?? textOf(error, 'type');
	const details = [textOf(error, 'details'), textOf(error, 'debugInfo')].filter(
		// A longer one is a traceback.
		(detail) => detail !== undefined && detail.length <= MAX_DETAIL_LENGTH && detail !== text,
	);
	return text === undefined ? details[0] : [text, ...details].join(' – ');
}

/** `node 3 (KSampler)`. */
function nodeOf(error: JsonObject): string | undefined {
	const id: unknown = error.node_id ?? error.nodeId;
	const isId = typeof id === 'string' || typeof id === 'number';
	const type = textOf(error, 'node_type') ?? textOf(error, 'class_type') ?? textOf(error, 'nodeType');
	if (!isId) return cleanReason(type);
	return cleanReason(`node ${id}${type === undefined ? '' : ` (${type})`}`);
}

/** `{"3": {"class_type": "KSampler", "errors": [{"message", "details"}]}}`: what ComfyUI's validation found. */
function readNodeErrors(nodeErrors: unknown): ComfyError | undefined {
	if (!isJsonObject(nodeErrors)) return undefined;
	const [first] = Object.entries(nodeErrors);
	if (first === undefined || !isJsonObject(first[1])) return undefined;
	const [id, { errors, ...facts }] = first;
	const found: unknown[] = Array.isArray(errors) ? errors : [errors];
	const texts = found.slice(0, MAX_NODES).map(sentenceOf);
	const reason = cleanReason(texts.filter((text) => text !== undefined).join('; '));
	const node = nodeOf({ ...facts, node_id: id });
	return { ...(reason === undefined ? {} : { reason }), ...(node === undefined ? {} : { node }) };
}
