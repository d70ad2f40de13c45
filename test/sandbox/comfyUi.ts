import sharp from 'sharp';

import { fetchInput } from './inputs';
import type { Made, MadeFile } from './jobStore';
import { makeAudio, makeImage, makeMesh, makeVideo } from './media';
import { hashText, seededRandom } from './random';
import { paletteColors, renderScene } from './scene';

/** A workflow in ComfyUI's API format. */
export type Graph = Record<string, GraphNode>;

export interface GraphNode {
	class_type: string;
	inputs: Record<string, unknown>;
}

export interface GraphOptions {
	/** `plain` makes no pictures: they are served as a ready one. */
	pictures: 'scene' | 'plain';
	/** How many images each node makes, whatever the graph says. */
	images?: number;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A graph without what is none: nodes that are no objects, inputs that are none. */
export function readGraph(graph: unknown): Graph {
	const nodes = Object.entries(isRecord(graph) ? graph : {}).filter(
		(entry): entry is [string, Record<string, unknown>] => isRecord(entry[1]),
	);
	return Object.fromEntries(
		nodes.map(([id, { class_type: type, inputs }]) => [
			id,
			{ class_type: String(type), inputs: isRecord(inputs) ? inputs : {} },
		]),
	);
}

/** A connection: another node, and which of its outputs. */
export function isLink(value: unknown): value is [string, number] {
	return (
		Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && typeof value[1] === 'number'
	);
}

/** The text that a request is known by in tests: the graph's first prompt. */
export function promptOfGraph(graph: Graph): string {
	const texts = Object.values(graph).flatMap(({ inputs }) => [inputs.text, inputs.prompt]);
	return texts.find((text) => typeof text === 'string') ?? '';
}

/** A message as ComfyUI's errors have it, with the node that it happened in. */
export function nodeError(graph: Graph, id: string, message: string): string {
	return `Node ${id} (${graph[id]?.class_type}): ${message}`;
}

/** How the sandbox lets a graph fail that is itself all right. */
export function samplerError(graph: Graph): string {
	const ids = Object.keys(graph);
	const sampler = ids.find((id) => graph[id]?.class_type.includes('Sampler')) ?? ids[0] ?? '?';
	return nodeError(graph, sampler, 'OutOfMemoryError: Allocation on device 0 would exceed allowed memory.');
}

/**
 * Makes the files of every node that saves or shows something. What they look like depends on all inputs of all nodes
 * that they are made of; classes that the sandbox does not know are as good as any other.
 */
export async function runGraph(graph: Graph, options: GraphOptions): Promise<Made> {
	const files: MadeFile[] = [];
	const names = new Map<string, number>();
	const outputs: Record<string, Record<string, unknown[]>> = {};
	for (const [id, node] of Object.entries(graph)) {
		const save = SAVING[node.class_type];
		if (save === undefined) continue;
		const run = { id, graph, node, sources: sourcesOf(graph, id), options };
		const { channel, saved, more } = await save(run);
		const entries = saved.map((one) => {
			if (!('bytes' in one)) return one.text;
			const prefix = String(node.inputs.filename_prefix ?? 'ComfyUI_temp_sandb').split('/');
			const base = prefix.pop() ?? '';
			const number = (names.get(base) ?? 0) + 1;
			names.set(base, number);
			const name = `${base}_${String(number).padStart(5, '0')}_.${one.extension}`;
			files.push({ bytes: one.bytes, mimeType: one.mimeType, name });
			return { filename: name, subfolder: prefix.join('/'), type: one.type, ...one.more };
		});
		outputs[id] = { [channel]: entries, ...more };
	}
	const outputOf = (urls: string[]) => {
		const urlOf = new Map(files.map(({ name }, i) => [name, urls[i]]));
		const withUrl = (entry: unknown) =>
			typeof entry === 'object' && entry !== null && 'filename' in entry
				? { url: urlOf.get(String(entry.filename)), ...entry }
				: entry;
		return Object.fromEntries(
			Object.entries(outputs).map(([id, channels]) => [
				id,
				Object.fromEntries(
					Object.entries(channels).map(([channel, entries]) => [channel, entries.map(withUrl)]),
				),
			]),
		);
	};
	return { files, outputOf };
}

interface Run {
	id: string;
	graph: Graph;
	node: GraphNode;
	/** What the node is made of, nearest first. */
	sources: Array<[id: string, node: GraphNode]>;
	options: GraphOptions;
}

interface SavedFile {
	bytes: Buffer;
	mimeType: string;
	extension: string;
	type: 'output' | 'temp';
	more?: object;
}

interface Saved {
	channel: string;
	saved: Array<SavedFile | { text: string }>;
	/** Further channels, which hold no files. */
	more?: Record<string, unknown[]>;
}

const SAVING: Record<string, ((run: Run) => Promise<Saved>) | undefined> = {
	SaveImage: async (run) => ({ channel: 'images', saved: await saveImages(run, 'output') }),
	PreviewImage: async (run) => ({ channel: 'images', saved: await saveImages(run, 'temp') }),
	VHS_VideoCombine: async (run) => {
		const { format, save_output: isSaved } = run.node.inputs;
		const rate = numberOf(run, 'frame_rate', 8);
		const more = { format, frame_rate: rate };
		return {
			channel: 'gifs',
			saved: [await saveVideo(run, rate, isSaved === false ? 'temp' : 'output', more)],
		};
	},
	// As ComfyUI has it: videos in the channel of images, beside a channel without files.
	SaveVideo: async (run) => ({
		channel: 'images',
		saved: [await saveVideo(run, numberOf(run, 'fps', 16), 'output')],
		more: { animated: [true] },
	}),
	SaveAudio: async (run) => ({
		channel: 'audio',
		saved: [
			{
				bytes: makeAudio(recipeOf(run), 0, numberOf(run, 'seconds', 2)),
				mimeType: 'audio/wav',
				extension: 'wav',
				type: 'output',
			},
		],
	}),
	SaveGLB: async (run) => ({
		channel: '3d',
		saved: [
			{ bytes: makeMesh(recipeOf(run)), mimeType: 'model/gltf-binary', extension: 'glb', type: 'output' },
		],
	}),
	PreviewAny: async ({ sources }) => {
		const values = [...sources].reverse().flatMap(([, { inputs }]) => Object.entries(inputs));
		const texts = values.filter(([name, value]) => name !== 'delimiter' && !isLink(value));
		return { channel: 'text', saved: [{ text: texts.map(([, value]) => String(value)).join(' ') }] };
	},
};

async function saveImages(run: Run, type: SavedFile['type']): Promise<SavedFile[]> {
	const count = run.options.images ?? numberOf(run, 'batch_size', 1);
	const numbers = Array.from({ length: count }, (_, i) => i);
	const recipe = recipeOf(run);
	const photo = await loadPhoto(run);
	return await Promise.all(
		numbers.map(async (i) => ({
			bytes: await drawImage(run, `${recipe} ${i}`, photo),
			mimeType: 'image/png',
			extension: 'png',
			type,
		})),
	);
}

/** A ready picture is marked by having no bytes. */
async function drawImage(run: Run, recipe: string, photo: Buffer | undefined): Promise<Buffer> {
	if (run.options.pictures === 'plain') return Buffer.alloc(0);
	if (photo === undefined) {
		return await makeImage(recipe, 0, numberOf(run, 'width', 512), numberOf(run, 'height', 512));
	}
	return await renderScene({ image: photo, prompt: recipe, seed: 0, palette: paletteColors(undefined) });
}

async function saveVideo(
	run: Run,
	framesPerSecond: number,
	type: SavedFile['type'],
	more?: object,
): Promise<SavedFile> {
	const frames = numberOf(run, 'length', numberOf(run, 'batch_size', 16));
	const size = { width: numberOf(run, 'width', 320), height: numberOf(run, 'height', 176) };
	const bytes = await makeVideo(recipeOf(run), 0, frames / framesPerSecond, size);
	return { bytes, mimeType: 'video/mp4', extension: 'mp4', type, ...(more === undefined ? {} : { more }) };
}

/** The photo that a node is made of, if it is made of one. */
async function loadPhoto({ graph, sources, options }: Run): Promise<Buffer | undefined> {
	const [id, loader] = sources.find(([, node]) => node.class_type === 'LoadImage') ?? [];
	if (id === undefined || options.pictures === 'plain') return undefined;
	const image = String(loader?.inputs.image);
	try {
		const bytes = /^(https?:\/\/|data:)/.test(image) ? await fetchInput(image) : await samplePhoto(image);
		await sharp(bytes).stats();
		return bytes;
	} catch (problem) {
		const message = problem instanceof Error ? problem.message : String(problem);
		throw new Error(nodeError(graph, id, `UnidentifiedImageError: ${message}`));
	}
}

/** What a file of this name shows that is in ComfyUI's input folder. */
async function samplePhoto(name: string): Promise<Buffer> {
	const hue = Math.floor(seededRandom(hashText(name))() * 360);
	const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="256" height="256"><rect width="256" height="256" fill="#f4f4f4"/><circle cx="128" cy="140" r="70" fill="hsl(${hue} 60% 40%)"/></svg>`;
	return await sharp(Buffer.from(svg)).png().toBuffer();
}

/** All that a node is made of, nearest first, each node once. */
function sourcesOf(graph: Graph, id: string): Array<[string, GraphNode]> {
	const found = new Map<string, GraphNode>();
	const follow = (ofId: string) => {
		for (const value of Object.values(graph[ofId]?.inputs ?? {})) {
			const source = isLink(value) ? graph[value[0]] : undefined;
			if (!isLink(value) || source === undefined || value[0] === id || found.has(value[0])) continue;
			found.set(value[0], source);
			follow(value[0]);
		}
	};
	follow(id);
	return [...found];
}

/** Differs as soon as an input differs of anything that the node is made of. */
function recipeOf({ sources }: Run): string {
	return JSON.stringify(sources.map(([, { class_type, inputs }]) => [class_type, inputs]));
}

/** The number that the node itself, or the nearest one that it is made of, has as this input. */
function numberOf({ graph, node, sources }: Run, name: string, otherwise: number): number {
	for (const { inputs } of [node, ...sources.map(([, source]) => source)]) {
		const value = inputs[name];
		const number = Number(isLink(value) ? graph[value[0]]?.inputs.value : value);
		if (number > 0) return number;
	}
	return otherwise;
}
