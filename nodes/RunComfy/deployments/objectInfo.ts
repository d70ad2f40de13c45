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
		if (isJsonObject(found)) definitions.set(className, definitionsIn(found.input));
	}
	return definitions;
}

/** The definitions of a class's inputs, which are in two groups. */
function definitionsIn(input: unknown): Map<string, InputDefinition> {
	const { required, optional } = isJsonObject(input) ? input : {};
	const groups = [optional, required].filter(isJsonObject).flatMap((group) => Object.entries(group));
	return new Map(
		groups.flatMap(([name, given]) => {
			const definition = readDefinition(given);
			return definition === undefined ? [] : [...childrenOf(name, given), [name, definition]];
		}),
	);
}

const DYNAMIC = 'COMFY_DYNAMICCOMBO_V3';

/** Each choice of such a list may have inputs of its own, such as `resize_type.width`. */
function childrenOf(name: string, definition: unknown): Array<[string, InputDefinition]> {
	const [type, rules]: unknown[] = Array.isArray(definition) ? definition : [];
	const options = type === DYNAMIC && isJsonObject(rules) ? rules.options : undefined;
	return (Array.isArray(options) ? options : [])
		.filter(isJsonObject)
		.flatMap(({ inputs }) =>
			[...definitionsIn(inputs)].map(([child, one]): [string, InputDefinition] => [`${name}.${child}`, one]),
		);
}

/** `[["a", "b"], {…}]`, in newer versions of ComfyUI `["COMBO", {"options": […]}]`, and `["INT", {…}]`. */
function readDefinition(definition: unknown): InputDefinition | undefined {
	const [type, second]: unknown[] = Array.isArray(definition) ? definition : [];
	const rules = isJsonObject(second) ? second : {};
	if (Array.isArray(type)) return { choices: type.map(readChoice), rules };
	if (type === 'COMBO' || type === DYNAMIC) {
		return { choices: Array.isArray(rules.options) ? rules.options.map(readChoice) : [], rules };
	}
	return typeof type === 'string' ? { type, rules } : undefined;
}

/** Some nodes describe a choice further: `["video/h264-mp4", […]]`, `{"content": "a.safetensors"}`, `{"key": "width"}`. */
function readChoice(choice: unknown): unknown {
	const [first]: unknown[] = Array.isArray(choice) ? choice : [choice];
	return isJsonObject(first) ? (first.content ?? first.key) : first;
}
