import type { INodePropertyOptions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../api/json';
import { labelOf } from '../models/inputNames';
import type { InputField } from '../models/inputSchema';
import { FieldError } from '../util/errors';
import { cached, isEmpty } from '../util/values';
import type { Field, Item } from './item';

const FROM_ITEM = 'From Input Item';

/**
 * How to specify the inputs of a model or of a deployment's workflow.
 * @param owner of the inputs.
 * @param example of a field of the item that gives an input.
 * @param fieldsHelp what to know of the fields of “Inputs”.
 * @param others ways besides fields and the input item.
 */
export function inputModeField(
	owner: string,
	example: string,
	fieldsHelp: string,
	others: INodePropertyOptions[],
): Field {
	return {
		displayName: 'Specify Inputs',
		name: 'inputMode',
		decides: true,
		type: 'options',
		options: [
			{
				name: 'Using Fields Below',
				value: 'fields',
				description: `One field for each input of the ${owner}`,
			},
			{
				name: FROM_ITEM,
				value: 'auto',
				description: `The item’s fields and files that are named like inputs, such as ${example}; others are ignored`,
			},
			...others,
		],
		default: 'fields',
		// The editor does not show the description of “Inputs”.
		description: `How to specify the inputs of the ${owner}. ${fieldsHelp}.`,
	};
}

/**
 * The resource mapper “Inputs”: one field for each input of a model or of a deployment's workflow.
 * @param method that loads the inputs in the editor.
 * @param locator the field on which they depend.
 */
export function inputsField(
	method: string,
	{ name: locator }: Field,
	texts: { description: string; noFieldsError: string },
): Field {
	const { description, noFieldsError } = texts;
	return {
		displayName: 'Inputs',
		name: 'inputs',
		decides: true,
		type: 'resourceMapper',
		noDataExpression: true,
		required: true,
		default: { mappingMode: 'defineBelow', value: null },
		description,
		typeOptions: {
			loadOptionsDependsOn: [`${locator}.value`],
			resourceMapper: {
				resourceMapperMethod: method,
				mode: 'add',
				valuesLabel: 'Inputs',
				fieldWords: { singular: 'input', plural: 'inputs' },
				addAllFields: true,
				// An emptied text is sent as an empty text.
				allowEmptyValues: true,
				multiKeyMatch: false,
				supportAutoMap: false,
				noFieldsError,
			},
		},
		displayOptions: { show: { inputMode: ['fields'] }, hide: { [locator]: [''] } },
	};
}

/** What n8n saves of the resource mapper “Inputs”. */
export interface MappedInputs {
	values: JsonObject;
	/** The fields as the editor has saved them; of any shape, because an expression may give them. */
	schema?: unknown;
}

/**
 * Reads the resource mapper “Inputs”.
 * @throws FieldError.
 */
export function readMappedInputs(item: Item): MappedInputs {
	const mapper = item.raw({ name: 'inputs' }, {});
	if (!isJsonObject(mapper)) throw new FieldError('Inputs', 'must be an object');
	const { schema, value: values } = mapper;
	if (values === null || values === undefined) return { values: {}, schema };
	if (!isJsonObject(values)) throw new FieldError('Inputs', 'must be filled in');
	return { values, schema };
}

/** A key that can only mean the input of a node, such as `6.text`; and a node's ID, if its value is an object. */
const NODE_INPUT = /^\d[\d:]*\.[a-z_]/i;
const NODE_ID = /^\d[\d:]*$/;
/** So many inputs an error lists. */
const MAX_LISTED = 40;

/**
 * The values that the item's own fields give the inputs: `{"6.text": "x"}`, `{"6": {"text": "x"}}`, and by name or label
 * `{"text": "x"}`. Files give the inputs of their names. What names no input is ignored, because items hold other data, too.
 * @param fields the inputs; those of a workflow have the names `<node ID>.<input>`.
 * @throws FieldError when no field names an input, and for one that means an input, but not which.
 */
export function readItemInputs({ json, fileNames }: Item, fields: InputField[]): JsonObject {
	const refuse = (problem: string): never => {
		const shown = fields.slice(0, MAX_LISTED).map(({ name, label }) => `${label} (${name})`);
		const list = [...shown, ...(fields.length > MAX_LISTED ? ['…'] : [])].join(', ');
		throw new FieldError(
			'Specify Inputs',
			`is “${FROM_ITEM}”, but ${problem}`,
			`${list === '' ? 'RunComfy lists no inputs.' : `The inputs are: ${list}.`} Rename the fields of the item, for example with the node “Edit Fields”. Nothing was submitted for this item.`,
		);
	};
	const values = new Map<string, unknown>();
	for (const [key, value] of Object.entries(json).flatMap((entry) => partsOf(entry, fields))) {
		if (value === null || value === undefined) continue;
		const found = inputsNamed(key, fields);
		if (found.length === 0 && NODE_INPUT.test(key)) refuse(`“${key}” is no input`);
		// A seed is one for all nodes.
		if (found.length > 1 && !found.every(({ isSeed }) => isSeed === true))
			refuse(`“${key}” names several inputs: ${found.map(({ name }) => name).join(', ')}`);
		for (const { name } of found) {
			if (values.has(name)) refuse(`two of its fields name the input ${name}`);
			values.set(name, value);
		}
	}
	const fromFiles = new Set<string>();
	for (const key of fileNames) {
		const [file, ...others] = inputsNamed(key, fields).filter(({ kind }) => kind.startsWith('file'));
		if (file === undefined || others.length > 0) continue;
		if (fromFiles.has(file.name)) refuse(`two of its files name the input ${file.name}`);
		// A form also describes its file under the same name.
		if (holdsText(values.get(file.name))) continue;
		fromFiles.add(file.name);
		values.set(file.name, key);
	}
	// An empty row of a table is no request.
	if ([...values.values()].every(isEmpty)) refuse('no field of the item names an input and has a value');
	const missing = fields.find((field) => mustBeGiven(field) && !values.has(field.name));
	if (missing !== undefined) refuse(`no field of the item gives “${missing.label}” (${missing.name})`);
	return Object.fromEntries(values);
}

/** A model does not run without this input. */
function mustBeGiven({ required, isSeed, kind, default: value }: InputField): boolean {
	return required && isSeed !== true && (value === undefined || kind.startsWith('file'));
}

/** True for an address, a name, or a list with one. */
function holdsText(value: unknown): boolean {
	return Array.isArray(value) ? value.some(holdsText) : typeof value === 'string' && !isEmpty(value);
}

/** The inputs in a field of an item, which may hold those of a node, also as the API format has them. */
function partsOf([key, value]: [string, unknown], fields: InputField[]): Array<[string, unknown]> {
	const isNode = () => NODE_ID.test(key) || fields.some(({ name }) => name.startsWith(`${key}.`));
	if (!isJsonObject(value) || !isNode()) return [[key, value]];
	const inputs = isJsonObject(value.inputs) ? value.inputs : value;
	return Object.entries(inputs).map(([name, part]) => [`${key}.${name}`, part]);
}

/** The inputs that a key may mean: the one of this ID or label, or else all of this name. A prompt is the positive one. */
function inputsNamed(key: string, fields: InputField[]): InputField[] {
	const { ids, labels, shown, all } = cached(INDEXES, fields, () => createIndex(fields));
	const words = wordsOf(key);
	const found = labels.get(words) ?? shown.get(words) ?? all.get(words) ?? all.get(`positive ${words}`);
	return ids.get(key) ?? found ?? [];
}

/** A workflow may have hundreds of inputs, which are the same for all items. */
const INDEXES = new WeakMap<InputField[], ReturnType<typeof createIndex>>();

function createIndex(fields: InputField[]) {
	const indexBy = (keysOf: (field: InputField) => string[], among = fields) => {
		const index = new Map<string, InputField[]>();
		for (const field of among)
			for (const key of new Set(keysOf(field))) cached(index, key, () => []).push(field);
		return index;
	};
	const namesOf = ({ name, label }: InputField) =>
		// The title or the ID of a node follows what its input is called.
		[label.replace(/ [#·].*/, ''), name.slice(name.indexOf('.') + 1)].map(wordsOf);
	return {
		ids: indexBy(({ name }) => [name]),
		labels: indexBy(({ label }) => [wordsOf(label)]),
		shown: indexBy(
			namesOf,
			fields.filter(({ isHidden }) => isHidden !== true),
		),
		all: indexBy(namesOf),
	};
}

/** `image_url`, `imageUrl`, and `Image URL` are the same. */
function wordsOf(name: string): string {
	return labelOf(name).toLowerCase();
}
