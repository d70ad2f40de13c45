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
