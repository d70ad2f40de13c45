import type { FieldType, ResourceMapperField } from 'n8n-workflow';

import type { InputField, InputKind } from './inputSchema';
import { describeBounds } from './inputValues';

/** The inputs of a model as n8n's resource mapper shows them. Pure. */

/** The mapper has no field of several rows: a long text is a text that opens in a larger editor. */
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

/** Longer defaults are sample texts, and no help beside a label. */
const MAX_DEFAULT_LENGTH = 24;

export function toMapperField(field: InputField): ResourceMapperField {
	const { name, kind, required, choices } = field;
	return {
		id: name,
		displayName: `${field.label}${hintOf(field)}`,
		required,
		display: true,
		defaultMatch: false,
		canBeUsedToMatch: false,
		type: FIELD_TYPES[kind],
		...(choices === undefined ? {} : { options: choices.map((value) => ({ name: String(value), value })) }),
		...switchDefault(field),
	};
}

/** n8n shows a new switch as off, and sends that: it has to begin with the model's default, or wait until it is added. */
function switchDefault(field: InputField): Partial<ResourceMapperField> {
	if (field.kind !== 'boolean') return {};
	return typeof field.default === 'boolean' ? { defaultValue: field.default } : { removed: !field.required };
}

/** What the mapper has no other place for: “(default 7.5, from 0 to 20)”. */
function hintOf(field: InputField): string {
	const hints = [
		fileHint(field),
		describeBounds(field).replace(/^of /, ''),
		countHint(field),
		defaultHint(field),
	];
	const shown = hints.filter((hint) => hint !== '');
	return shown.length === 0 ? '' : ` (${shown.join(', ')})`;
}

/** Short, because the editor cuts off what does not fit beside its buttons; the README says the rest. */
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
