import { isJsonObject, type JsonObject, textAt } from '../api/json';
import { isWebUrl } from '../api/urls';
import { omitUndefined } from '../util/values';
import { nameInUrl } from './fileNames';
import { type FileKind, knownTypeByName } from './fileTypes';

/** The files in what RunComfy reports of a finished request, of a model or of a deployment. Pure. */

/** A value in a result that is neither a list nor an object. */
export interface Leaf {
	value: unknown;
	/** The keys that lead to it, without positions in lists. */
	path: string[];
	/** The object that holds it under `url`, which may say more of the file. */
	entry: JsonObject;
}

/** A file of a finished request. */
export interface ResultFile {
	url: string;
	/** As RunComfy reports it and the name says it; `file` for any other. */
	kind: FileKind | 'file';
	/** The file's own name, with extension, or the name in the URL. May be empty. */
	name: string;
}

export interface FoundFile extends ResultFile, Pick<Leaf, 'path' | 'entry'> {}

/** Results come from outside, and no real one is nearly as deep. */
const MAX_DEPTH = 100;

/** Every leaf of a value, in order. */
export function leavesOf(value: unknown, path: string[] = [], entry: JsonObject = {}): Leaf[] {
	if (path.length > MAX_DEPTH) return [];
	if (Array.isArray(value)) return value.flat(MAX_DEPTH).flatMap((part) => leavesOf(part, path));
	if (!isJsonObject(value)) return [{ value, path, entry }];
	return Object.entries(value).flatMap(([key, part]) =>
		leavesOf(part, [...path, key], key === 'url' ? value : {}),
	);
}

/** The keys of files of one kind: documented for models, seen in ComfyUI. Video Helper Suite puts videos into `gifs`. */
const KIND_BY_KEY = new Map<string, FileKind>([
	['image', 'image'],
	['images', 'image'],
	['gifs', 'video'],
	['video', 'video'],
	['videos', 'video'],
	['audio', 'audio'],
	['audios', 'audio'],
]);

/** What is under such a key was sent, or is an address of the API [assumed]. */
const ECHO_KEY =
	/^(_?inputs?(_.*)?|requests?|prompts?|payload|param(eter)?s|arguments|webhook(_.*)?|(status|cancel|response|callback)_url)$/i;

/** Texts under such a key are files only when their ending says it. */
const TEXT_KEY = /^(text|texts|string|caption|description)$/i;

function kindByKey(key: string): FileKind | undefined {
	return KIND_BY_KEY.get(key.toLowerCase().replace(/_ur[il]s?$/, ''));
}

function isFileUrl({ value, path }: Leaf): boolean {
	if (!isWebUrl(value) || !URL.canParse(value) || path.some((key) => ECHO_KEY.test(key))) return false;
	const key = path.at(-1) ?? '';
	// A sentence may begin with a URL; but in the place of a file, what has a space is a URL that was not encoded.
	if (/\s/.test(value) && key !== 'url' && kindByKey(key) === undefined) return false;
	return !TEXT_KEY.test(key) || knownTypeByName(nameInUrl(value)) !== undefined;
}

/** The name decides, because ComfyUI itself puts videos into `images`; but `gifs` are videos in every format. */
function kindOf(path: string[], name: string, fallback: ResultFile['kind']): ResultFile['kind'] {
	const byName = knownTypeByName(name)?.kind;
	const byKey = path.flatMap((key) => kindByKey(key) ?? []).at(-1);
	if (byName === 'file' || byKey === undefined || byKey === 'image') return byName ?? byKey ?? fallback;
	return byKey;
}

/**
 * Every file in a result, wherever it is, once: each text that is a URL, except under keys that repeat the inputs.
 * @param fallback the kind of a file for which neither its key nor its name says one.
 */
export function findFiles(output: unknown, fallback: ResultFile['kind'] = 'file'): FoundFile[] {
	const files = new Map<string, FoundFile>();
	for (const leaf of leavesOf(output)) {
		const { value: url, path, entry } = leaf;
		if (!isFileUrl(leaf) || typeof url !== 'string') continue;
		// Listed again, perhaps under a key that says what it is.
		if ((files.get(url)?.kind ?? 'file') !== 'file') continue;
		const name = textAt(entry, 'filename') ?? textAt(entry, 'file_name') ?? nameInUrl(url);
		files.set(url, { url, name, kind: kindOf(path, name, fallback), path, entry });
	}
	return [...files.values()];
}

/** The keys of an output item that hold URLs: `url`, the first one, and the first and all of each kind there is. */
export function urlsByKind(files: ResultFile[]) {
	const of = (wanted: ResultFile['kind']) => {
		const urls = files.filter(({ kind }) => kind === wanted).map(({ url }) => url);
		return urls.length === 0 ? undefined : urls;
	};
	const [images, videos, audios, others] = [of('image'), of('video'), of('audio'), of('file')];
	return omitUndefined({
		url: (images ?? videos ?? audios ?? others)?.[0],
		image: images?.[0],
		images,
		video: videos?.[0],
		videos,
		audio: audios?.[0],
		audios,
		files: others,
	});
}
