import { nextPauseMs } from '../../nodes/RunComfy/jobs/schedule';

describe('nextPauseMs', () => {
	it.each([
		[1, 1_000, 1_000],
		[14_000, 1_000, 1_000],
		[20_000, 1_000, 1_400],
		[60_000, 1_000, 4_200],
		[600_000, 1_000, 5_000],
		[5_000, 200, 350],
		[3_600_000, 30_000, 30_000],
	])('after %i ms with an interval of %i ms: %i ms', (waited, interval, pause) => {
		for (const random of [0, 0.999]) {
			expect(nextPauseMs(waited, interval, () => random)).toBeCloseTo(pause);
		}
	});

	it.each([
		[1_000, 0, 1_000],
		[1_000, 0.5, 1_500],
		[200, 0.5, 300],
		[30_000, 0.5, 30_500],
	])('spreads the first polls with an interval of %i ms (random %d): %i ms', (interval, random, pause) =>
		expect(nextPauseMs(0, interval, () => random)).toBe(pause),
	);

	const expected = { fromMs: 8_000, toMs: 16_000 };
	it.each([
		['waits until one pause after the earliest end', 6_000, 1_000, expected, 2_840],
		['in equal parts that are not longer than the longest pause', 0, 1_000, expected, 4_420],
		['which are as long as the user wants', 0, 30_000, expected, 23_000],
		['pauses for 7 % of the duration while the end is expected', 9_000, 1_000, expected, 840],
		['and less when all jobs took nearly the same', 12_000, 1_000, { fromMs: 11_000, toMs: 13_000 }, 630],
		['but never less than half the interval', 9_000, 2_000, expected, 1_000],
		['and as ever when the end is overdue', 16_000, 1_000, expected, 1_120],
	])('%s', (_, waited, interval, end, pause) =>
		expect(nextPauseMs(waited, interval, () => 0, end)).toBeCloseTo(pause),
	);
});
