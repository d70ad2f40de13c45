import { isJsonObject, type JsonObject } from '../api/json';

/**
 * ComfyUI's `object_info`: the definition of every node class that is installed. Pure. Only what a graph uses is read, and
 * nothing of it is needed to run a deployment.
 */

/** The definition of one input: its type, or its choices, and its rules. */
export interface InputDefinition {
	/** `INT`, `FLOAT`, `STRING`, `BOOLEAN`; undefined for a list of choices. */
	type?: string;
	choices?: unknown[];
	rules: JsonObject;
}

/** The definitions of a graph's classes, by class and input. */
export type Definitions = ReadonlyMap<string, ReadonlyMap<string, InputDefinition>>;

/** @param classNames that the graph uses; all others are left out. */
export function readObjectInfo(body: unknown, classNames: Iterable<string>): Definitions {
	const definitions = new Map<string, ReadonlyMap<string, InputDefinition>>();
	for (const className of new Set(classNames)) {
		const found = isJsonObject(body) && Object.hasOwn(body, className) ? body[className] : undefined;
		if (isJsonObject(found)) definitions.set(className, readInputs(found.input));
	}
	return definitions;
}

function readInputs(input: unknown): Map<string, InputDefinition> {
	const { required, optional } = isJsonObject(input) ? input : {};
	const inputs = new Map<string, InputDefinition>();
	for (const group of [optional, required]) {
		for (const [name, definition] of Object.entries(isJsonObject(group) ? group : {})) {
			const read = readDefinition(definition);
			if (read !== undefined) inputs.set(name, read);
		}
	}
	return inputs;
}

/** `[["a", "b"], {…}]`, in newer versions of ComfyUI `["COMBO", {"options": […]}]`, and `["INT", {…}]`. */
function readDefinition(definition: unknown): InputDefinition | undefined {
	if (!Array.isArray(definition)) return undefined;
	const [type, second]: unknown[] = definition;
	const rules = isJsonObject(second) ? second : {};
	if (Array.isArray(type)) return { choices: type, rules };
	if (typeof type !== 'string') return undefined;
	return type === 'COMBO'
		? { choices: Array.isArray(rules.options) ? rules.options : [], rules }
		: { type, rules };
}
