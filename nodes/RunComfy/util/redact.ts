/** No real token is shorter, and redacting a shorter text could remove ordinary words. */
const MIN_TOKEN_LENGTH = 8;
/** Deeper values are replaced: reading an answer must not exhaust the stack. */
const MAX_DEPTH = 200;
const TOO_DEEP = '[nested too deeply]';
const REPLACEMENT = '[token]';

export type Redact = (text: string) => string;

/** What separates the parts of a link, also where a server has encoded it. */
const BETWEEN = '(?:\\W|%(?:25)?[\\da-f]{2}|u00[\\da-f]{2}){1,8}';
/** A link under which n8n gives a file to whoever has it: this node makes them, and a model may repeat its inputs. */
const LINK = new RegExp(
	`(?:https?(?:(?!https?)[^\\s"'<>])*?)?binary-data${BETWEEN}signed${BETWEEN}token${BETWEEN}[\\w.-]+`,
	'gi',
);

/**
 * Redacts a token in texts, in any case, and also where a server has encoded it: escaped for JSON, a URL (also twice), or
 * HTML, or as hexadecimal digits or base64. And temporary links to files. Pure.
 */
export function createRedact(token: string): Redact {
	const withoutLinks: Redact = (text) =>
		text.includes('binary-data') ? text.replace(LINK, '[temporary link]') : text;
	if (token.length < MIN_TOKEN_LENGTH) return withoutLinks;
	const hex = Buffer.from(token).toString('hex');
	const pattern = new RegExp(`${[...token].map(patternOf).join('')}|${hex}`, 'gi');
	const base64 = new RegExp([0, 1, 2].map((offset) => base64Of(token, offset)).join('|'), 'g');
	return (text) => withoutLinks(text.replace(pattern, REPLACEMENT).replace(base64, REPLACEMENT));
}

/** Matches every encoding of one character. Repetitions are bounded, so that the search stays fast on any text. */
function patternOf(character: string): string {
	const code = character.charCodeAt(0);
	const hex = code.toString(16).padStart(2, '0');
	const entity = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": 'apos' }[character];
	const plain = /[\w-]/.test(character)
		? character
		: character === '\\'
			? '\\\\{1,4}'
			: `\\\\{0,3}\\${character}`;
	const named = entity === undefined ? '' : `|&${entity};`;
	return `(?:${plain}|%(?:25)?${hex}|\\\\{1,2}u00${hex}|&#(?:0{0,6}${code}|x0{0,6}${hex});${named})`;
}

/** Matches the token inside of a longer text as base64, of which so many bytes before it (modulo 3) are part. */
function base64Of(token: string, offset: number): string {
	const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(token)]);
	// Without the characters that hold bits of what is before or after it.
	const own = bytes.toString('base64').slice(Math.ceil((offset * 4) / 3), Math.floor((bytes.length * 4) / 3));
	return own.replaceAll('+', '[+-]').replaceAll('/', '[/_]');
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
