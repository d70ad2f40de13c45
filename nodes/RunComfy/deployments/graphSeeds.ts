import type { Seeds } from '../jobs/types';
import type { InputField } from '../models/inputSchema';
import { randomSeed, SEED_RANGE } from '../models/seeds';
import type { Random } from '../util/time';
import { cached } from '../util/values';

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
	const groups = new Map<unknown, InputField[]>();
	for (const field of fields) {
		if (field.isSeed === true) cached(groups, field.default ?? field.name, () => []).push(field);
	}
	const seeds: Seeds = {};
	for (const group of groups.values()) {
		const own = group.flatMap(({ name }) => {
			const value = given(name);
			return typeof value === 'number' ? [{ name, value }] : [];
		});
		for (const { name, value } of own) seeds[name] = value;
		if (random === undefined) continue;
		const open = group.filter(({ name }) => given(name) === undefined);
		const range = commonRange(open);
		const shared = own[0]?.value ?? (range === undefined ? undefined : randomSeed(random, range));
		for (const field of open) {
			seeds[field.name] =
				shared !== undefined && accepts(field, shared) ? shared : randomSeed(random, rangeOf(field));
		}
	}
	return seeds;
}

interface Range {
	min: number;
	max: number;
}

function accepts({ minimum = 0, maximum = Infinity }: InputField, seed: number): boolean {
	return seed >= minimum && seed <= maximum;
}

function rangeOf({ minimum = 0, maximum, default: deployed }: InputField): Range {
	const isSmall = typeof deployed === 'number' && deployed <= SMALLEST_MAXIMUM;
	const known = maximum ?? (isSmall ? SMALLEST_MAXIMUM : SEED_RANGE.max);
	const max = Math.floor(Math.min(known, Number.MAX_SAFE_INTEGER));
	return { min: Math.min(Math.ceil(Math.max(minimum, 0)), max), max };
}

/** What all of the inputs accept. */
function commonRange(fields: InputField[]): Range | undefined {
	const ranges = fields.map(rangeOf);
	const min = Math.max(0, ...ranges.map((range) => range.min));
	const max = Math.min(Number.MAX_SAFE_INTEGER, ...ranges.map((range) => range.max));
	return min <= max ? { min, max } : undefined;
}
