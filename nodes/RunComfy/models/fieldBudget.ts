import type { InputField } from './inputSchema';

/**
 * How much the editor gets of a model or of a deployment. n8n saves all of it with the workflow, and looks through it for
 * every item of a run. Pure.
 */

/** About so many characters of JSON, unless there are very many inputs. */
const ORDINARY_SIZE = 150_000;
/** Further inputs are not offered: they can be sent as JSON. */
const MAX_SIZE = 1_000_000;
/** What a field takes besides its texts. */
const FIELD_SIZE = 200;
const CHOICE_SIZE = 24;

/**
 * The fields without what is too much: the longest lists of choices first, whose fields then take any value; then fields, the
 * last optional ones first.
 */
export function withinBudget(fields: InputField[]): InputField[] {
	const lists = fields.map(({ choices = [] }) =>
		choices.reduce<number>((sum, choice) => sum + CHOICE_SIZE + 2 * String(choice).length, 0),
	);
	const sizes = fields.map(
		({ name, label, default: given }) => FIELD_SIZE + sizeOf(name) + sizeOf(label) + sizeOf(given),
	);
	let total = [...lists, ...sizes].reduce((sum, size) => sum + size, 0);
	const isTooLong = new Set<number>();
	for (const [index, size] of [...lists.entries()].sort(([, a], [, b]) => b - a)) {
		if (total <= ORDINARY_SIZE || size === 0) break;
		isTooLong.add(index);
		total -= size;
	}
	const order = [...fields.keys()].sort((a, b) => Number(fields[b]?.required) - Number(fields[a]?.required));
	let room = MAX_SIZE;
	const isOffered = new Set(order.filter((index) => (room -= sizes[index] ?? 0) >= 0));
	return fields.flatMap((field, index) => {
		if (!isOffered.has(index)) return [];
		const { choices: _choices, ...rest } = field;
		return isTooLong.has(index) ? { ...rest, kind: rest.kind === 'choice' ? 'text' : rest.kind } : field;
	});
}

/** As the editor saves it: an object as indented JSON, and any text within JSON, where a character may take six. */
function sizeOf(value: unknown): number {
	const text = typeof value === 'object' ? JSON.stringify(value, null, 2) : value;
	return JSON.stringify(text ?? '').length;
}
