/** No real token is shorter, and redacting a shorter text could remove ordinary words. */
const MIN_TOKEN_LENGTH = 8;
/** Deeper values are replaced: reading an answer must not exhaust the stack. */
const MAX_DEPTH = 200;
const TOO_DEEP = '[nested too deeply]';
const REPLACEMENT = '[token]';

export type Redact = (text: string) => string;

/**
 * Redacts a token in texts, also where a server has encoded it: with its special characters escaped for JSON (also
 * twice), or percent-encoded for a URL. Pure.
 */
export function createRedact(token: string): Redact {
	if (token.length < MIN_TOKEN_LENGTH) return (text) => text;
	const pattern = new RegExp([...token].map(patternOf).join(''), 'g');
	return (text) => text.replace(pattern, REPLACEMENT);
}

/** Matches every encoding of one character. Repetitions are bounded, so that the search stays fast on any text. */
function patternOf(character: string): string {
	if (/[\w-]/.test(character)) return character;
	const code = character.charCodeAt(0).toString(16).padStart(2, '0');
	const hex = code.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
	const plain = character === '\\' ? '\\\\{1,4}' : `\\\\{0,3}\\${character}`;
	return `(?:${plain}|%${hex}|\\\\{1,2}u00${hex})`;
}

/** A copy of parsed JSON in which every string is redacted, including the names of fields. */
export function redactJson(value: unknown, redact: Redact, depth = 0): unknown {
	if (typeof value === 'string') return redact(value);
	if (typeof value !== 'object' || value === null) return value;
	if (depth > MAX_DEPTH) return TOO_DEEP;
	if (Array.isArray(value)) return value.map((entry: unknown) => redactJson(entry, redact, depth + 1));
	return Object.fromEntries(
		Object.entries(value).map(([name, entry]) => [redact(name), redactJson(entry, redact, depth + 1)]),
	);
}
