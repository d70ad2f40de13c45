/** Splits what a user has typed into a list of files. Pure. */

/** Longer words are names of no file; it keeps the search for names cheap. */
const MAX_NAME_LENGTH = 100;
const ADDRESS = /^\s{0,9}(?:https?:\/\/|data:[a-z]{1,20}\/)/i;
const ADDRESS_LENGTH = 40;

const isAddress = (text: string): boolean => ADDRESS.test(text.slice(0, ADDRESS_LENGTH));

/**
 * Addresses, data URIs and names of files, one a line or separated by commas. A comma can be part of an address: there it
 * separates only before white space, another address, or the name of a file.
 * @param isFileName whether the item has a file of that name.
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

/** The first comma after `start` that may separate: the first one of a data URI is part of it. */
function nextComma(line: string, start: number): number {
	const comma = line.indexOf(',', start);
	return /^\s{0,9}data:/i.test(line.slice(start, start + ADDRESS_LENGTH)) && comma !== -1
		? line.indexOf(',', comma + 1)
		: comma;
}
