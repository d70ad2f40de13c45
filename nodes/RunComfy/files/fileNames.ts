/** Names for files and for the binary fields that hold them. Pure. */

const MAX_NAME_LENGTH = 120;
/** Longer texts are cut to this before patterns are applied. */
const MAX_TEXT_LENGTH = 1_000;

/** Replaces characters that are unsafe in a path, a header, or an email attachment, or that mislead a reader. */
function safeName(text: string): string {
	const name = text
		.slice(0, MAX_TEXT_LENGTH)
		// Control characters, halves of surrogate pairs, and characters that change the text direction.
		.replace(/[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069<>:"/\\|?*]+/gu, '_')
		.normalize('NFC');
	return trimDots([...trimDots(name)].slice(0, MAX_NAME_LENGTH).join(''));
}

function trimDots(text: string): string {
	return text.replace(/^[.\s]+|[.\s]+$/g, '');
}

/** The last part of a URL's path. */
export function nameInUrl(url: string): string {
	try {
		const last = new URL(url).pathname.split('/').pop() ?? '';
		return decodeURIComponent(last.slice(0, MAX_TEXT_LENGTH));
	} catch {
		return '';
	}
}

/** Files of ComfyUI may also end in `.latent` or `.safetensors`. */
const EXTENSION = /\.[a-z0-9]{1,11}$/i;

/**
 * The names of a result's files without extension. They differ even when case is ignored, because storages overwrite files
 * of the same name.
 * @param files with their own names, where they have one other than that in the URL, and the name when there is no other.
 * @param fileName the user's name without extension; empty to use the files' own names.
 */
export function outputFileStems(
	files: Array<{ url: string; name?: string; kind: string }>,
	fileName: string,
): string[] {
	const taken = new Set<string>();
	// Where to go on counting, because a result may hold thousands of files of the same name.
	const counts = new Map<string, number>();
	return files.map(({ url, name: own, kind }) => {
		const wanted = safeName(fileName) || safeName((own ?? nameInUrl(url)).replace(EXTENSION, '')) || kind;
		const key = wanted.toLowerCase();
		let n = counts.get(key) ?? 0;
		const numbered = () => (n === 0 ? wanted : `${wanted}_${n}`);
		while (taken.has(numbered().toLowerCase())) n++;
		counts.set(key, n + 1);
		taken.add(numbered().toLowerCase());
		return numbered();
	});
}

/** The binary field of the file with this index: `data`, `data_1`, and so on. */
export function outputFieldName(field: string, index: number): string {
	return index === 0 ? field : `${field}_${index}`;
}
