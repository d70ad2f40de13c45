import { isJsonObject } from '../api/json';

/** n8n evaluates a saved text that begins with `=`, also inside of what it saves of lists and fields. */
function isExpression(value: unknown): value is string {
	return typeof value === 'string' && value.startsWith('=');
}

/**
 * What the editor may be given of texts from outside: labels that would be expressions begin with an apostrophe, as in a
 * spreadsheet; the value of such a choice is an expression that gives it; such a default is left out, and an entry is not
 * offered whose ID would be one.
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
	return Object.fromEntries(
		entries.map(([name, part]) => [
			name,
			name === 'options' && Array.isArray(part) ? part.map(toChoice) : safe(part),
		]),
	);
}

function isOffered(entry: unknown): boolean {
	return !isJsonObject(entry) || !(isExpression(entry.id) || isExpression(entry.value));
}

function toChoice(choice: unknown): unknown {
	if (!isJsonObject(choice) || !isExpression(choice.value)) return safe(choice);
	return { ...(safe({ ...choice, value: '' }) as object), value: asLiteral(choice.value) };
}

/** An expression that gives the text. No character is left that could end its quotes or its braces. */
function asLiteral(text: string): string {
	const escaped = text.replace(
		/[^\w .-]/g,
		(unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
	);
	return `={{ "${escaped}" }}`;
}
