import type { ResourceMapperField } from 'n8n-workflow';

import { isJsonObject, numberAt, textAt } from '../api/json';
import type { InputField } from '../models/inputSchema';
import { toMapperField } from '../models/mapperFields';
import { isSeed } from './graph';

/**
 * The inputs of a deployment as fields of n8n's resource mapper. Pure. n8n saves the fields with the workflow, so each
 * carries what a run should know of it: `object_info` is read in the editor only.
 */

/** What `object_info` says about an input, beyond its literal. */
export interface SavedRules extends Pick<InputField, 'minimum' | 'maximum' | 'fileKind'> {
	/** `any`: its choices are of several types, and n8n checks them. */
	kind?: 'integer' | 'any';
}

export function toDeploymentMapperField(field: InputField): ResourceMapperField & { rules: SavedRules } {
	const { minimum, maximum, fileKind, choices = [] } = field;
	const isMixed = new Set(choices.map((choice) => typeof choice)).size > 1;
	const kind = field.kind === 'integer' ? 'integer' : isMixed ? 'any' : undefined;
	const inputName = field.name.slice(field.name.lastIndexOf('.') + 1);
	const isRandom = isSeed({ name: inputName, value: field.default });
	return { ...toMapperField(field, isRandom), rules: { kind, minimum, maximum, fileKind } };
}

/** The rules by the ID of the input. @param schema the saved fields; of any shape, because an expression may give it. */
export function readSavedRules(schema: unknown): Map<string, SavedRules> {
	const rules = new Map<string, SavedRules>();
	for (const field of Array.isArray(schema) ? (schema as unknown[]) : []) {
		if (!isJsonObject(field) || typeof field.id !== 'string' || !isJsonObject(field.rules)) continue;
		const { rules: saved } = field;
		rules.set(field.id, {
			kind: saved.kind === 'integer' || saved.kind === 'any' ? saved.kind : undefined,
			minimum: numberAt(saved, 'minimum'),
			maximum: numberAt(saved, 'maximum'),
			fileKind: textAt(saved, 'fileKind'),
		});
	}
	return rules;
}

/** A field that is read from its literal, with the rules that the editor has saved for it. */
export function withSavedRules(field: InputField, rules: SavedRules = {}): InputField {
	const { kind = field.kind, minimum, maximum, fileKind } = rules;
	if (fileKind !== undefined && field.kind === 'text') return { ...field, kind: 'file', fileKind };
	if (kind === 'any') return { ...field, kind };
	if (field.kind !== 'number' && field.kind !== 'integer') return field;
	return { ...field, kind, minimum: minimum ?? field.minimum, maximum: maximum ?? field.maximum };
}
