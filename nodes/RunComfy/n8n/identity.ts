import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject, isTooDeep } from '../api/json';
import type { Field } from '../fields/item';
import type { RequestIdentity } from '../jobs/entry';
import { digest } from '../util/values';
import { CREDENTIAL_NAME } from './request';

/** A node that an AI agent uses as its tool has a type of its own, which n8n derives from the node's. */
export function isUsedAsTool(context: IExecuteFunctions): boolean {
	return context.getNode().type.endsWith('Tool');
}

/**
 * What the requests of the items are known by: their place, and the raw values of the fields that decide what is
 * generated, with the chosen credential. Neither evaluated values, which differ in every try (`{{ $now }}`), nor the
 * input item, whose files n8n renames and whose fields an expression may change. For an agent's tool, the place is the
 * arguments of the call, with the agent's run and the item that expressions read: these may belong to another photo.
 * @param fields of the operation.
 * @returns hashes by item index, so that n8n's execution data, where they are stored, holds no prompts because of them.
 */
export async function createIdentities(
	context: IExecuteFunctions,
	runIndex: number,
	fields: Field[],
	count: number,
): Promise<Map<number, RequestIdentity>> {
	const { parameters, credentials } = context.getNode();
	const { id, name } = credentials?.[CREDENTIAL_NAME] ?? {};
	const { resource, operation } = parameters;
	const decisive = [resource, operation, id ?? name, decidingValues(fields, parameters)];
	const identity = await digest(JSON.stringify(decisive, sortKeys));
	const isCall = isUsedAsTool(context);
	const argumentNames = argumentsIn(JSON.stringify(decisive));
	const identities = new Map<number, RequestIdentity>();
	for (let itemIndex = 0; itemIndex < count; itemIndex++) {
		const place = isCall
			? await placeOfCall(context, runIndex, itemIndex, argumentNames)
			: `${runIndex}:${itemIndex}`;
		identities.set(itemIndex, { place, identity, isCall });
	}
	return identities;
}

async function placeOfCall(
	context: IExecuteFunctions,
	runIndex: number,
	itemIndex: number,
	argumentNames: string[] | undefined,
): Promise<string> {
	const { source } = context.getExecuteData();
	const { $thisItem: read } = context.getWorkflowDataProxy(itemIndex);
	const call = [context.getInputData()[itemIndex], read].map((item) => argumentsOf(item, argumentNames));
	// What refers to itself cannot be compared: such a call is known by its run.
	const text = isTooDeep(call) ? `run ${runIndex}` : JSON.stringify(call, sortKeys);
	return await digest(JSON.stringify([source, itemIndex, text], sortKeys));
}

const FROM_AI = /\$fromAI\(\s*(['"`])([\w-]+)\1/gi;
/** What an expression, or a way of entering inputs, may read besides the arguments. */
const READS_MORE = /\$|\bitems?\b|"auto"/;

/**
 * The arguments of a call that the deciding fields read: a timeout that the agent raises is no other request.
 * @param text of the raw values of these fields, as JSON.
 * @returns undefined where they may read anything.
 */
function argumentsIn(text: string): string[] | undefined {
	const plain = text.replaceAll('\\"', '"');
	if (READS_MORE.test(plain.replace(FROM_AI, ''))) return undefined;
	const names = [...plain.matchAll(FROM_AI)].map(([, , name = '']) => name);
	return names.length === 0 ? undefined : names;
}

/** The fields of an item that count; all of them where one is missing. An agent gives every call a new ID. */
function argumentsOf(item: unknown, names: string[] | undefined): unknown {
	const json = isJsonObject(item) ? item.json : undefined;
	if (!isJsonObject(json)) return json;
	const { toolCallId: _toolCallId, ...rest } = json;
	if (names === undefined || !names.every((name) => Object.hasOwn(json, name))) return rest;
	return names.map((name) => json[name]);
}

/** The raw values of the deciding fields, by name: a value may be an expression, which is not evaluated. */
export function decidingValues(fields: Field[], parameters: IDataObject): IDataObject {
	const values: IDataObject = {};
	for (const field of fields) {
		const value = parameters[field.name] ?? field.default;
		if (field.type === 'collection') {
			// One expression may give all options, and so a seed.
			values[field.name] = isJsonObject(value)
				? decidingValues(optionsOf(field, value), value as IDataObject)
				: value;
		} else if (field.decides) values[field.name] = withoutEditorState(field, value) as IDataObject;
	}
	return values;
}

/** The options of a collection that the user has added. */
function optionsOf({ options = [] }: Field, added: object): Field[] {
	return (options as Field[]).filter(({ name }) => Object.hasOwn(added, name));
}

/** The value without what the editor saves beside it: cached names, modes of entering it, and lists of inputs. */
function withoutEditorState({ type }: Field, value: unknown): unknown {
	if (!isJsonObject(value)) return value;
	if (type === 'resourceLocator') return typeof value.value === 'string' ? value.value.trim() : value.value;
	if (type !== 'resourceMapper') return value;
	const inputs = isJsonObject(value.value) ? Object.entries(value.value) : [];
	// A refreshed list of inputs adds ones without a value. An emptied text is a value.
	return Object.fromEntries(inputs.filter(([, input]) => input !== null && input !== undefined));
}

function sortKeys(_key: string, value: unknown): unknown {
	if (!isJsonObject(value)) return value;
	return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
