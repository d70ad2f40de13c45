/** True for a value that the user has left empty, or that an expression did not fill: undefined, null, or a blank text. */
export function isEmpty(value: unknown): boolean {
	return value === undefined || value === null || (typeof value === 'string' && value.trim() === '');
}

/** A switch as n8n itself reads one: `TRUE`, `1`, and `"0"`, too; undefined for anything else. */
export function toBoolean(value: unknown): boolean | undefined {
	const text = typeof value === 'string' ? value.trim().toLowerCase() : value;
	if (text === true || text === 'true' || text === 1 || text === '1') return true;
	return text === false || text === 'false' || text === 0 || text === '0' ? false : undefined;
}

/** Amounts in USD that differ by less count as equal, because floating-point sums of cents are not exact. */
export const TOLERANCE_USD = 1e-9;

/** `$0.06`; with up to four decimals when two are not enough, and more for less than that. */
export function dollars(usd: number): string {
	const cents = usd.toFixed(2);
	const exact = Math.abs(Number(cents) - usd) < TOLERANCE_USD;
	return `$${exact ? cents : String(Number(usd.toFixed(4)) || Number(usd.toFixed(8)))}`;
}

/** `$0.02 per output`; undefined where none is known: a price of 0 is none. */
export function priceText({ usd = 0, unit }: { usd?: number; unit?: string }): string | undefined {
	if (usd === 0) return undefined;
	return unit === undefined ? dollars(usd) : `${dollars(usd)} per ${unit}`;
}

/** @returns SHA-256 of a text as hexadecimal digits. As UTF-16, because UTF-8 has no half of a character. */
export async function digest(text: string): Promise<string> {
	return Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(text, 'utf16le'))).toString('hex');
}

/** `T`, where every key that may be undefined is optional instead. */
type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
	[K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** A copy without the keys whose value is undefined. */
export function omitUndefined<T extends object>(object: T): Defined<T> {
	const copy: object & Partial<T> = {};
	for (const name in object) {
		if (object[name] !== undefined) copy[name] = object[name];
	}
	return copy as object as Defined<T>;
}

/** The value that a cache holds under a key; where it holds none, a new one, which it keeps. */
export function cached<K, V>(
	cache: { get(key: K): V | undefined; set(key: K, value: V): unknown },
	key: K,
	create: () => V,
): V {
	const known = cache.get(key);
	if (known !== undefined) return known;
	const value = create();
	cache.set(key, value);
	return value;
}

const MAX_LISTED = 50;
const MAX_LIST_LENGTH = 25_000;
/** Signed URLs of storages have up to 1,900 characters. */
const MAX_URL_LENGTH = 2_500;

/** A URL from outside as it is shown; in data it is whole. */
export function shortUrl(url: string): string {
	return url.length <= MAX_URL_LENGTH ? url : `${url.slice(0, MAX_URL_LENGTH)}…`;
}

/** URLs from outside, or texts that hold one, for a sentence. */
export function listOf(texts: string[], separator = ', '): string {
	let room = MAX_LIST_LENGTH;
	const listed = texts.slice(0, MAX_LISTED).filter((text) => (room -= text.length) >= 0);
	const more = texts.length > listed.length ? [`… and ${texts.length - listed.length} more`] : [];
	return [...listed, ...more].join(separator);
}

/** One printable line: a text from outside must not forge lines of a log, or change the direction of what follows. */
export function oneLine(text: string): string {
	return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ');
}

/** As `oneLine`, and nothing in it is HTML where n8n's editor would render it: no tag, no link, no image. */
export function plainText(text: string): string {
	return oneLine(text).replaceAll('<', '‹').replaceAll('>', '›');
}
