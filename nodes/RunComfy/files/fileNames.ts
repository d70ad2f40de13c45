/** Names for files and for the binary fields that hold them. Pure. */

/** File systems allow 255 bytes: this leaves room for a number and the extension. */
const MAX_NAME_BYTES = 230;
/** Longer texts are cut to this before patterns are applied. */
const MAX_TEXT_LENGTH = 1_000;

/** Names that Windows reserves, with any extension. */
const RESERVED = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)/i;

/** Replaces what is unsafe in a path, a command, a header, or an email attachment, or misleads a reader. */
function safeName(text: string): string {
	const name = text
		.slice(0, MAX_TEXT_LENGTH)
		// Control characters, invisible ones and those that change the text direction, line separators, half characters.
		.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}<>:"/\\|?*]+/gu, '_')
		.normalize('NFC');
	const trimmed = trimDots(cutToBytes(trimDots(name), MAX_NAME_BYTES)).replace(/^-/, '_');
	return RESERVED.test(trimmed) ? `_${trimmed}` : trimmed;
}

function trimDots(text: string): string {
	return text.replace(/^[.\s]+|[.\s]+$/g, '');
}

/** The beginning of a text that has at most so many bytes as UTF-8, cut between characters. */
function cutToBytes(text: string, maxBytes: number): string {
	let bytes = 0;
	const fits = (character: string) => (bytes += Buffer.byteLength(character)) <= maxBytes;
	const characters = [...text];
	const end = characters.findIndex((character) => !fits(character));
	return end === -1 ? text : characters.slice(0, end).join('');
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
 * @param files with their own names, and the kind for those that have none.
 * @param fileName the user's name without extension; empty to use the files' own names.
 */
export function outputFileStems(files: Array<{ name: string; kind: string }>, fileName: string): string[] {
	const taken = new Set<string>();
	// Where to go on counting, because a result may hold thousands of files of the same name.
	const counts = new Map<string, number>();
	return files.map(({ name, kind }) => {
		const wanted = safeName(fileName) || safeName(name.replace(EXTENSION, '')) || kind;
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
