import { Deadlines } from '../../nodes/RunComfy/util/time';
import { VirtualClock } from './virtualClock';

describe('Deadlines', () => {
	it('are noticed in their order, at most 250 ms late, and not when they have been ended', async () => {
		const clock = new VirtualClock();
		const deadlines = new Deadlines(clock);
		const over: Array<[string, number]> = [];
		const from = clock.now();
		const start = (name: string, ms: number) =>
			deadlines.start(ms, () => over.push([name, clock.now() - from]));
		start('long', 10_000);
		const end = start('ended', 3_000);
		await clock.advance(1_000);
		start('short', 30);
		start('middle', 2_000);
		await clock.advance(500);
		end();
		await clock.advance(20_000);
		expect(over.map(([name]) => name)).toEqual(['short', 'middle', 'long']);
		for (const [index, due] of [1_030, 3_000, 10_000].entries()) {
			expect(over[index]?.[1]).toBeGreaterThanOrEqual(due);
			expect(over[index]?.[1]).toBeLessThanOrEqual(due + 250);
		}
	});

	it('leave no sleep behind, and begin again later', async () => {
		const clock = new VirtualClock();
		const deadlines = new Deadlines(clock);
		let isOver = false;
		deadlines.start(60_000, () => (isOver = true))();
		await clock.advance(250);
		expect(clock.sleeping).toBe(0);
		await clock.advance(100_000);
		expect(isOver).toBe(false);
		deadlines.start(1_000, () => (isOver = true));
		await clock.advance(1_250);
		expect(isOver).toBe(true);
	});
});
