import type { ResourceMapperField } from 'n8n-workflow';

import { isJsonObject, numberAt, textAt } from '../api/json';
import { type Choice, type InputField, isChoice } from '../models/inputSchema';
import { toMapperField } from '../models/mapperFields';

/**
 * The inputs of a deployment as fields of n8n's resource mapper. Pure. n8n saves the fields with the workflow, so each
 * carries what a run should know of it: `object_info` is read in the editor only.
 */

/** What `object_info` says about an input, beyond its literal. */
export interface SavedRules extends Pick<InputField, 'minimum' | 'maximum' | 'fileKind' | 'isSeed'> {
	/** `any`: its choices are of several types, or of another one than its literal, and n8n checks them. */
	kind?: 'integer' | 'any';
	/** The files that are already on the machine, of an input that takes files. */
	choices?: Choice[];
}

export function toDeploymentMapperField(field: InputField): ResourceMapperField & { rules: SavedRules } {
	const { minimum, maximum, fileKind, isSeed, choices = [], default: deployed = choices[0] } = field;
	const isMixed = field.kind === 'choice' && choices.some((choice) => typeof choice !== typeof deployed);
	const kind = field.kind === 'integer' ? 'integer' : isMixed ? 'any' : undefined;
	const isFile = field.kind === 'file';
	return {
		// A list to choose from would take no URL.
		...toMapperField(isFile ? { ...field, choices: undefined } : field),
		rules: { kind, minimum, maximum, fileKind, isSeed, choices: isFile ? field.choices : undefined },
	};
}

/** A field as n8n has saved it. */
export interface SavedField extends SavedRules {
	/** What the field showed at first; a value that equals it was left alone. */
	defaultValue?: unknown;
}

/** The saved fields by the ID of the input. @param schema of any shape, because an expression may give it. */
export function readSavedFields(schema: unknown): Map<string, SavedField> {
	const fields = new Map<string, SavedField>();
	for (const field of Array.isArray(schema) ? (schema as unknown[]) : []) {
		if (!isJsonObject(field) || typeof field.id !== 'string') continue;
		const { id, defaultValue } = field;
		const rules = isJsonObject(field.rules) ? field.rules : {};
		fields.set(id, {
			defaultValue,
			kind: rules.kind === 'integer' || rules.kind === 'any' ? rules.kind : undefined,
			minimum: numberAt(rules, 'minimum'),
			maximum: numberAt(rules, 'maximum'),
			fileKind: textAt(rules, 'fileKind'),
			isSeed: rules.isSeed === true ? true : undefined,
			choices: Array.isArray(rules.choices) ? rules.choices.filter(isChoice) : undefined,
		});
	}
	return fields;
}

/** A field that is read from its literal, with the rules that the editor has saved for it. */
export function withSavedRules(field: InputField, rules: SavedRules = {}): InputField {
	const { kind = field.kind, minimum, maximum, fileKind, choices, isSeed = field.isSeed } = rules;
	if (fileKind !== undefined && ['text', 'file'].includes(field.kind))
		return { ...field, kind: 'file', fileKind, choices };
	if (kind === 'any') return { ...field, kind };
	if (field.kind !== 'number' && field.kind !== 'integer') return field;
	return { ...field, kind, isSeed, minimum: minimum ?? field.minimum, maximum: maximum ?? field.maximum };
}
