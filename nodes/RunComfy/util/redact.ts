/** No real token is shorter, and redacting a shorter text could remove ordinary words. */
const MIN_TOKEN_LENGTH = 8;
/** Deeper values are replaced: reading an answer must not exhaust the stack. */
const MAX_DEPTH = 200;
const TOO_DEEP = '[nested too deeply]';
const REPLACEMENT = '[token]';

export type Redact = (text: string) => string;

/** Matches the encodings of a character in a URL (also of an encoded one), in JSON or JavaScript, and in HTML. */
function encodedAs(hex: string, decimal: string): string {
	return `%(?:25){0,3}${hex}|\\\\{1,4}(?:u00|x)${hex}|&(?:amp;)?#(?:0{0,6}${decimal}|x0{0,6}${hex});`;
}

/** What separates the parts of a link, also where a server has encoded it. */
const BETWEEN = `(?:\\W|${encodedAs('[\\da-f]{2}', '\\d{2}')}|&(?:amp;)?[a-z]{2,6};){1,8}`;
const HYPHEN = `(?:-|${encodedAs('2d', '45')})`;
/**
 * A link under which n8n gives a file to whoever has it: this node makes them, and a model may repeat its inputs. Its token
 * is a JSON Web Token.
 */
const LINK = new RegExp(
	`(?:https?(?:(?!https?)[^\\s"'<>])*?)?binary${HYPHEN}data${BETWEEN}signed${BETWEEN}token${BETWEEN}ey(?:[\\w.]|${HYPHEN}|${encodedAs('2e', '46')})+`,
	'gi',
);

/**
 * Redacts a token in texts, in any case, and also where a server has encoded it: escaped for JSON or JavaScript, a URL
 * (also several times), or HTML, or as hexadecimal digits or base64. And temporary links to files. Pure.
 */
export function createRedact(token: string): Redact {
	const withoutLinks: Redact = (text) =>
		text.includes('binary') ? text.replace(LINK, '[temporary link]') : text;
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
	const named = entity === undefined ? '' : `|&(?:amp;)?${entity};`;
	return `(?:${plain}|${encodedAs(hex, String(code))}${named})`;
}

/** Matches the token inside of a longer text as base64, of which so many bytes before it (modulo 3) are part. */
function base64Of(token: string, offset: number): string {
	const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(token)]);
	// Without the characters that hold bits of what is before or after it.
	const own = bytes.toString('base64').slice(Math.ceil((offset * 4) / 3), Math.floor((bytes.length * 4) / 3));
	// Long base64 is broken into lines.
	return [...own]
		.map((character) => BASE64_SIGNS.get(character) ?? character)
		.join('(?:\\s|\\\\{1,2}[rn]){0,4}');
}

/** The signs of base64, in both of its alphabets, that are encoded where it is a part of something else. */
const BASE64_SIGNS = new Map([
	['+', `(?:[+-]|${encodedAs('2[bB]', '43')})`],
	['/', `(?:\\\\{0,3}/|_|${encodedAs('2[fF]', '47')})`],
]);

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
