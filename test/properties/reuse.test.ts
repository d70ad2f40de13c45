import { RunComfyError } from '../../nodes/RunComfy/api/problems';
import { runJob } from '../../nodes/RunComfy/jobs/job';
import { Ledger } from '../../nodes/RunComfy/jobs/ledger';
import { RequestStore } from '../../nodes/RunComfy/jobs/requestStore';
import { Reuse } from '../../nodes/RunComfy/jobs/reuse';
import { seededRandom } from '../sandbox/random';
import { LIMITS, makeRun, ok, request, SECOND, setUp } from '../unit/fakeApi';

/**
 * Executions one after the other that share n8n's static data, as random sequences: items with the same and with other
 * inputs, requests that finish, fail, are forgotten by RunComfy, or are still running when their item times out.
 */

const HOUR = 3_600 * SECOND;
const MAX_AGE_MS = 24 * HOUR;

type Behavior = 'finishes' | 'isSlow' | 'fails' | 'isForgotten';

interface Submitted {
	input: string;
	at: number;
	behavior: Behavior;
	execution: number;
}

async function simulate(seed: number): Promise<string[]> {
	const random = seededRandom(seed);
	const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
	const violations: string[] = [];
	const submitted: Submitted[] = [];
	let execution = 0;
	const fateOf = (path: string) => submitted[Number(/job-(\d+)/.exec(path)?.[1])];
	const { clock, api } = setUp((n) => {
		const { behavior } = submitted[n] ?? { behavior: 'finishes' };
		return { queueMs: 0, runMs: behavior === 'isSlow' ? 30 * SECOND : 2 * SECOND };
	});
	api.intercept = ({ method, body }, path) => {
		if (method === 'POST') {
			const behavior = pick<Behavior>(['finishes', 'finishes', 'isSlow', 'fails', 'isForgotten']);
			submitted.push({ input: String(body?.prompt), at: clock.now(), behavior, execution });
			return undefined;
		}
		const job = fateOf(path);
		// What is forgotten or fails does so after it has been found once, and after its execution.
		const isLater = job !== undefined && job.execution < execution;
		if (job?.behavior === 'isForgotten' && isLater)
			return { status: 404, headers: {}, body: { error_code: 404001 } };
		return job?.behavior === 'fails' && isLater ? ok({ status: 'failed' }) : undefined;
	};
	/** What RunComfy has a result of, or still works on. */
	const usable = ({ behavior, at }: Submitted) =>
		(behavior === 'finishes' || behavior === 'isSlow') && clock.now() - at <= MAX_AGE_MS;

	let stored: unknown;
	for (; execution < 6; execution++) {
		await clock.advance(pick([20 * SECOND, HOUR, 13 * HOUR]));
		const context = {};
		const store = new RequestStore(stored);
		// Turns of a loop, all in one execution.
		const turns = Array.from({ length: pick([1, 1, 3]) }, () =>
			Array.from({ length: pick([1, 2, 3]) }, () => pick(['A', 'B'])),
		);
		const wanted = turns.flat();
		const available = submitted.filter(usable);
		const before = submitted.length;
		const usedBefore = new Set<string>();
		for (const [runIndex, inputs] of turns.entries()) {
			const reuse = new Reuse({
				store,
				clock,
				account: 'account',
				executionId: String(execution),
				maxAgeMs: MAX_AGE_MS,
			});
			const turn = Ledger.of(context).openTurn(runIndex, new Map(inputs.map((_, i) => [i, `item ${i}`])));
			const items = inputs.map((input) => ({ endpointId: 'a/b', identify: async () => input }));
			await reuse.assignAll(turn, new Map(items.entries()), undefined);
			const { run } = makeRun(api, { turn, reuse, continueOnFail: true }, context);
			const outcomes = await clock.run(
				run.forEachItem(inputs.length, async (i) => {
					const limits = { ...LIMITS, timeoutMs: 10 * SECOND };
					const buildInput = async () => ({ prompt: inputs[i] });
					return await runJob(run, i, { ...request(api, i), limits, buildInput });
				}),
			);
			for (const [i, outcome] of outcomes.entries()) {
				if (!outcome.ok) {
					if (!(outcome.error instanceof RunComfyError)) violations.push(String(outcome.error));
					continue;
				}
				const { result, isReused } = outcome.value;
				const job = fateOf(result.requestId);
				if (job?.input !== inputs[i]) violations.push(`${inputs[i]} got a result of ${job?.input}`);
				if (isReused !== (job !== undefined && job.execution < execution))
					violations.push(`${result.requestId} is ${isReused ? '' : 'not '}reused`);
				if (usedBefore.has(result.requestId)) violations.push(`${result.requestId} is used twice`);
				usedBefore.add(result.requestId);
			}
			turn.close('withErrors');
		}
		for (const input of ['A', 'B']) {
			const count = (list: Submitted[]) => list.filter((one) => one.input === input).length;
			const needed = wanted.filter((one) => one === input).length;
			const expected = Math.max(0, needed - count(available));
			const submittedCount = count(submitted.slice(before));
			if (submittedCount !== expected)
				violations.push(`execution ${execution} submitted ${input} ${submittedCount} times, not ${expected}`);
		}
		stored = JSON.parse(JSON.stringify(store.toJson()));
	}
	return violations;
}

describe('Reuse Results, in random sequences of executions', () => {
	it.each(Array.from({ length: 20 }, (_, block) => block))(
		'submits nothing that has a result, and gives no item the result of another (block %i)',
		async (block) => {
			for (let seed = block * 10; seed < block * 10 + 10; seed++) {
				expect({ seed, violations: await simulate(seed) }).toEqual({ seed, violations: [] });
			}
		},
	);
});
