export type FileKind = 'image' | 'video' | 'audio';

const KIND_BY_NAME: ReadonlyArray<readonly [RegExp, FileKind]> = [
	[/\.(png|jpe?g|webp|gif|avif|bmp|tiff?|svg|exr)$/i, 'image'],
	[/\.(mp4|webm|mov|avi|mkv|m4v)$/i, 'video'],
	[/\.(mp3|wav|ogg|flac|m4a|aac|opus)$/i, 'audio'],
];

/** What a file contains according to the extension of its name; undefined for other extensions. */
export function kindByName(fileName: string): FileKind | undefined {
	return KIND_BY_NAME.find(([pattern]) => pattern.test(fileName))?.[1];
}

/** The megabyte of the option “Max File Size (MB)”. */
export const BYTES_PER_MB = 1_000_000;

/** Detects the type of a file from its first bytes. Pure. */

export interface FileType {
	kind: FileKind;
	mimeType: string;
	extension: string;
}

/** The number of bytes that `fileTypeOf` needs. */
export const SNIFF_BYTES = 16;

const type = (kind: FileKind, subtype: string, extension: string): FileType => ({
	kind,
	mimeType: `${kind}/${subtype}`,
	extension,
});
const PNG = type('image', 'png', 'png');
const JPEG = type('image', 'jpeg', 'jpg');
const WEBP = type('image', 'webp', 'webp');
const GIF = type('image', 'gif', 'gif');
const AVIF = type('image', 'avif', 'avif');
const MP4 = type('video', 'mp4', 'mp4');
const QUICKTIME = type('video', 'quicktime', 'mov');
const WEBM = type('video', 'webm', 'webm');
const AVI = type('video', 'x-msvideo', 'avi');
const MP3 = type('audio', 'mpeg', 'mp3');
const WAV = type('audio', 'wav', 'wav');
const OGG = type('audio', 'ogg', 'ogg');
const FLAC = type('audio', 'flac', 'flac');
const M4A = type('audio', 'mp4', 'm4a');
const AAC = type('audio', 'aac', 'aac');

/** The image types that models accept: JPEG, PNG, and WebP (documented). */
const INPUT_IMAGES = new Set([PNG, JPEG, WEBP]);

/** Signatures at the beginning of a file. */
const SIGNATURES: ReadonlyArray<readonly [string, FileType]> = [
	['\x89PNG\r\n\x1a\n', PNG],
	['\xff\xd8\xff', JPEG],
	['GIF87a', GIF],
	['GIF89a', GIF],
	['\x1a\x45\xdf\xa3', WEBM],
	['ID3', MP3],
	['OggS', OGG],
	['fLaC', FLAC],
	// AAC (in ADTS) before MP3: both begin with eleven ones, and only the layer bits differ.
	['\xff\xf1', AAC],
	['\xff\xf9', AAC],
	['\xff\xfb', MP3],
	['\xff\xfa', MP3],
	['\xff\xf3', MP3],
	['\xff\xf2', MP3],
];

/** By the four letters after the length in a RIFF header. */
const RIFF_TYPES = new Map([
	['WEBP', WEBP],
	['WAVE', WAV],
	['AVI ', AVI],
]);

/** By the brand of an ISO base media file; other brands count as MP4 video. */
const BRANDS = new Map([
	['avif', AVIF],
	['avis', AVIF],
	['qt  ', QUICKTIME],
	['M4A ', M4A],
	['M4B ', M4A],
]);
/** Brands of image formats that browsers and models do not support. */
const OTHER_BRANDS = /^(heic|heix|hevc|mif1|msf1|crx )/;

/** The type of a file; undefined when the bytes are no image, video, or audio of a known type. */
export function fileTypeOf(bytes: Buffer): FileType | undefined {
	const text = bytes.toString('latin1', 0, SNIFF_BYTES);
	if (text.startsWith('RIFF')) return RIFF_TYPES.get(text.slice(8, 12));
	if (text.slice(4, 8) === 'ftyp') {
		const brand = text.slice(8, 12);
		return BRANDS.get(brand) ?? (OTHER_BRANDS.test(brand) ? undefined : MP4);
	}
	return SIGNATURES.find(([signature]) => text.startsWith(signature))?.[1];
}

/** Types that cannot be detected from the first bytes, by the extension of the name. */
const OTHER_TYPES = new Map([
	['glb', 'model/gltf-binary'],
	['gltf', 'model/gltf+json'],
	['obj', 'model/obj'],
	['stl', 'model/stl'],
	['txt', 'text/plain'],
	['csv', 'text/csv'],
	['json', 'application/json'],
	['svg', 'image/svg+xml'],
	['zip', 'application/zip'],
]);

/** The type of a file that may be of any type, by its name. */
export function typeByName(fileName: string): Pick<FileType, 'extension' | 'mimeType'> {
	const extension = /\.([a-z0-9]{1,11})$/i.exec(fileName)?.[1]?.toLowerCase() ?? 'bin';
	return { extension, mimeType: OTHER_TYPES.get(extension) ?? 'application/octet-stream' };
}

/** True for the name of a file whose type is detected from its first bytes. */
export function isDetectable(fileName: string): boolean {
	return /\.(png|jpe?g|webp|gif|avif|mp4|mov|webm|mkv|avi|mp3|wav|ogg|flac|m4a|aac)$/i.test(fileName);
}

/** True for a type that a model accepts as an input of that kind. */
export function isInputType(found: FileType, kind: FileKind): boolean {
	return kind === 'image' ? INPUT_IMAGES.has(found) : found.kind === kind;
}

/** True when bytes of an unknown type are a web page or another text, usually an error page. */
export function looksLikeText(bytes: Buffer): boolean {
	return /^[\s\ufeff]*[<{["\w]/.test(bytes.toString('utf8', 0, SNIFF_BYTES));
}

/** True when bytes begin as a web page does, which is no file that a request has made unless it is named so. */
export function looksLikeWebPage(bytes: Buffer): boolean {
	return /^[\s\ufeff]*<(!doctype h|html)/i.test(bytes.toString('utf8', 0, SNIFF_BYTES));
}

/** The kind with its article, for a sentence: `an image`. */
export function nameKind(kind: FileKind | 'file'): string {
	return { image: 'an image', video: 'a video', audio: 'an audio file', file: 'a file' }[kind];
}
