import type { FieldType, ResourceMapperField } from 'n8n-workflow';

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

/** @param isRandom whether a run sends a random value when the field is empty. */
export function toMapperField(field: InputField, isRandom = false): ResourceMapperField {
	const { name, kind, label, required, choices, isHidden } = field;
	const hints = hintsOf(isRandom ? { ...field, default: 'random' } : field);
	// n8n shows a new switch as off, and sends that value. So a switch starts with the model's default; without a default,
	// an optional switch is not shown until the user adds it.
	const isSwitch = kind === 'boolean';
	const defaultValue = isSwitch && typeof field.default === 'boolean' ? field.default : undefined;
	const isUnsetSwitch = isSwitch && defaultValue === undefined && !required;
	return {
		id: name,
		displayName: hints.length === 0 ? label : `${label} (${hints.join(', ')})`,
		required,
		display: true,
		defaultMatch: false,
		canBeUsedToMatch: false,
		type: FIELD_TYPES[kind],
		options: choices?.map((value) => ({ name: String(value), value })),
		defaultValue,
		removed: isHidden === true || isUnsetSwitch ? true : undefined,
	};
}

/** Longer defaults are sample texts, which do not fit into a label. */
const MAX_DEFAULT_LENGTH = 24;

/**
 * Hints for the label, because the mapper has no other place for them: “default 7.5”, “from 0 to 20”. They are short,
 * because the editor cuts off long labels; the description of “Inputs” says the rest.
 */
function hintsOf(field: InputField): string[] {
	const { kind, default: value, maxItems, maxLength } = field;
	const text = ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : '';
	const hints = [
		kind === 'file' ? 'URL or file field' : kind === 'files' ? 'URLs or file fields' : '',
		text === '' || text.length > MAX_DEFAULT_LENGTH ? '' : `default ${text}`,
		describeBounds(field).replace(/^of /, ''),
		maxItems !== undefined
			? `at most ${maxItems}`
			: maxLength !== undefined
				? `at most ${maxLength} characters`
				: '',
	];
	return hints.filter((hint) => hint !== '');
}
