import { JobTimes } from '../../nodes/RunComfy/jobs/jobTimes';

describe('JobTimes', () => {
	const times = (...jobs: Array<[number, number]>) => {
		const known = new JobTimes();
		for (const job of jobs) known.add(...job);
		return known.quietUntilMs;
	};
	it.each<[string, Array<[number, number]>, number]>([
		[
			'nothing from too few',
			[
				[9, 11],
				[9, 11],
			],
			0,
		],
		[
			'the middle between two polls, when all took the same',
			[
				[9, 11],
				[9, 11],
				[9, 11],
			],
			10,
		],
		[
			'less than the shortest, by the spread over the number',
			[
				[9, 11],
				[12, 14],
				[15, 17],
			],
			8,
		],
		[
			'less margin the more it has seen',
			[
				[9, 11],
				[9, 11],
				[9, 11],
				[9, 11],
				[9, 11],
				[15, 17],
			],
			9,
		],
	])('makes %s', (_, jobs, quietUntil) => expect(times(...jobs)).toBe(quietUntil));

	it('forgets what was long ago', () => {
		const slow = Array.from({ length: 20 }, (): [number, number] => [60, 60]);
		const fast = Array.from({ length: 20 }, (): [number, number] => [4, 4]);
		expect(times(...fast, ...slow)).toBe(60);
		expect(times(...slow, ...fast)).toBe(4);
	});
});
