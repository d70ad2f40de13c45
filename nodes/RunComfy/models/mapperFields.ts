import type { FieldType, ResourceMapperField } from 'n8n-workflow';

import { omitUndefined } from '../util/values';
import type { InputField, InputKind } from './inputSchema';
import { describeBounds } from './inputValues';

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

/** Longer defaults are sample texts, which do not fit into a label. */
const MAX_DEFAULT_LENGTH = 24;

/** @param isRandom whether a run sends a random value when the field is empty. */
export function toMapperField(field: InputField, isRandom = false): ResourceMapperField {
	const { name, kind, required, choices } = field;
	return {
		id: name,
		displayName: `${field.label}${hintOf(isRandom ? { ...field, default: 'random' } : field)}`,
		required,
		display: true,
		defaultMatch: false,
		canBeUsedToMatch: false,
		type: FIELD_TYPES[kind],
		...omitUndefined({ options: choices?.map((value) => ({ name: String(value), value })) }),
		...switchDefault(field),
		...(field.isHidden === true ? { removed: true } : {}),
	};
}

/**
 * n8n shows a new switch as off, and sends that value. So a switch starts with the model's default; without a default, an
 * optional switch is not shown until the user adds it.
 */
function switchDefault(field: InputField): Partial<ResourceMapperField> {
	if (field.kind !== 'boolean') return {};
	return typeof field.default === 'boolean' ? { defaultValue: field.default } : { removed: !field.required };
}

/** Hints for the label, because the mapper has no other place for them: “ (default 7.5, from 0 to 20)”. */
function hintOf(field: InputField): string {
	const hints = [
		fileHint(field),
		defaultHint(field),
		describeBounds(field).replace(/^of /, ''),
		countHint(field),
	];
	const shown = hints.filter((hint) => hint !== '');
	return shown.length === 0 ? '' : ` (${shown.join(', ')})`;
}

/** Short, because the editor cuts off long labels; the description of “Inputs” says the rest. */
function fileHint({ kind }: InputField): string {
	if (kind === 'file') return 'URL or file field';
	return kind === 'files' ? 'URLs or file fields' : '';
}

function countHint({ maxItems, maxLength }: InputField): string {
	if (maxItems !== undefined) return `at most ${maxItems}`;
	return maxLength === undefined ? '' : `at most ${maxLength} characters`;
}

function defaultHint({ default: value }: InputField): string {
	if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return '';
	const text = String(value);
	return text === '' || text.length > MAX_DEFAULT_LENGTH ? '' : `default ${text}`;
}
