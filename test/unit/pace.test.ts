import { Pace } from '../../nodes/RunComfy/jobs/pace';
import { SECOND } from './fakeApi';

/** A clock that is set by hand, and a pace whose pauses are not random. */
function setUp() {
	const clock = { time: 0, now: () => clock.time };
	return { clock, pace: new Pace(clock, () => 0.5) };
}

/** The pause after one call, in milliseconds. */
function pauseOf({ pace }: ReturnType<typeof setUp>): number {
	pace.called();
	return pace.leftMs;
}

describe('The pace of calls', () => {
	it('sets no pause until a call is refused', () => {
		const paced = setUp();
		for (let n = 0; n < 100; n++) paced.pace.accepted();
		expect(pauseOf(paced)).toBe(0);
	});

	it('begins at half the rate at which calls were accepted before', () => {
		const paced = setUp();
		for (let n = 0; n < 10; n++) paced.pace.accepted();
		paced.clock.time = 20 * SECOND;
		paced.pace.refused();
		expect(pauseOf(paced)).toBe(4 * SECOND);
	});

	it('pauses no longer than 20 seconds on average, however often it is refused', () => {
		const paced = setUp();
		for (let n = 0; n < 50; n++) paced.pace.refused();
		expect(pauseOf(paced)).toBe(20 * SECOND);
	});

	it('ends the pauses when calls are accepted for long enough', () => {
		const paced = setUp();
		for (let n = 0; n < 50; n++) paced.pace.refused();
		let accepted = 0;
		for (; pauseOf(paced) > 0 && accepted < 10_000; accepted++) {
			paced.clock.time += paced.pace.leftMs;
			paced.pace.accepted();
		}
		expect(paced.clock.time).toBeLessThan(300 * SECOND);
		expect(accepted).toBeGreaterThan(50);
	});

	it.each([1, 30])(
		'comes to the same rate from everywhere at the same share of refusals (%s)',
		(refusals) => {
			const paced = setUp();
			for (let n = 0; n < refusals; n++) paced.pace.refused();
			const pauses: number[] = [];
			for (let n = 0; n < 4_000; n++) {
				paced.clock.time += pauseOf(paced);
				if (n % 5 === 0) paced.pace.refused();
				else paced.pace.accepted();
				if (n > 2_000) pauses.push(pauseOf(paced));
			}
			const mean = pauses.reduce((sum, pause) => sum + pause, 0) / pauses.length;
			expect(mean).toBeGreaterThan(11 * SECOND);
			expect(mean).toBeLessThan(15 * SECOND);
		},
	);
});
