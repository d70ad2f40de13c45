import { isJsonObject } from '../api/json';

/** n8n evaluates a saved text that begins with `=`, also inside of what it saves of lists and fields. */
function isExpression(value: unknown): boolean {
	return typeof value === 'string' && value.startsWith('=');
}

/**
 * What the editor may be given of texts from outside: labels that would be expressions begin with an apostrophe, as in a
 * spreadsheet; such a default is left out, and an entry is not offered whose value or ID would be one.
 */
export function withoutExpressions<T>(value: T): T {
	return safe(value) as T;
}

function safe(value: unknown): unknown {
	if (typeof value === 'string') return isExpression(value) ? `'${value}` : value;
	if (Array.isArray(value)) return value.filter(isOffered).map(safe);
	if (!isJsonObject(value)) return value;
	const entries = Object.entries(value).filter(
		([name, part]) => name !== 'defaultValue' || !isExpression(part),
	);
	return Object.fromEntries(entries.map(([name, part]) => [name, safe(part)]));
}

function isOffered(entry: unknown): boolean {
	return !isJsonObject(entry) || !(isExpression(entry.id) || isExpression(entry.value));
}
