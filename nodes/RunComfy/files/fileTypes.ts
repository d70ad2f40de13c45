/** What a file is, by its first bytes or by the ending of its name. Pure. */

export type FileKind = 'image' | 'video' | 'audio';

export interface FileType {
	kind: FileKind | 'file';
	mimeType: string;
	extension: string;
}

/** The megabyte of the option “Max File Size (MB)”. */
export const BYTES_PER_MB = 1_000_000;

/** The number of bytes that show the type of a file, or an error text in its place. */
export const SNIFF_BYTES = 512;

const BYTES = 'application/octet-stream';

/** The known endings of names with their MIME types, by kind. */
const KNOWN_ENDINGS: ReadonlyArray<readonly [FileType['kind'], Record<string, string>]> = [
	['image', { png: 'png', jpg: 'jpeg', jpeg: 'jpeg', webp: 'webp', gif: 'gif', avif: 'avif', apng: 'apng' }],
	[
		'image',
		{ bmp: 'bmp', tif: 'tiff', tiff: 'tiff', svg: 'svg+xml', exr: 'x-exr', heic: 'heic', heif: 'heif' },
	],
	[
		'video',
		{ mp4: 'mp4', m4v: 'x-m4v', mov: 'quicktime', webm: 'webm', mkv: 'x-matroska', avi: 'x-msvideo' },
	],
	['audio', { mp3: 'mpeg', wav: 'wav', ogg: 'ogg', opus: 'ogg', flac: 'flac', m4a: 'mp4', aac: 'aac' }],
	['audio', { aiff: 'aiff', aif: 'aiff', pcm: 'pcm', mid: 'midi' }],
	['file', { glb: 'model/gltf-binary', gltf: 'model/gltf+json', obj: 'model/obj', stl: 'model/stl' }],
	['file', { txt: 'text/plain', csv: 'text/csv', json: 'application/json', zip: 'application/zip' }],
	['file', { srt: 'text/plain', pdf: 'application/pdf', psd: 'image/vnd.adobe.photoshop' }],
	['file', { fbx: BYTES, ply: BYTES, usdz: BYTES, splat: BYTES, spz: BYTES, safetensors: BYTES }],
	['file', { latent: BYTES, pt: BYTES, npy: BYTES, npz: BYTES }],
];

const TYPES = new Map<string, FileType>(
	KNOWN_ENDINGS.flatMap(([kind, types]) =>
		Object.entries(types).map(([extension, type]) => {
			const mimeType = kind === 'file' ? type : `${kind}/${type}`;
			return [extension, { kind, mimeType, extension }] as const;
		}),
	),
);

/** The ending of a name in lower case, without its dot. */
export function endingOf(fileName: string): string | undefined {
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

/** The ending that names the type, by how the file begins. `\cA` is the byte 1, `\cZ` 0x1a. */
const SIGNATURES: ReadonlyArray<readonly [RegExp, string]> = [
	[/^\x89PNG\r\n\cZ\n/, 'png'],
	[/^\xff\xd8\xff/, 'jpg'],
	[/^GIF8[79]a/, 'gif'],
	[/^RIFF.{4}WEBP/s, 'webp'],
	[/^RIFF.{4}WAVE/s, 'wav'],
	[/^RIFF.{4}AVI /s, 'avi'],
	[/^BM.{4}\0{4}/s, 'bmp'],
	[/^(II\*\0|MM\0\*)/, 'tiff'],
	[/^v\/1\cA/, 'exr'],
	[
		/^(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--((?!-->).)*-->\s*)*(<!doctype svg[^>]*>\s*)?<svg[\s>]/is,
		'svg',
	],
	[/^\cZ\x45\xdf\xa3/, 'webm'],
	[/^ID3/, 'mp3'],
	[/^OggS/, 'ogg'],
	[/^fLaC/, 'flac'],
	[/^FORM.{4}AIF[FC]/s, 'aiff'],
	// AAC (in ADTS) and MP3 both begin with eleven ones; only the layer bits differ.
	[/^\xff[\xf1\xf9]/, 'aac'],
	[/^\xff[\xfb\xfa\xf3\xf2]/, 'mp3'],
	[/^.{4}ftypavi[fs]/s, 'avif'],
	[/^.{4}ftyp(heic|heix|hevc|mif1|msf1)/s, 'heic'],
	[/^.{4}ftypqt {2}/s, 'mov'],
	[/^.{4}ftypM4[AB] /s, 'm4a'],
	// Every other brand of ISO base media files, except that of a camera's raw images.
	[/^.{4}ftyp(?!crx )/s, 'mp4'],
	[/^glTF/, 'glb'],
	[/^%PDF-/, 'pdf'],
	[/^8BPS/, 'psd'],
];

/** The MIME types of files whose first bytes always show what they are. */
const DETECTED = new Set(SIGNATURES.map(([, extension]) => TYPES.get(extension)?.mimeType));

/** The type of a file; undefined when its first bytes are of no known type. */
export function fileTypeOf(bytes: Buffer): FileType | undefined {
	const text = bytes.toString('latin1', 0, SNIFF_BYTES);
	return TYPES.get(SIGNATURES.find(([signature]) => signature.test(text))?.[1] ?? '');
}

/**
 * The type of a file that may be of any type. Its first bytes decide. Where they say nothing, its name gives the
 * extension, and the MIME type unless the bytes contradict it.
 */
export function typeOfFile(bytes: Buffer, fileName: string): Pick<FileType, 'extension' | 'mimeType'> {
	const named = knownTypeByName(fileName);
	const isDetectable = named !== undefined && DETECTED.has(named.mimeType);
	const detected = fileTypeOf(bytes);
	if (detected !== undefined && (named === undefined || isDetectable))
		return { extension: detected.extension, mimeType: detected.mimeType };
	const extension = endingOf(fileName) ?? 'bin';
	return { extension, mimeType: named === undefined || isDetectable ? BYTES : named.mimeType };
}

/**
 * The type of an input file. Its first bytes decide, except that the same containers hold videos and sound. Its name
 * decides only for types that have no first bytes of their own, such as raw sound; never for a web page.
 */
export function inputTypeOf(bytes: Buffer, fileName = ''): FileType | undefined {
	const detected = fileTypeOf(bytes);
	const named = knownTypeByName(fileName);
	if (detected !== undefined) return detected.kind === 'video' && named?.kind === 'audio' ? named : detected;
	const isPlausible = named !== undefined && !DETECTED.has(named.mimeType) && !isSubstitute(bytes, fileName);
	return isPlausible ? named : undefined;
}

const PROGRAM = /^MZ.*(PE\0\0|DOS mode)/s;
const WEB_PAGE =
	/^(<\?xml[^>]*>\s*)*(<!--((?!-->).)*-->\s*)*<(!doctype html|html|head|body|title|meta|link|script|style|center|h1|p|div|form|iframe)\b/is;
const XML_ERROR = /^(<\?xml[^>]*>\s*)?<(\w+:)?(error|errors|errorresponse|fault)\b/i;
/** After simple values only, so that it is a key of the outermost object. */
const JSON_ERROR =
	/^\[?\s*\{\s*("\w*"\s*:\s*("[^"]*"|[\w.+-]+)\s*,\s*)*"(errors?|error_?code|error_?message|message|detail)"\s*:/i;

/**
 * True when bytes are what a file server sends in place of a file: a program for Windows, a web page, an error as JSON or
 * XML, or any text where the name promises a file whose first bytes are none, or, where it says nothing, what RunComfy
 * calls it. A file that is named as such a text is what it says.
 * @param kind as RunComfy reports it.
 */
export function isSubstitute(bytes: Buffer, fileName: string, kind: FileType['kind'] = 'file'): boolean {
	if (PROGRAM.test(bytes.toString('latin1', 0, SNIFF_BYTES))) return true;
	const text = beginningOf(bytes).trimStart();
	const ending = endingOf(fileName) ?? '';
	if (WEB_PAGE.test(text)) return !/^x?html?$/.test(ending);
	if (XML_ERROR.test(text)) return ending !== 'xml';
	if (JSON_ERROR.test(text)) return ending !== 'json';
	const type = TYPES.get(ending);
	const isBinary = type === undefined ? kind !== 'file' : ending !== 'svg' && DETECTED.has(type.mimeType);
	return isBinary && fileTypeOf(bytes) === undefined && isText(text);
}

/** The first bytes as text: UTF-8, or UTF-16 where they say so. */
function beginningOf(bytes: Buffer): string {
	const first = bytes.subarray(0, SNIFF_BYTES);
	if (first[0] === 0xff && first[1] === 0xfe) return first.toString('utf16le');
	if (first[0] !== 0xfe || first[1] !== 0xff) return bytes.toString('utf8', 0, SNIFF_BYTES);
	return Buffer.from(first.subarray(0, first.length - (first.length % 2)))
		.swap16()
		.toString('utf16le');
}

/** Of an older encoding, most characters can be read. The last one may be cut off. */
function isText(text: string): boolean {
	if (!/^([^\p{Cc}]|[\t-\r])+$/u.test(text)) return false;
	const whole = text.replace(/\ufffd{1,3}$/, '');
	return whole.replaceAll('\ufffd', '').length > whole.length * 0.75;
}

/** The kind with its article, for a sentence: `an image`. */
export function nameKind(kind: FileKind): string {
	return { image: 'an image', video: 'a video', audio: 'an audio file' }[kind];
}
