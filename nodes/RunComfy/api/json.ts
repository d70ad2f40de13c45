/** A JSON object whose values have not been checked yet. */
export type JsonObject = Record<string, unknown>;

/** True for a plain JSON object: not null, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value of a JSON text; undefined when it is none. */
export function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

/** A number that JavaScript may not hold as it is written. */
const MAY_BE_INEXACT = /\d{16}|\de\+?\d{3}/i;

/** As `parseJson`, except that numbers that JavaScript does not hold exactly become texts, and so keep their digits. */
export function parseJsonExactly(text: string): unknown {
	const value = parseJson(text);
	return value !== undefined && MAY_BE_INEXACT.test(text) ? parseJson(withTextsForNumbers(text)) : value;
}

function withTextsForNumbers(json: string): string {
	let isText = false;
	const parts = json.split('"').map((part) => {
		if (isText) {
			let end = part.length;
			while (part[end - 1] === '\\') end--;
			// After an odd number of backslashes, the quotation mark is a part of the text.
			isText = (part.length - end) % 2 === 1;
			return part;
		}
		isText = true;
		return part.replace(/-?\d+(\.\d+)?(e[+-]?\d+)?/gi, (number) =>
			isExact(Number(number)) ? number : `"${number}"`,
		);
	});
	return parts.join('"');
}

/** False for an integer that may have lost digits, and for what is too large to be a number. */
export function isExact(number: number): boolean {
	return Number.isInteger(number) === Number.isSafeInteger(number) && Number.isFinite(number);
}

/** No model's input is nearly as deep. */
const MAX_JSON_DEPTH = 100;

/** True for a value that is nested so deeply that reading or writing it as JSON could exhaust the stack. */
export function isTooDeep(value: unknown, depth = 0): boolean {
	if (typeof value !== 'object' || value === null) return false;
	return depth > MAX_JSON_DEPTH || Object.values(value).some((part) => isTooDeep(part, depth + 1));
}

/** The value under `name`, trimmed, when it is a string that is not blank, else undefined. */
export function textAt(object: JsonObject, name: string): string | undefined {
	const value = object[name];
	return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}

/** The value under `name` when it is a finite number, else undefined. */
export function numberAt(object: JsonObject, name: string): number | undefined {
	const value = object[name];
	return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** The strings of a list; empty when the value is no list. */
export function textsIn(value: unknown): string[] {
	return Array.isArray(value) ? value.filter((text): text is string => typeof text === 'string') : [];
}
