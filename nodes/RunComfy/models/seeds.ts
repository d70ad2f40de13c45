import type { InputField } from './inputSchema';
import type { Random } from '../util/time';

/** The range of `seed` (documented). */
export const SEED_RANGE = { min: 0, max: 2_147_483_647 };

/**
 * A random seed. One is always sent: without it, RunComfy may use the same default seed for every request [assumed].
 * @param range including both ends.
 */
export function randomSeed(random: Random, { min, max }: { min: number; max: number }): number {
	return min + Math.floor(random() * (max - min + 1));
}

/** A random seed for a model with an integer input `seed`; undefined for other models. */
export function randomSeedFor(fields: InputField[], random: Random): number | undefined {
	const field = fields.find(({ isSeed }) => isSeed === true);
	if (field === undefined) return undefined;
	const min = Math.max(SEED_RANGE.min, field.minimum ?? SEED_RANGE.min);
	const max = Math.min(SEED_RANGE.max, field.maximum ?? SEED_RANGE.max);
	return min <= max ? randomSeed(random, { min, max }) : undefined;
}
