import type { Seeds } from '../jobs/types';
import type { InputField } from '../models/inputSchema';
import { randomSeed, SEED_RANGE } from '../models/seeds';
import type { Random } from '../util/time';

/** A range that every node accepts [assumed]. A node whose deployed seed is larger accepts that of RunComfy's documentation. */
const SMALLEST_MAXIMUM = 65_535;

/**
 * The seeds of a request, by the ID of the input. Inputs that are deployed with the same seed stay equal: if the user gives
 * one of them, the others follow.
 * @param given the user's value of an input.
 * @param random undefined if what the user leaves alone keeps its deployed value.
 */
export function chooseSeeds(
	fields: InputField[],
	given: (id: string) => unknown,
	random: Random | undefined,
): Seeds {
	const inputs = fields.filter(({ isSeed }) => isSeed === true);
	const seeds: Seeds = {};
	const chosen = new Map<unknown, number>();
	const isOpen: InputField[] = [];
	for (const field of inputs) {
		const value = given(field.name);
		if (value === undefined) isOpen.push(field);
		if (typeof value !== 'number') continue;
		seeds[field.name] = value;
		if (field.default !== undefined && !chosen.has(field.default)) chosen.set(field.default, value);
	}
	if (random === undefined) return seeds;
	for (const field of isOpen) {
		const { name, default: deployed } = field;
		const equal = isOpen.filter(
			(one) => one === field || (deployed !== undefined && one.default === deployed),
		);
		const range = commonRange(equal) ?? rangeOf(field);
		const shared = chosen.get(deployed);
		const fits = shared !== undefined && shared >= range.min && shared <= (field.maximum ?? Infinity);
		seeds[name] = fits ? shared : randomSeed(random, range);
		if (deployed !== undefined && !chosen.has(deployed)) chosen.set(deployed, seeds[name]);
	}
	return seeds;
}

interface Range {
	min: number;
	max: number;
}

function rangeOf({ minimum = 0, maximum, default: deployed }: InputField): Range {
	const isLarge = typeof deployed === 'number' && deployed > SMALLEST_MAXIMUM;
	const known = maximum ?? (deployed === undefined || isLarge ? SEED_RANGE.max : SMALLEST_MAXIMUM);
	const max = Math.floor(Math.min(known, Number.MAX_SAFE_INTEGER));
	return { min: Math.min(Math.ceil(Math.max(minimum, 0)), max), max };
}

/** What all of the inputs accept. */
function commonRange(fields: InputField[]): Range | undefined {
	const ranges = fields.map(rangeOf);
	const min = Math.max(...ranges.map((range) => range.min));
	const max = Math.min(...ranges.map((range) => range.max));
	return min <= max ? { min, max } : undefined;
}
