/** Splits a text into a list of file sources. Pure. */

/** Longer texts are no file names; the limit keeps the search for names fast. */
const MAX_NAME_LENGTH = 100;
const ADDRESS = /^\s{0,9}(?:https?:\/\/|data:[a-z]{1,20}\/)/i;
const ADDRESS_LENGTH = 40;

const isAddress = (text: string): boolean => ADDRESS.test(text.slice(0, ADDRESS_LENGTH));

/**
 * Splits a text at line breaks and commas into URLs, data URIs, and names of files. A comma can be part of a URL: after a
 * URL, it separates only when white space, another URL, or the name of a file follows.
 * @param isFileName whether the item has a file with that name.
 */
export function splitSources(text: string, isFileName: (name: string) => boolean): string[] {
	return text
		.split('\n')
		.flatMap((line) => splitLine(line, isFileName))
		.map((source) => source.trim())
		.filter((source) => source !== '');
}

function splitLine(line: string, isFileName: (name: string) => boolean): string[] {
	const sources: string[] = [];
	const known = new Map<string, boolean>();
	const isKnown = (name: string): boolean => {
		const found = known.get(name) ?? isFileName(name);
		known.set(name, found);
		return found;
	};
	const startsSource = (from: number): boolean => {
		if (/\s/.test(line.charAt(from)) || isAddress(line.slice(from, from + ADDRESS_LENGTH))) return true;
		const name =
			line
				.slice(from, from + MAX_NAME_LENGTH + 1)
				.split(',', 1)[0]
				?.trim() ?? '';
		return name !== '' && name.length <= MAX_NAME_LENGTH && isKnown(name);
	};
	let start = 0;
	let comma = nextComma(line, start);
	while (comma !== -1) {
		if (!isAddress(line.slice(start, start + ADDRESS_LENGTH)) || startsSource(comma + 1)) {
			sources.push(line.slice(start, comma));
			start = comma + 1;
			comma = nextComma(line, start);
		} else {
			comma = line.indexOf(',', comma + 1);
		}
	}
	return [...sources, line.slice(start)];
}

/** The first comma after `start` that may separate. The first comma of a data URI is part of the URI. */
function nextComma(line: string, start: number): number {
	const comma = line.indexOf(',', start);
	return /^\s{0,9}data:/i.test(line.slice(start, start + ADDRESS_LENGTH)) && comma !== -1
		? line.indexOf(',', comma + 1)
		: comma;
}
