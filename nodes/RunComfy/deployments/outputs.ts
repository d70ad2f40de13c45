import type { JobResult } from '../api/answers';
import { holdsOutputs } from '../api/deploymentApi';
import { isJsonObject, type JsonObject, textAt } from '../api/json';
import { nameRequest, type Problem } from '../api/problems';
import { isWebUrl } from '../api/urls';
import { nameInUrl } from '../files/fileNames';
import { knownTypeByName } from '../files/fileTypes';
import { omitUndefined } from '../util/values';

/** The outputs of a run of ComfyUI: files and texts by node and channel. Pure. */

export type OutputKind = 'image' | 'video' | 'audio' | 'file';

/** A file that a node has saved. */
export interface OutputFile {
	nodeId: string;
	/** Of the node; undefined when the graph is not known. */
	title?: string;
	/** What the node calls its output: `images`, `gifs`, `audio`, and so on. */
	channel: string;
	fileName: string;
	url: string;
	kind: OutputKind;
}

export interface DeploymentOutputs {
	/** In the order of the nodes. Without previews. */
	files: OutputFile[];
	texts: string[];
}

/** The channels that hold files of one kind. Video Helper Suite puts videos into `gifs`. */
const KIND_BY_CHANNEL = new Map<string, OutputKind>([
	['images', 'image'],
	['image', 'image'],
	['gifs', 'video'],
	['videos', 'video'],
	['video', 'video'],
	['audio', 'audio'],
	['audios', 'audio'],
]);

/** @param titles of the nodes, by ID. */
export function readOutputs(
	outputs: unknown,
	titles: ReadonlyMap<string, string> = new Map(),
): DeploymentOutputs {
	const files: OutputFile[] = [];
	const texts: string[] = [];
	const entriesOf = (value: unknown) => Object.entries(isJsonObject(value) ? value : {});
	const found = entriesOf(outputs).flatMap(([nodeId, channels]) =>
		entriesOf(channels).flatMap(([channel, value]) =>
			textsAndFilesIn(value).map((one) => ({ nodeId, channel, one })),
		),
	);
	for (const { nodeId, channel, one } of found) {
		if (typeof one === 'string' && !KIND_BY_CHANNEL.has(channel)) {
			texts.push(one);
			continue;
		}
		const file: JsonObject = typeof one === 'string' ? { url: one } : one;
		const { url, type } = file;
		// What has the type `temp` was only shown, not saved.
		if (!isWebUrl(url) || type === 'temp') continue;
		const fileName = textAt(file, 'filename') ?? nameInUrl(url);
		const kind = fileKindIn(channel, fileName);
		files.push(omitUndefined({ nodeId, title: titles.get(nodeId), channel, fileName, url, kind }));
	}
	return { files, texts };
}

const MAX_OUTPUT_DEPTH = 6;

/** The texts in lists, and the objects with a URL, however they are nested. Texts in other objects only describe something. */
function textsAndFilesIn(value: unknown, depth = 0): Array<string | JsonObject> {
	if (typeof value === 'string') return [value];
	if (typeof value !== 'object' || value === null || depth > MAX_OUTPUT_DEPTH) return [];
	if (isJsonObject(value) && isWebUrl(value.url)) return [value];
	const parts: unknown[] = Array.isArray(value)
		? value
		: Object.values(value).filter((part) => typeof part !== 'string');
	return parts.flatMap((part) => textsAndFilesIn(part, depth + 1));
}

/** The name decides, because ComfyUI itself puts videos into `images`; but `gifs` are videos in every format. */
function fileKindIn(channel: string, fileName: string): OutputKind {
	const byChannel = KIND_BY_CHANNEL.get(channel);
	const byName = knownTypeByName(fileName)?.kind;
	return byChannel === 'video' && byName === 'image' ? 'video' : (byName ?? byChannel ?? 'file');
}

/** What is wrong with a success that holds nothing: ComfyUI does not run again what has not changed. */
export function findDeploymentOutputProblem({ requestId, output }: JobResult): Problem | undefined {
	if (holdsOutputs(output)) return undefined;
	return {
		message: `${nameRequest(requestId)} succeeded, but has no outputs`,
		advice:
			'ComfyUI does not run nodes again whose inputs have not changed since the last request, and then returns nothing. Change an input, such as the seed: the option “Randomize Seeds” does it for every item. If the inputs were new, check that the workflow has a node that saves its result, such as Save Image. It was not submitted again.',
		requestId,
	};
}
