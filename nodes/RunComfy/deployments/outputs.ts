import type { JobResult } from '../api/answers';
import { holdsOutputs } from '../api/deploymentApi';
import { isJsonObject, isTooDeep } from '../api/json';
import { cleanReason, nameRequest, type Problem } from '../api/problems';
import { endingOf, knownTypeByName } from '../files/fileTypes';
import { findFiles, leavesOf, type ResultFile } from '../files/resultFiles';
import { omitUndefined } from '../util/values';

/** The outputs of a run of ComfyUI: files, texts, and values by node and channel. Pure. */

/** Where an output comes from. */
interface Origin {
	/** Undefined where the outputs are not ordered by nodes. */
	nodeId?: string;
	/** Of the node; undefined when the graph is not known. */
	title?: string;
}

export interface OutputFile extends Origin, ResultFile {
	/** What the node calls its output: `images`, `gifs`, `audio`, and so on. */
	channel?: string;
	/** True where the workflow has only shown it, not saved it. */
	preview?: true;
}

export interface DeploymentOutputs {
	/** In the order of the nodes. Where nothing was saved, the previews. */
	files: OutputFile[];
	texts: Array<Origin & { text: string }>;
	/** Numbers and booleans, where they are all there is. */
	values: Array<Origin & { value: number | boolean }>;
}

/** Channels that only describe another one. */
const DESCRIPTIONS = new Set(['animated', 'unfinished_batch']);

/** @param titles of the nodes, by ID. */
export function readOutputs(
	outputs: unknown,
	titles: ReadonlyMap<string, string> = new Map(),
): DeploymentOutputs {
	const nodes = isJsonObject(outputs) ? Object.entries(outputs) : [['', outputs] as const];
	const files = new Map<string, OutputFile>();
	const texts: DeploymentOutputs['texts'] = [];
	const values: DeploymentOutputs['values'] = [];
	for (const [key, node] of nodes) {
		const isNode = isJsonObject(node) || /^\d/.test(key);
		const origin: Origin = isNode ? omitUndefined({ nodeId: key, title: titles.get(key) }) : {};
		const channels = isNode ? node : { [key]: node };
		const isAnimated = isJsonObject(node) && [node.animated].flat().includes(true);
		for (const { url, name, kind, path, entry } of findFiles(channels)) {
			// What has the type `input` repeats an input; `temp` was only shown.
			if (entry.type === 'input' || files.has(url)) continue;
			const isVideo = isAnimated && kind === 'image' && path[0] === 'images';
			files.set(url, {
				...origin,
				...omitUndefined({ channel: path.filter((part) => part !== 'url' && part !== '')[0] }),
				...{ url, name, kind: isVideo ? 'video' : kind },
				...(entry.type === 'temp' ? { preview: true } : {}),
			});
		}
		for (const { value, path } of leavesOf(channels)) {
			// What is deeper describes something.
			if (path.length > 1 || DESCRIPTIONS.has(path[0] ?? '')) continue;
			if (typeof value === 'number' || typeof value === 'boolean') values.push({ ...origin, value });
			else if (typeof value === 'string' && !files.has(value) && isText(value))
				texts.push({ ...origin, text: value });
		}
	}
	const found = [...files.values()];
	const saved = found.filter(({ preview }) => preview !== true);
	const isEmpty = found.length === 0 && texts.length === 0;
	return { files: saved.length > 0 ? saved : found, texts, values: isEmpty ? values : [] };
}

/** True for a file within a text, whole or as a data URI. */
function isBase64(text: string): boolean {
	return /^(data:[\w/+.-]+;base64,|[\w+/-]{100,}={0,2}$)/.test(text);
}

/** False for blank texts, and for base64, the paths of files, and cameras, which nodes pass to ComfyUI's own editor. */
function isText(text: string): boolean {
	const isPath = /^\S+$/.test(text) && knownTypeByName(text) !== undefined;
	const isFolderPath = /^[\w.-]+([/\\][\w.-]+)+$/.test(text) && endingOf(text) !== undefined;
	const isCamera = /^\s*\{(?=.*"position"\s*:)(?=.*"target"\s*:)|^\s*\{.*"camera_?type"\s*:/is.test(text);
	return text.trim() !== '' && !isBase64(text) && !isPath && !isFolderPath && !isCamera;
}

/** What is wrong with a success in which nothing is found that can be returned. */
export function findDeploymentOutputProblem({ requestId, output }: JobResult): Problem | undefined {
	if (Object.values(readOutputs(output)).some((found: unknown[]) => found.length > 0)) return undefined;
	// Only `outputs` has it.
	if (leavesOf(output).some(({ value }) => typeof value === 'string' && isBase64(value))) return undefined;
	const isBlank = !holdsOutputs(output);
	const came = isBlank || isTooDeep(output) ? undefined : cleanReason(JSON.stringify(output));
	return {
		message: `${nameRequest(requestId)} succeeded, but has no outputs${isBlank ? '' : ' that can be returned'}`,
		advice: isBlank
			? 'ComfyUI does not run nodes again whose inputs have not changed since the last request, and then returns nothing. Change an input, such as the seed: the option “Randomize Seeds” does it for every item. In a workflow without a seed, change the input “Filename Prefix” of the node that saves. If the inputs were new, check that the workflow has a node that saves its result, such as Save Image. It was not submitted again.'
			: `No file, text, or number was found in what RunComfy reported: ${came ?? '…'}. Check that the workflow has a node that saves its result, such as Save Image. It was not submitted again.`,
		requestId,
	};
}
