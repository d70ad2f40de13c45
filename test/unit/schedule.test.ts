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

	it.each([
		['waits for the quiet time to be over', 0, 1_000, 4_000, 4_000],
		['never longer than the longest pause', 0, 1_000, 60_000, 5_000],
		['but as long as the user wants', 0, 30_000, 60_000, 30_000],
		['with what is left of it', 5_000, 1_000, 8_500, 3_500],
		['never shorter than the interval', 5_000, 1_000, 5_200, 1_000],
		['and no more when it is over', 12_000, 1_000, 8_000, 1_000],
	])('%s', (_, waited, interval, quietUntil, pause) =>
		expect(nextPauseMs(waited, interval, () => 0, quietUntil)).toBe(pause),
	);
});
