import { isJsonObject, type JsonObject } from '../api/json';
import { isWebUrl } from '../api/urls';
import { type FileKind, kindByName } from '../files/fileTypes';

/** What the output of a model holds: all URLs by their kind, and the first URL of each kind. */
export interface JobOutput {
	image?: string;
	images: string[];
	video?: string;
	videos: string[];
	audio?: string;
	audios: string[];
	/** URLs in other parts of the output. They may be files or repeated inputs. */
	otherUrls: string[];
}

/**
 * Reads the output of a model. URLs under `image`, `images`, and so on (documented) are files, given as strings or as
 * objects with a `url`. When the output is a single URL or a list of URLs [assumed], their file extensions decide the
 * kind.
 */
export function readOutput(output: unknown): JobOutput {
	const fields = isJsonObject(output) ? output : sortByKind(urlsOf(output));
	const images = urlsOf(fields.image, fields.images);
	const videos = urlsOf(fields.video, fields.videos);
	const audios = urlsOf(fields.audio, fields.audios);
	const files = new Set([...images, ...videos, ...audios]);
	return {
		...{ image: images[0], images, video: videos[0], videos, audio: audios[0], audios },
		otherUrls: findUrls(output).filter((url) => !files.has(url)),
	};
}

/** A URL whose name does not say what it is counts as an image. */
function sortByKind(urls: string[]): JsonObject {
	const kindOfUrl = (url: string) => kindByName(url.replace(/[?#].*$/s, '')) ?? 'image';
	const ofKind = (kind: FileKind) => urls.filter((url) => kindOfUrl(url) === kind);
	return { images: ofKind('image'), videos: ofKind('video'), audios: ofKind('audio') };
}

/** The URLs in values, lists of values, or objects with a `url`, without duplicates. */
function urlsOf(...values: unknown[]): string[] {
	const urls = values.flat().map((value) => (isJsonObject(value) ? value.url : value));
	return [...new Set(urls.filter(isWebUrl))];
}

const MAX_OTHER_URLS = 100;
const MAX_URL_DEPTH = 8;

/** Every URL in a value, up to `MAX_URL_DEPTH` levels deep, without duplicates. */
function findUrls(value: unknown, depth = 0): string[] {
	if (isWebUrl(value)) return [value];
	if (typeof value !== 'object' || value === null || depth > MAX_URL_DEPTH) return [];
	const found = Object.values(value).flatMap((part) => findUrls(part, depth + 1));
	return [...new Set(found)].slice(0, MAX_OTHER_URLS);
}
