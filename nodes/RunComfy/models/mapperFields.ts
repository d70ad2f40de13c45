import type { FieldType, ResourceMapperField } from 'n8n-workflow';

import { choiceLabel, distinctLabels, labelOf, purposeOfName, PURPOSES, type Purpose } from './inputNames';
import { type Choice, type InputField, type InputKind, isChoice, isFileField } from './inputSchema';
import { tryConvert } from './inputValues';

/** The inputs of a model as fields of n8n's resource mapper. Pure. */

/** The mapper has no multi-line field. Users can open a text field in a larger editor. */
const FIELD_TYPES: Record<InputKind, FieldType> = {
	text: 'string',
	number: 'number',
	integer: 'number',
	boolean: 'boolean',
	choice: 'options',
	date: 'dateTime',
	object: 'object',
	array: 'array',
	file: 'string',
	files: 'string',
	any: 'string',
};

/** Required inputs first, then files, texts, sizes, seeds, settings, and the rest; of one sort, in the order given. */
export function toMapperFields(fields: InputField[]): ResourceMapperField[] {
	const rankOf = (field: InputField) =>
		(field.required ? 0 : PURPOSES.length) + PURPOSES.indexOf(purposeOf(field));
	const sorted = fields.map((field) => ({ field, rank: rankOf(field) })).sort((a, b) => a.rank - b.rank);
	const labels = distinctLabels(sorted.map(({ field }) => [field.label, labelOf(field.name), field.name]));
	return sorted.map(({ field }, index) => {
		const isFile = mayBeFile(field);
		// A file that a model names as its default is a sample.
		const shown = isFile ? { ...field, default: undefined } : field;
		return toMapperField({ ...shown, label: labels[index] ?? field.label }, choiceLabel);
	});
}

function mayBeFile(field: InputField): boolean {
	return isFileField(field) || (field.alternatives ?? []).some(isFileField);
}

/** The order of texts with the same rank: what is wanted, other texts, what is not wanted. */
function purposeOf(field: InputField): Purpose {
	const { name, kind } = field;
	const byName = purposeOfName(name);
	if (mayBeFile(field)) return 'file';
	switch (kind) {
		case 'text':
			if (byName === 'rest') return /prompt$/i.test(name) ? 'positive' : 'text';
			return byName;
		case 'number':
		case 'integer':
		case 'boolean':
		case 'choice':
			return byName === 'size' || byName === 'seed' ? byName : 'setting';
		default:
			return byName === 'size' ? 'size' : 'rest';
	}
}

/** @param nameOf what the list shows of a choice. */
export function toMapperField(
	field: InputField,
	nameOf: (choice: Choice) => string = String,
): ResourceMapperField {
	const { name, kind, label, required, choices, isHidden } = field;
	const defaultValue = shownDefault(field);
	// n8n shows a new switch as off, and sends that value. So an optional switch without a default is not shown until the
	// user adds it.
	const isUnsetSwitch = kind === 'boolean' && defaultValue === undefined && !required;
	return {
		id: name,
		displayName: label,
		required,
		display: true,
		defaultMatch: false,
		type: FIELD_TYPES[kind],
		options: choices?.map((value) => ({ name: nameOf(value), value })),
		defaultValue,
		removed: isHidden === true || isUnsetSwitch ? true : undefined,
	};
}

/**
 * The default as the field shows it, and therefore sends it. A seed has none, because it is random when it is empty. Objects
 * and lists are shown as JSON.
 */
function shownDefault(field: InputField): string | number | boolean | undefined {
	const { kind, isSeed, default: given } = field;
	if (isSeed === true || given === undefined || given === '') return undefined;
	const value = tryConvert(field, given);
	if (kind === 'any') return typeof value === 'string' ? value : undefined;
	if (kind === 'choice' && !isChoice(value)) return undefined;
	if (isChoice(value)) return value;
	const isFilled = typeof value === 'object' && value !== null && Object.keys(value).length > 0;
	return isFilled ? JSON.stringify(value, null, 2) : undefined;
}
