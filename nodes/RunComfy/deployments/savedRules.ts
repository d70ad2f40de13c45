import type { ResourceMapperField } from 'n8n-workflow';

import { isJsonObject, numberOf, textOf } from '../api/json';
import type { InputField } from '../models/inputSchema';
import { toMapperField } from '../models/mapperFields';
import { omitUndefined } from '../util/values';
import { isSeed } from './graph';

/**
 * The inputs of a deployment as fields of n8n's resource mapper. Pure. n8n saves the fields with the workflow, so each
 * carries what a run should know of it: `object_info` is read in the editor only.
 */

const SAVED_KINDS = ['integer', 'any'] as const;

/** What `object_info` says about an input, beyond its literal. */
export interface SavedRules {
	/** `any`: its choices are of several types, and n8n checks them. */
	kind?: (typeof SAVED_KINDS)[number];
	minimum?: number;
	maximum?: number;
	fileKind?: string;
}

export function toDeploymentMapperField(field: InputField): ResourceMapperField & { rules: SavedRules } {
	const { kind, minimum, maximum, fileKind } = field;
	const saved = kind === 'integer' ? kind : hasMixedChoices(field) ? ('any' as const) : undefined;
	const inputName = field.name.slice(field.name.lastIndexOf('.') + 1);
	const isRandom = isSeed({ name: inputName, value: field.default });
	return {
		...toMapperField(field, isRandom),
		rules: omitUndefined({ kind: saved, minimum, maximum, fileKind }),
	};
}

function hasMixedChoices({ choices = [] }: InputField): boolean {
	return new Set(choices.map((choice) => typeof choice)).size > 1;
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
				kind: SAVED_KINDS.find((kind) => kind === saved.kind),
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
	if (kind === 'any') return { ...field, kind };
	if (field.kind !== 'number' && field.kind !== 'integer') return field;
	return { ...field, ...bounds, kind: kind ?? field.kind };
}
