/** Names for files and for the binary fields that hold them. Pure. */

const FALLBACK_NAME = 'image';
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

/**
 * The file name of the n-th image of a result.
 * @param wanted the user's name without extension; empty: the name in the URL.
 * @param extension of what was really received.
 */
export function outputFileName(wanted: string, url: string, index: number, extension: string): string {
	const chosen = safeName(wanted);
	if (chosen !== '') return `${chosen}${index === 0 ? '' : `_${index}`}.${extension}`;
	const inUrl = safeName(nameInUrl(url));
	return `${inUrl === '' ? `${FALLBACK_NAME}${index === 0 ? '' : `_${index}`}` : inUrl}.${extension}`;
}

/** The binary field of the n-th image: `data`, `data_1`, … */
export function outputFieldName(field: string, index: number): string {
	return index === 0 ? field : `${field}_${index}`;
}
