import type { JobResult } from '../api/answers';
import { holdsOutputs } from '../api/deploymentApi';
import { isJsonObject, textOf } from '../api/json';
import { nameRequest, type Problem } from '../api/problems';
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

/** What a workflow has not saved, only shown. */
const PREVIEW = 'temp';
const MAX_DEPTH = 6;

/** @param titles of the nodes, by ID. */
export function readOutputs(
	outputs: unknown,
	titles: ReadonlyMap<string, string> = new Map(),
): DeploymentOutputs {
	const files: OutputFile[] = [];
	const texts: string[] = [];
	const read = (value: unknown, nodeId: string, channel: string, depth: number): void => {
		if (depth > MAX_DEPTH) return;
		if (Array.isArray(value)) {
			for (const part of value as unknown[]) read(part, nodeId, channel, depth + 1);
		} else if (isJsonObject(value)) {
			const url = textOf(value, 'url');
			if (url === undefined || !isUrl(url)) {
				for (const part of Object.values(value)) if (isNested(part)) read(part, nodeId, channel, depth + 1);
			} else if (value.type !== PREVIEW) add(nodeId, channel, url, textOf(value, 'filename'));
		} else if (typeof value === 'string' && KIND_BY_CHANNEL.has(channel)) {
			if (isUrl(value)) add(nodeId, channel, value);
		} else if (typeof value === 'string') texts.push(value);
	};
	const add = (nodeId: string, channel: string, url: string, name?: string): void => {
		const fileName = name ?? nameIn(url);
		const kind = kindOf(channel, fileName);
		const title = titles.get(nodeId);
		files.push({ nodeId, channel, fileName, url, kind, ...omitUndefined({ title }) });
	};
	for (const [nodeId, channels] of Object.entries(isJsonObject(outputs) ? outputs : {})) {
		for (const [channel, value] of Object.entries(isJsonObject(channels) ? channels : {})) {
			read(value, nodeId, channel, 0);
		}
	}
	return { files, texts };
}

/** The name decides, because ComfyUI itself puts videos into `images`; but `gifs` are videos in every format. */
function kindOf(channel: string, fileName: string): OutputKind {
	const byChannel = KIND_BY_CHANNEL.get(channel);
	const byName = knownTypeByName(fileName)?.kind;
	return byChannel === 'video' && byName === 'image' ? 'video' : (byName ?? byChannel ?? 'file');
}

function isNested(value: unknown): boolean {
	return typeof value === 'object' && value !== null;
}

function isUrl(text: string): boolean {
	return /^https?:\/\//i.test(text);
}

function nameIn(url: string): string {
	const last =
		url
			.replace(/[?#].*$/s, '')
			.split('/')
			.pop() ?? '';
	try {
		return decodeURIComponent(last);
	} catch {
		return last;
	}
}

/** What is wrong with a success that holds nothing: ComfyUI does not run again what has not changed. */
export function findOutputProblem({ requestId, output }: JobResult): Problem | undefined {
	if (holdsOutputs(output)) return undefined;
	return {
		message: `${nameRequest(requestId)} succeeded, but has no outputs`,
		advice:
			'ComfyUI does not run nodes again whose inputs have not changed since the last request, and then returns nothing. Change an input, such as the seed: the option “Randomize Seeds” does it for every item. If the inputs were new, check that the workflow has a node that saves its result, such as Save Image. It was not submitted again.',
		requestId,
	};
}
