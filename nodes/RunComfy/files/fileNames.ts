/** Names for files and for the binary fields that hold them. Pure. */

const MAX_NAME_LENGTH = 120;

/** Without what a path, a header or a mail attachment could trip over. */
function safeName(text: string): string {
	return text
		.replace(/[\p{Cc}<>:"/\\|?*]+/gu, '_')
		.replace(/^[.\s]+|[.\s]+$/g, '')
		.slice(0, MAX_NAME_LENGTH);
}

/** The last part of a URL's path without its extension. */
function nameInUrl(url: string): string {
	try {
		const last = new URL(url).pathname.split('/').pop() ?? '';
		return decodeURIComponent(last).replace(/\.[a-z0-9]{1,5}$/i, '');
	} catch {
		return '';
	}
}

/** Which file of a result is to be named. */
export interface NamedFile {
	/** The user's name without extension; empty: the name in the URL. */
	fileName: string;
	url: string;
	/** Stands in for a name where there is none. */
	kind: string;
	/** Position in the result. */
	index: number;
}

/**
 * The name of a result's file.
 * @param extension of what was really received.
 */
export function outputFileName({ fileName, url, kind, index }: NamedFile, extension: string): string {
	const number = index === 0 ? '' : `_${index}`;
	const chosen = safeName(fileName);
	if (chosen !== '') return `${chosen}${number}.${extension}`;
	const inUrl = safeName(nameInUrl(url));
	return `${inUrl === '' ? `${kind}${number}` : inUrl}.${extension}`;
}

/** The binary field of the n-th file: `data`, `data_1`, … */
export function outputFieldName(field: string, index: number): string {
	return index === 0 ? field : `${field}_${index}`;
}
