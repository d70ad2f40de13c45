/** The median of some figures, and how far they lie apart. */
export interface Spread {
	median: number;
	least: number;
	most: number;
	runs: number;
}

export function spreadOf(values: number[]): Spread {
	const sorted = [...values].sort((a, b) => a - b);
	const at = (index: number) => sorted[index] ?? NaN;
	const middle = (sorted.length - 1) / 2;
	const median = (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2;
	return { median, least: at(0), most: at(sorted.length - 1), runs: sorted.length };
}

/** The spread of each figure over several runs. */
export function spreadsOf<Name extends string>(runs: Array<Record<Name, number>>): Record<Name, Spread> {
	const names = Object.keys(runs[0] ?? {}) as Name[];
	const spreads = names.map((name) => [name, spreadOf(runs.map((run) => run[name]))]);
	return Object.fromEntries(spreads) as Record<Name, Spread>;
}

export function mean(values: number[]): number {
	return values.reduce((a, b) => a + b, 0) / values.length;
}
