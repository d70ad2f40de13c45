/** What a file is, by its first bytes or by the ending of its name. Pure. */

export type FileKind = 'image' | 'video' | 'audio';

export interface FileType {
	kind: FileKind | 'file';
	mimeType: string;
	extension: string;
	/** Whether the first bytes of such a file show its type. */
	isDetected: boolean;
}

/** The megabyte of the option “Max File Size (MB)”. */
export const BYTES_PER_MB = 1_000_000;

/** The number of bytes that `fileTypeOf` needs. */
export const SNIFF_BYTES = 16;

const BYTES = 'application/octet-stream';

/** The known endings of names with their MIME types, by kind and by whether the first bytes show the type. */
const KNOWN_ENDINGS: ReadonlyArray<readonly [FileType['kind'], boolean, Record<string, string>]> = [
	['image', true, { png: 'png', jpg: 'jpeg', jpeg: 'jpeg', webp: 'webp', gif: 'gif', avif: 'avif' }],
	['image', false, { bmp: 'bmp', tif: 'tiff', tiff: 'tiff', svg: 'svg+xml', exr: 'x-exr' }],
	['video', true, { mp4: 'mp4', mov: 'quicktime', webm: 'webm', mkv: 'x-matroska', avi: 'x-msvideo' }],
	['video', false, { m4v: 'x-m4v' }],
	['audio', true, { mp3: 'mpeg', wav: 'wav', ogg: 'ogg', flac: 'flac', m4a: 'mp4', aac: 'aac' }],
	['audio', false, { opus: 'ogg' }],
	['file', false, { glb: 'model/gltf-binary', gltf: 'model/gltf+json', obj: 'model/obj', stl: 'model/stl' }],
	['file', false, { txt: 'text/plain', csv: 'text/csv', json: 'application/json', zip: 'application/zip' }],
	['file', false, { fbx: BYTES, ply: BYTES, usdz: BYTES, splat: BYTES, srt: BYTES, safetensors: BYTES }],
	['file', false, { latent: BYTES, pt: BYTES, npy: BYTES, npz: BYTES }],
];

const TYPES = new Map<string, FileType>(
	KNOWN_ENDINGS.flatMap(([kind, isDetected, types]) =>
		Object.entries(types).map(([extension, type]) => {
			const mimeType = kind === 'file' ? type : `${kind}/${type}`;
			return [extension, { kind, mimeType, extension, isDetected }] as const;
		}),
	),
);

function endingOf(fileName: string): string | undefined {
	return /\.([a-z0-9]{1,11})$/i.exec(fileName)?.[1]?.toLowerCase();
}

/** The type of a file by its name; undefined for an ending that is not known. */
export function knownTypeByName(fileName: string): FileType | undefined {
	return TYPES.get(endingOf(fileName) ?? '');
}

/** What a file contains according to its name; undefined for anything but an image, a video, or sound. */
export function kindByName(fileName: string): FileKind | undefined {
	const kind = knownTypeByName(fileName)?.kind;
	return kind === 'file' ? undefined : kind;
}

/** The type of a file that may be of any type, by its name. */
export function typeByName(fileName: string): Pick<FileType, 'extension' | 'mimeType'> {
	const extension = endingOf(fileName) ?? 'bin';
	return TYPES.get(extension) ?? { extension, mimeType: BYTES };
}

/** True for the name of a file whose type is detected from its first bytes. */
export function isDetectable(fileName: string): boolean {
	return knownTypeByName(fileName)?.isDetected === true;
}

/** The ending that names the type, by how the file begins. `\cZ` is the byte 0x1a. */
const SIGNATURES: ReadonlyArray<readonly [RegExp, string]> = [
	[/^\x89PNG\r\n\cZ\n/, 'png'],
	[/^\xff\xd8\xff/, 'jpg'],
	[/^GIF8[79]a/, 'gif'],
	[/^RIFF.{4}WEBP/s, 'webp'],
	[/^RIFF.{4}WAVE/s, 'wav'],
	[/^RIFF.{4}AVI /s, 'avi'],
	[/^\cZ\x45\xdf\xa3/, 'webm'],
	[/^ID3/, 'mp3'],
	[/^OggS/, 'ogg'],
	[/^fLaC/, 'flac'],
	// AAC (in ADTS) and MP3 both begin with eleven ones; only the layer bits differ.
	[/^\xff[\xf1\xf9]/, 'aac'],
	[/^\xff[\xfb\xfa\xf3\xf2]/, 'mp3'],
	[/^.{4}ftypavi[fs]/s, 'avif'],
	[/^.{4}ftypqt {2}/s, 'mov'],
	[/^.{4}ftypM4[AB] /s, 'm4a'],
	// Every other brand of ISO base media files, but not image formats that browsers and models do not support.
	[/^.{4}ftyp(?!heic|heix|hevc|mif1|msf1|crx )/s, 'mp4'],
];

/** The type of a file; undefined when the bytes are no image, video, or audio of a known type. */
export function fileTypeOf(bytes: Buffer): FileType | undefined {
	const text = bytes.toString('latin1', 0, SNIFF_BYTES);
	return TYPES.get(SIGNATURES.find(([signature]) => signature.test(text))?.[1] ?? '');
}

/** True for a type that a model accepts as an input of that kind: of images, JPEG, PNG, and WebP (documented). */
export function isInputType({ kind, extension }: FileType, expected: FileType['kind']): boolean {
	return kind === expected && (kind !== 'image' || ['jpg', 'png', 'webp'].includes(extension));
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
