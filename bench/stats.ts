/** The middle of some figures, and how far they lie apart. */
export interface Spread {
	median: number;
	least: number;
	most: number;
	runs: number;
}

export function spreadOf(values: number[]): Spread {
	if (values.length === 0) throw new Error('No figures');
	const sorted = [...values].sort((a, b) => a - b);
	const middle = (sorted.length - 1) / 2;
	const at = (index: number) => sorted[index] ?? NaN;
	return {
		median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
		least: at(0),
		most: at(sorted.length - 1),
		runs: sorted.length,
	};
}

export function mean(values: number[]): number {
	return values.reduce((a, b) => a + b, 0) / values.length;
}

/** For example `1.04 (1.03–1.06)`. */
export function show({ median, least, most, runs }: Spread, digits = 2, unit = ''): string {
	const text = (value: number) => value.toFixed(digits);
	return runs === 1 ? `${text(median)}${unit}` : `${text(median)}${unit} (${text(least)}–${text(most)})`;
}
