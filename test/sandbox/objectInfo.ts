import { readFileSync } from 'node:fs';
import path from 'node:path';

import { isRecord } from './comfyUi';

/** ComfyUI's node definitions, as text: they hold integers that a JavaScript number does not. */
export const OBJECT_INFO = readFileSync(path.join(__dirname, 'workflows', 'objectInfo.json'), 'utf8');

/** The input of a node class: its type or choices, and bounds, default and the like. */
export interface InputDefinition {
	type: string;
	choices?: unknown[];
	min?: number;
	max?: number;
	isFile: boolean;
}

export type ObjectInfo = Record<string, unknown>;

/** The definitions by class; none where a test's own text is not JSON. */
export function readObjectInfo(text: string): ObjectInfo {
	try {
		return recordOf(JSON.parse(text));
	} catch {
		return {};
	}
}

/** What is known of an input; undefined where the class or the input is not described. */
export function inputDefinition(
	info: ObjectInfo,
	className: string,
	name: string,
): InputDefinition | undefined {
	const definition = findDefinition(recordOf(info[className]).input, name);
	if (!Array.isArray(definition)) return undefined;
	const rules = recordOf(definition[1]);
	const options = Array.isArray(rules.options) ? (rules.options as unknown[]) : [];
	const isDynamic = definition[0] === DYNAMIC;
	const type: unknown = isDynamic ? 'COMBO' : definition[0];
	const keys = isDynamic ? options.map((option) => recordOf(option).key) : options;
	const choices = Array.isArray(type) ? type : type === 'COMBO' ? keys : undefined;
	return {
		type: Array.isArray(type) ? 'COMBO' : String(type),
		...(Array.isArray(choices) ? { choices: choices as unknown[] } : {}),
		...(typeof rules.min === 'number' ? { min: rules.min } : {}),
		...(typeof rules.max === 'number' ? { max: rules.max } : {}),
		isFile: ['image_upload', 'video_upload', 'audio_upload'].some((flag) => rules[flag] === true),
	};
}

/** A choice that has inputs of its own: `resize_type` and `resize_type.width`. */
const DYNAMIC = 'COMFY_DYNAMICCOMBO_V3';

function findDefinition(input: unknown, name: string): unknown {
	const { required, optional } = recordOf(input);
	const found = recordOf(required)[name] ?? recordOf(optional)[name];
	const dot = name.indexOf('.');
	if (found !== undefined || dot < 0) return found;
	const parent = findDefinition(input, name.slice(0, dot));
	const { options } = recordOf(Array.isArray(parent) ? parent[1] : undefined);
	const children = (Array.isArray(options) ? options : []).map((option) =>
		findDefinition(recordOf(option).inputs, name.slice(dot + 1)),
	);
	return children.find((child) => child !== undefined);
}

/** The definitions with a class that has as many choices as it takes to reach the size: a real file has several MB. */
export function paddedObjectInfo(text: string, bytes: number): string {
	if (text.length >= bytes) return text;
	const choice = (_: unknown, n: number) => `loras/style-${String(n).padStart(7, '0')}.safetensors`;
	const choices = Array.from({ length: Math.ceil((bytes - text.length) / 36) }, choice);
	const madeUp = { input: { required: { lora_name: [choices, { tooltip: 'The name of the LoRA.' }] } } };
	return `${text.trimEnd().slice(0, -1)},"MadeUpNode":${JSON.stringify(madeUp)}}`;
}

function recordOf(value: unknown): Record<string, unknown> {
	return isRecord(value) ? value : {};
}
