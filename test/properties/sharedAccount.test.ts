import { fixedWindow, runSharedAccount, tokenBucket, type AccountReport } from './sharedAccount';

const EXECUTIONS = 200;
/** As many as `npm run test:chaos` sets; fewer in `npm test`. */
const ITEMS = Number(process.env.SHARED_ACCOUNT_ITEMS ?? 10);
const CALLS_PER_SECOND = 20;
/** A second or two of CPU time, and about five with 50 items; much longer on a machine that has other things to do. */
const TIMEOUT_MS = 110_000;

/** Accepted calls per second, until so many of the executions are done: the last ones do not need the whole limit. */
function throughput({ executions, acceptedAt }: AccountReport, share: number): number {
	const ends = executions.map(({ endedAt }) => endedAt).sort((a, b) => a - b);
	const until = ends[Math.ceil(ends.length * share) - 1] ?? 0;
	return acceptedAt.filter((at) => at <= until).length / (until / 1_000);
}

const quantile = (values: number[], share: number) =>
	[...values].sort((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? NaN;
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe(`${EXECUTIONS} executions of ${ITEMS} items share an account of ${CALLS_PER_SECOND} calls per second`, () => {
	it.each([
		['refilled steadily, no Retry-After', tokenBucket, undefined],
		['refilled steadily, Retry-After: 1 for all', tokenBucket, 1],
		['refilled steadily, Retry-After: 10 for all', tokenBucket, 10],
		['counted by the second, no Retry-After', fixedWindow, undefined],
		['counted by the second, Retry-After: 1 for all', fixedWindow, 1],
	])(
		'%s',
		async (_name, limitOf, retryAfter) => {
			const report = await runSharedAccount({
				executions: EXECUTIONS,
				itemsEach: ITEMS,
				limit: limitOf(CALLS_PER_SECOND),
				retryAfter,
			});
			const { executions, submitted, pollsOf, submitsOf, acceptedAt, refused } = report;
			const ends = executions.map(({ endedAt }) => endedAt);
			const silences = executions.map(({ longestSilenceMs }) => longestSilenceMs);
			const submits = [...submitsOf.values()];
			const figures = {
				callsPerSecond: throughput(report, 0.5),
				untilNineInTen: throughput(report, 0.9),
				toTheEnd: throughput(report, 1),
				endedAtMedian: quantile(ends, 0.5) / 1_000,
				endedAtLast: quantile(ends, 1) / 1_000,
				longestSilence: quantile(silences, 1) / 1_000,
				refusedPerAccepted: refused / acceptedAt.length,
				submits: [mean(submits), quantile(submits, 1)],
				polls: [mean(pollsOf), quantile(pollsOf, 1)],
			};
			if (process.env.SHARED_ACCOUNT_FIGURES !== undefined) console.log(figures);

			// Every item has its own request, submitted once, and every request's result arrived; but for one in a thousand,
			// whose time is up while it waits for its turn, and which says so.
			const ids = executions.flatMap(({ outcomes }) =>
				outcomes.map((outcome) => (outcome.ok ? outcome.value : String(outcome.error))),
			);
			const done = ids.filter((id) => id.startsWith('job-'));
			const late = ids.filter((id) => !id.startsWith('job-'));
			expect(new Set(done).size).toBe(EXECUTIONS * ITEMS - late.length);
			expect(late.length).toBeLessThanOrEqual((EXECUTIONS * ITEMS) / 1_000);
			for (const error of late) expect(error).toMatch(/was not finished after|kept answering/);
			expect(submitted).toBeGreaterThanOrEqual(done.length);
			expect(submitted).toBeLessThanOrEqual(EXECUTIONS * ITEMS);
			// The limit is used, until the last executions no longer need it all.
			expect(figures.callsPerSecond).toBeGreaterThan(0.9 * CALLS_PER_SECOND);
			if (ITEMS >= 50) expect(figures.untilNineInTen).toBeGreaterThan(0.9 * CALLS_PER_SECOND);
			// None starves: neither for a while nor to the end.
			expect(figures.longestSilence).toBeLessThan(300);
			expect(figures.endedAtLast).toBeLessThan((ITEMS >= 50 ? 1.5 : 2) * figures.endedAtMedian);
			// And few calls are wasted.
			expect(figures.refusedPerAccepted).toBeLessThan(ITEMS >= 50 ? 0.4 : 1);
			expect(figures.submits[0]).toBeLessThan(3);
			expect(figures.submits[1]).toBeLessThan(15);
			expect(figures.polls[0]).toBeLessThan(2);
			expect(figures.polls[1]).toBeLessThan(25);
		},
		TIMEOUT_MS,
	);
});
