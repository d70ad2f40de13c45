/** What a file really is, told by its first bytes. Pure. */

export interface ImageType {
	mimeType: string;
	extension: string;
}

/** As many bytes as `imageTypeOf` needs. */
export const SNIFF_BYTES = 16;

const PNG: ImageType = { mimeType: 'image/png', extension: 'png' };
const JPEG: ImageType = { mimeType: 'image/jpeg', extension: 'jpg' };
const WEBP: ImageType = { mimeType: 'image/webp', extension: 'webp' };
const GIF: ImageType = { mimeType: 'image/gif', extension: 'gif' };
const AVIF: ImageType = { mimeType: 'image/avif', extension: 'avif' };

/** What the model takes as input (documented for images in general: JPEG, PNG, WebP). */
const INPUT_TYPES = new Set([PNG, JPEG, WEBP]);

/** The type of an image, undefined when the bytes are none of the formats that the web shows. */
export function imageTypeOf(bytes: Buffer): ImageType | undefined {
	const text = bytes.toString('latin1', 0, SNIFF_BYTES);
	if (text.startsWith('\x89PNG\r\n\x1a\n')) return PNG;
	if (text.startsWith('\xff\xd8\xff')) return JPEG;
	if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return WEBP;
	if (text.startsWith('GIF87a') || text.startsWith('GIF89a')) return GIF;
	if (text.slice(4, 12) === 'ftypavif' || text.slice(4, 12) === 'ftypavis') return AVIF;
	return undefined;
}

/** As `imageTypeOf`, but only for the formats that may be sent as an input. */
export function inputImageTypeOf(bytes: Buffer): ImageType | undefined {
	const type = imageTypeOf(bytes);
	return type !== undefined && INPUT_TYPES.has(type) ? type : undefined;
}

/** True when bytes that are not an image look like a web page or another text: usually an error page. */
export function looksLikeText(bytes: Buffer): boolean {
	return /^[\s\ufeff]*[<{["\w]/.test(bytes.toString('utf8', 0, SNIFF_BYTES));
}
