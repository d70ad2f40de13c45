import { readGraphFields } from '../../nodes/RunComfy/deployments/graphFields';
import { chooseSeeds } from '../../nodes/RunComfy/deployments/graphSeeds';

/** A field of each seed: nodes 1, 2, … are deployed with these seeds. */
const seeds = (...deployed: number[]) =>
	readGraphFields(
		Object.fromEntries(
			deployed.map((seed, index) => [`${index + 1}`, { class_type: 'KSampler', inputs: { seed } }]),
		),
	);
const LARGEST = 1 - Number.EPSILON;

describe('chooseSeeds', () => {
	it.each<[string, number[], Record<string, unknown>, Record<string, number>]>([
		['the largest that every node accepts', [5], {}, { '1.seed': 65_535 }],
		['the largest where the deployed one is larger', [65_536], {}, { '1.seed': 2 ** 31 - 1 }],
		['the largest where the deployed one is not exact', [2 ** 60], {}, { '1.seed': 2 ** 31 - 1 }],
		['the user’s', [5], { '1.seed': 7 }, { '1.seed': 7 }],
		[
			'the user’s for those that are deployed with the same',
			[5, 5, 6],
			{ '1.seed': 7 },
			{ '1.seed': 7, '2.seed': 7, '3.seed': 65_535 },
		],
		['two of the user’s', [5, 5], { '1.seed': 7, '2.seed': 8 }, { '1.seed': 7, '2.seed': 8 }],
		['none for what is connected in the user’s JSON', [5], { '1.seed': ['4', 0] }, {}],
	])('%s', (_, deployed, given, expected) =>
		expect(
			chooseSeeds(
				seeds(...deployed),
				(id) => given[id],
				() => LARGEST,
			),
		).toEqual(expected),
	);

	it('keeps equal seeds equal, and others different', () => {
		let count = 0;
		const chosen = chooseSeeds(
			seeds(5, 6, 5),
			() => undefined,
			() => ++count / 10,
		);
		expect(chosen['1.seed']).toBe(chosen['3.seed']);
		expect(chosen['1.seed']).not.toBe(chosen['2.seed']);
	});

	it('chooses one that all equal seeds accept', () => {
		const [first, second] = seeds(5, 5);
		if (first === undefined || second === undefined) throw new Error('No fields');
		const fields = [
			{ ...first, minimum: 10, maximum: 2 ** 40 },
			{ ...second, maximum: 20 },
		];
		expect(
			chooseSeeds(
				fields,
				() => undefined,
				() => LARGEST,
			),
		).toEqual({ '1.seed': 20, '2.seed': 20 });
		// The user's is not accepted by the other.
		const given = (id: string) => (id === '1.seed' ? 99 : undefined);
		expect(chooseSeeds(fields, given, () => 0)).toEqual({ '1.seed': 99, '2.seed': 0 });
	});

	it('sends only the user’s where nothing is random', () =>
		expect(chooseSeeds(seeds(5, 5), (id) => (id === '1.seed' ? 7 : undefined), undefined)).toEqual({
			'1.seed': 7,
		}));
});
