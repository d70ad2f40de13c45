import fc from 'fast-check';

import { Simulation, type Event, type Settings } from './simulation';

/**
 * Money, ids, and Stop as properties: whatever the network, RunComfy, and n8n do, in whatever order. 500 runs with
 * `npm test`, 20,000 with `npm run test:chaos`. A failing run prints its seed and path; PROPERTY_SEED repeats it.
 */
const RUNS = Number(process.env.PROPERTY_RUNS ?? 500);
const SEED = process.env.PROPERTY_SEED;

const nth = fc.nat({ max: 7 });
const event: fc.Arbitrary<Event> = fc.oneof(
	{ weight: 2, arbitrary: fc.constant<Event>({ do: 'turn' }) },
	{ weight: 3, arbitrary: fc.constant<Event>({ do: 'retry' }) },
	{
		weight: 3,
		arbitrary: fc.record({
			do: fc.constant('call' as const),
			input: fc.constantFrom('A' as const, 'B' as const),
		}),
	},
	{
		weight: 8,
		arbitrary: fc.record({
			do: fc.constant('wait' as const),
			ms: fc.oneof(
				fc.integer({ min: 1, max: 100 }),
				fc.integer({ min: 100, max: 6_000 }),
				fc.constant(40_000),
			),
		}),
	},
	{
		weight: 4,
		arbitrary: fc.record(
			{
				do: fc.constant('submitFault' as const),
				fault: fc.constantFrom(
					'tooMany' as const,
					'refused' as const,
					'lostBefore' as const,
					'lostAfter' as const,
					'hangAfter' as const,
					'serverErrorAfter' as const,
					'redirectAfter' as const,
					'codeAfter' as const,
					'noIdAfter' as const,
					'unreachable' as const,
				),
				retryAfter: fc.constantFrom(0, 1, 90),
				times: fc.constantFrom(1, 5),
			},
			{ requiredKeys: ['do', 'fault'] },
		),
	},
	{
		weight: 3,
		arbitrary: fc.record({
			do: fc.constant('pollFault' as const),
			fault: fc.constantFrom(
				'tooMany' as const,
				'serverError' as const,
				'lost' as const,
				'notFound' as const,
				'hang' as const,
			),
		}),
	},
	{
		weight: 1,
		arbitrary: fc.record({
			do: fc.constant('cancelFault' as const),
			fault: fc.constantFrom('tooMany' as const, 'serverError' as const, 'lost' as const),
		}),
	},
	{ weight: 4, arbitrary: fc.record({ do: fc.constant('start' as const), nth }) },
	{
		weight: 4,
		arbitrary: fc.record({ do: fc.constant('finish' as const), nth, withOutput: fc.boolean() }),
	},
	{ weight: 2, arbitrary: fc.record({ do: fc.constant('fail' as const), nth, isCharged: fc.boolean() }) },
	{
		weight: 2,
		arbitrary: fc.record({
			do: fc.constant('retryExecution' as const),
			again: fc.boolean(),
			changesPrompt: fc.boolean(),
			aheadMs: fc.constantFrom(0, -7_200_000, 7_200_000),
		}),
	},
	{ weight: 3, arbitrary: fc.constant<Event>({ do: 'finishAll' }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant('break' as const), itemIndex: fc.nat({ max: 4 }) }) },
	{ weight: 1, arbitrary: fc.constant<Event>({ do: 'stop' }) },
	{
		weight: 1,
		arbitrary: fc.record({
			do: fc.constant('clockJump' as const),
			ms: fc.constantFrom(-20_000, 90_000, 3_600_000),
		}),
	},
);

const settings: fc.Arbitrary<Settings> = fc.record({
	items: fc.integer({ min: 1, max: 5 }),
	maxConcurrency: fc.integer({ min: 1, max: 6 }),
	continueOnFail: fc.boolean(),
	limitUsd: fc.option(fc.constantFrom(0.01, 1, 2, 3, 5, 8), { nil: undefined }),
	listedUsd: fc.option(fc.constantFrom(0, 1), { nil: undefined }),
	expectedUsd: fc.option(fc.constantFrom(1, 3), { nil: undefined }),
	costsUsd: fc.array(fc.constantFrom(0, 0.01, 1, 3), { minLength: 1, maxLength: 4 }),
	timeoutMs: fc.constantFrom(3_000, 20_000, 60_000),
});

describe('In every sequence of events', () => {
	it(
		'nothing is submitted twice, no id is lost, the spending limit holds, and Stop works',
		async () => {
			await fc.assert(
				fc.asyncProperty(settings, fc.array(event, { maxLength: 40 }), async (chosen, events) => {
					const simulation = new Simulation(chosen);
					await simulation.apply({ do: 'turn' });
					for (const one of events) await simulation.apply(one);
					await simulation.finish();
					expect(simulation.violations).toEqual([]);
				}),
				{ numRuns: RUNS, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
			);
		},
		60_000 + RUNS * 100,
	);
});
