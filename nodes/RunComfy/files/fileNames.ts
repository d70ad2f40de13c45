/** Names for files and for the binary fields that hold them. Pure. */

const MAX_NAME_LENGTH = 120;
/** Longer texts are cut before patterns meet them. */
const MAX_TEXT_LENGTH = 1_000;

/** Without what a path, a header, a mail attachment or a reader could trip over. */
function safeName(text: string): string {
	const name = text
		.slice(0, MAX_TEXT_LENGTH)
		// Control characters, halves of characters, and those that turn the direction of writing.
		.replace(/[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069<>:"/\\|?*]+/gu, '_')
		.normalize('NFC');
	return trimDots([...trimDots(name)].slice(0, MAX_NAME_LENGTH).join(''));
}

function trimDots(text: string): string {
	return text.replace(/^[.\s]+|[.\s]+$/g, '');
}

/** The last part of a URL's path without its extension. */
function nameInUrl(url: string): string {
	try {
		const last = new URL(url).pathname.split('/').pop() ?? '';
		return decodeURIComponent(last.slice(0, MAX_TEXT_LENGTH)).replace(/\.[a-z0-9]{1,5}$/i, '');
	} catch {
		return '';
	}
}

/** Which file of a result is to be named. */
export interface NamedFile {
	url: string;
	/** Its name where there is no other. */
	kind: string;
}

/**
 * The names of a result's files without extension, all different, also where capitals do not count: storages overwrite one
 * file with another of the same name.
 * @param fileName the user's name without extension; empty: the names in the URLs.
 */
export function outputFileStems(files: NamedFile[], fileName: string): string[] {
	const taken = new Set<string>();
	return files.map(({ url, kind }) => {
		const wanted = safeName(fileName) || safeName(nameInUrl(url)) || kind;
		let name = wanted;
		for (let n = 1; taken.has(name.toLowerCase()); n++) name = `${wanted}_${n}`;
		taken.add(name.toLowerCase());
		return name;
	});
}

/** The binary field of the n-th file: `data`, `data_1`, … */
export function outputFieldName(field: string, index: number): string {
	return index === 0 ? field : `${field}_${index}`;
}
