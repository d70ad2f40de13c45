import type { ResourceMapperField } from 'n8n-workflow';

import { isJsonObject, numberOf, textOf } from '../api/json';
import { omitUndefined } from '../common/omitUndefined';
import type { InputField } from '../models/inputSchema';
import { toMapperField } from '../models/mapperFields';

/**
 * The inputs of a deployment as fields of n8n's resource mapper. Pure. n8n saves the fields with the workflow, so each
 * carries what a run should know of it: `object_info` is read in the editor only.
 */

/** What `object_info` says about an input, beyond its literal. */
export interface SavedRules {
	kind?: 'integer';
	minimum?: number;
	maximum?: number;
	fileKind?: string;
}

export function toDeploymentMapperField(field: InputField): ResourceMapperField & { rules: SavedRules } {
	const { kind, minimum, maximum, fileKind } = field;
	const integer = kind === 'integer' ? kind : undefined;
	return { ...toMapperField(field), rules: omitUndefined({ kind: integer, minimum, maximum, fileKind }) };
}

/** The rules by the ID of the input. @param schema the saved fields; of any shape, because an expression may give it. */
export function readSavedRules(schema: unknown): Map<string, SavedRules> {
	const rules = new Map<string, SavedRules>();
	for (const field of Array.isArray(schema) ? (schema as unknown[]) : []) {
		if (!isJsonObject(field) || typeof field.id !== 'string' || !isJsonObject(field.rules)) continue;
		const { rules: saved } = field;
		rules.set(
			field.id,
			omitUndefined({
				kind: saved.kind === 'integer' ? ('integer' as const) : undefined,
				minimum: numberOf(saved, 'minimum'),
				maximum: numberOf(saved, 'maximum'),
				fileKind: textOf(saved, 'fileKind'),
			}),
		);
	}
	return rules;
}

/** A field that is read from its literal, with the rules that the editor has saved for it. */
export function withSavedRules(field: InputField, rules: SavedRules = {}): InputField {
	const { kind, fileKind, ...bounds } = rules;
	if (fileKind !== undefined && field.kind === 'text') return { ...field, kind: 'file', fileKind };
	if (field.kind !== 'number' && field.kind !== 'integer') return field;
	return { ...field, ...bounds, kind: kind ?? field.kind };
}
