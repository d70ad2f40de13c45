import type { JobResult } from '../../nodes/RunComfy/api/answers';
import { isFree, type LedgerEntry } from '../../nodes/RunComfy/jobs/entry';
import { Ledger } from '../../nodes/RunComfy/jobs/ledger';
import { Turn } from '../../nodes/RunComfy/jobs/turn';
import { callOf, openTurn, placeOf } from './fakeApi';

const result = (requestId: string, cost?: number): JobResult => ({
	requestId,
	output: { image: `https://cdn.test/${requestId}.png` },
	...(cost === undefined ? {} : { cost }),
});

/** Submits for an item, and gets an id. */
function submit(turn: Turn, requestId: string, itemIndex = 0): LedgerEntry {
	const entry = turn.reserve(itemIndex, 'a/b');
	turn.ledger.move(entry, 'submitting');
	turn.ledger.move(entry, 'queued', { requestId, submittedAt: 0 });
	return entry;
}

const other = new Map([[0, placeOf(0, 0, 'another prompt')]]);

describe('Ledger: what a later run resumes', () => {
	it('in the same turn, after a run that has not succeeded', () => {
		const context = {};
		const first = openTurn(context, 3);
		submit(first, 'r');
		first.close(false);
		expect(openTurn(context, 3).find(0)).toMatchObject({ requestId: 'r', state: 'queued' });
	});

	it('nothing in another turn, whose place is another one', () => {
		const context = {};
		const first = openTurn(context, 0);
		submit(first, 'r0');
		first.close(false);
		expect(openTurn(context, 1).find(0)).toBeUndefined();
	});

	it('nothing after a run in which every item succeeded, not even in the same turn', () => {
		const context = {};
		const first = openTurn(context);
		first.ledger.end(submit(first, 'r'), 'finished', result('r'), false);
		first.close(true);
		expect(openTurn(context).find(0)).toBeUndefined();
	});

	it('nothing for another input, other parameters, or another index; but what is left alive is named', () => {
		const context = {};
		const first = openTurn(context);
		submit(first, 'r');
		first.close(false);
		const changed = new Turn(Ledger.of(context), 0, other);
		expect(changed.find(0)).toBeUndefined();
		expect(changed.ledger.findAbandoned(changed.identityOf(0))).toMatchObject([{ requestId: 'r' }]);
		expect(changed.ledger.findAbandoned(placeOf(0, 1))).toEqual([]);
	});

	const call = (context: Record<string, unknown>, runIndex: number, args: string) =>
		new Turn(Ledger.of(context), runIndex, new Map([[0, callOf(args)]]));

	it('an agent’s call in whichever run, also after its success: A, B, A', () => {
		const context = {};
		const a = call(context, 0, 'A');
		a.ledger.end(submit(a, 'a'), 'finished', result('a'), false);
		a.close(true);
		const b = call(context, 1, 'B');
		submit(b, 'b');
		b.close(false);
		expect(call(context, 2, 'A').find(0)).toMatchObject({ requestId: 'a', state: 'finished' });
		expect(call(context, 3, 'B').find(0)).toMatchObject({ requestId: 'b', state: 'queued' });
	});

	it('a failed run’s request after an agent’s call in between', () => {
		const context = {};
		const first = openTurn(context, 0);
		submit(first, 'r');
		first.close(false);
		call(context, 1, 'A').close(true);
		expect(openTurn(context, 0).find(0)).toMatchObject({ requestId: 'r' });
	});

	it('an agent’s call that another live run works on: both answer for it, and one release leaves it to the other', () => {
		const context = {};
		const first = call(context, 0, 'A');
		const entry = submit(first, 'a');
		const second = call(context, 1, 'A');
		expect(second.find(0)).toBe(entry);
		first.close(false);
		expect(Ledger.of(context).entriesOf(second)).toEqual([entry]);
	});

	it.each(['failed', 'cancelled'] as const)('not a request that RunComfy has reported %s', (state) => {
		const context = {};
		const first = openTurn(context);
		first.ledger.end(submit(first, 'r'), state, result('r'), false);
		first.close(false);
		expect(openTurn(context).find(0)).toBeUndefined();
	});

	it('a try that died while it was submitting as one whose outcome is unknown', () => {
		const context: Record<string, unknown> = {};
		const died = openTurn(context);
		died.ledger.move(died.reserve(0, 'a/b'), 'submitting');
		// Another process reads n8n's database.
		const restored = JSON.parse(JSON.stringify(context)) as Record<string, unknown>;
		expect(openTurn(restored).find(0)).toMatchObject({ state: 'outcomeUnknown' });
	});

	it('not what was never sent', () => {
		const context: Record<string, unknown> = {};
		openTurn(context).reserve(0, 'a/b');
		const restored = JSON.parse(JSON.stringify(context)) as Record<string, unknown>;
		expect(openTurn(restored).find(0)).toBeUndefined();
	});

	it('the same from n8n’s database, and nothing from what it cannot read', () => {
		const context: Record<string, unknown> = {};
		const first = openTurn(context);
		submit(first, 'r');
		first.close(false);
		const restored = JSON.parse(JSON.stringify(context)) as Record<string, unknown>;
		expect(openTurn(restored).find(0)).toMatchObject({ requestId: 'r' });
		for (const nonsense of ['nonsense', null, { entries: 7 }, { entries: [null, { state: 'constructor' }] }])
			expect(openTurn({ runComfyRequests: nonsense }).find(0)).toBeUndefined();
	});
});

describe('Ledger: transitions', () => {
	it('does not leave a final state', () => {
		const turn = openTurn({});
		const entry = submit(turn, 'r');
		turn.ledger.end(entry, 'finished', result('r'), false);
		turn.ledger.move(entry, 'queued');
		turn.ledger.move(entry, 'cancelled');
		turn.ledger.move(entry, 'outcomeUnknown', { why: 'late' });
		expect(entry).toMatchObject({ state: 'finished', requestId: 'r' });
		expect(entry.cancelOutcome).toBeUndefined();
	});

	it.each(['failed', 'cancelled'] as const)(
		'counts as failed what was finished, and is reported as %s when a retry polls it again',
		(state) => {
			const turn = openTurn({});
			const entry = submit(turn, 'r');
			turn.ledger.end(entry, 'finished', result('r'), false);
			turn.ledger.end(entry, state, result('r'), false);
			turn.ledger.end(entry, 'finished', result('r'), false);
			expect(entry.state).toBe('failed');
		},
	);

	it('never forgets that an outcome is unknown', () => {
		const turn = openTurn({});
		const entry = turn.reserve(0, 'a/b');
		turn.ledger.move(entry, 'submitting');
		turn.ledger.move(entry, 'outcomeUnknown', { why: 'lost' });
		turn.ledger.move(entry, 'refused');
		turn.ledger.move(entry, 'reserved');
		expect(entry.state).toBe('outcomeUnknown');
	});

	it('counts nothing for what was refused, or cancelled while queued, unless a cost is reported', () => {
		const turn = openTurn({});
		const refused = turn.reserve(0, 'a/b');
		turn.ledger.move(refused, 'refused');
		const cancelled = submit(turn, 'c', 1);
		turn.ledger.move(cancelled, 'cancelled');
		const charged = submit(turn, 'd', 2);
		turn.ledger.end(charged, 'cancelled', result('d', 0.05), false);
		const ran = submit(turn, 'e', 3);
		turn.ledger.move(ran, 'running');
		turn.ledger.end(ran, 'cancelled', result('e'), false);
		expect([refused, cancelled, charged, ran].map(isFree)).toEqual([true, true, false, false]);
	});
});

describe('Ledger: a long loop', () => {
	it('keeps a small record of each request, and none of what cost nothing', () => {
		const context = {};
		for (let turn = 0; turn < 200; turn++) {
			const run = openTurn(context, turn);
			run.ledger.end(submit(run, `r${turn}`), 'finished', result(`r${turn}`, 0.5), false);
			run.ledger.move(run.reserve(1, 'a/b'), 'refused');
			run.close(turn % 2 === 0);
		}
		openTurn(context, 200).close(true);
		expect(JSON.stringify(context).length).toBeLessThan(200 * 60 + 200);
		const { costs, entries } = Ledger.of(context);
		expect(costs).toEqual(Array(200).fill({ endpointId: 'a/b', state: 'finished', costUsd: 0.5 }));
		expect(entries).toEqual([]);
	});

	it('counts what still runs or may exist', () => {
		const context = {};
		const first = openTurn(context, 0);
		submit(first, 'alive');
		const lost = first.reserve(1, 'a/b');
		first.ledger.move(lost, 'submitting');
		first.ledger.move(lost, 'outcomeUnknown', { why: 'lost' });
		first.close(false);
		expect(Ledger.of(context).entries.map(({ state }) => state)).toEqual(['queued', 'outcomeUnknown']);
		openTurn(context, 1).close(true);
		expect(Ledger.of(context).costs.map(({ state }) => state)).toEqual(['queued', 'outcomeUnknown']);
	});
});

describe('Ledger: of one execution', () => {
	it('is the same for all runs of the node, until n8n gives it other data', () => {
		const context: Record<string, unknown> = {};
		const ledger = Ledger.of(context);
		expect(Ledger.of(context)).toBe(ledger);
		context.runComfyRequests = JSON.parse(JSON.stringify(context.runComfyRequests)) as unknown;
		expect(Ledger.of(context)).not.toBe(ledger);
	});

	it('counts the tries of each run', () => {
		const context = {};
		const numbers = [0, 0, 1, 0].map((runIndex) => openTurn(context, runIndex).number);
		expect(numbers).toEqual([1, 2, 1, 3]);
	});

	it('knows the highest cost of each endpoint, in another process, too', () => {
		const context: Record<string, unknown> = {};
		const turn = openTurn(context);
		for (const [item, usd] of [0.5, 0.7, 0, 0.6].entries())
			turn.ledger.end(
				submit(turn, `r${item}`, item),
				item < 3 ? 'failed' : 'finished',
				result('r', usd),
				false,
			);
		const costs = ({ ledger }: Turn) => ['a/b', 'c/d'].map((id) => ledger.highestSurpriseUsd(id));
		expect(costs(turn)).toEqual([0.7, undefined]);
		turn.close(true);
		const restored = JSON.parse(JSON.stringify(context)) as Record<string, unknown>;
		expect(costs(openTurn(restored, 1))).toEqual([0.7, undefined]);
	});

	it('gives each run what it answers for, and what nobody answers for any more', () => {
		const context: Record<string, unknown> = {};
		const [a, b] = [openTurn(context, 0), openTurn(context, 1)];
		const entries = [submit(a, 'a'), submit(b, 'b')];
		expect([a, b].map((turn) => turn.ledger.entriesOf(turn))).toEqual(entries.map((entry) => [entry]));
		const restored = JSON.parse(JSON.stringify(context)) as Record<string, unknown>;
		const { ledger } = openTurn(restored, 7, 0);
		const idsOf = (runIndex: number) => ledger.entriesOf({ runIndex }).map(({ requestId }) => requestId);
		expect([0, 1, 2].map(idsOf)).toEqual([['a'], ['b'], []]);
	});

	it('adds a late cost to the result, and asks no longer', () => {
		const turn = openTurn({});
		const [late, never] = [submit(turn, 'a'), submit(turn, 'b', 1)];
		for (const entry of [late, never]) turn.ledger.end(entry, 'finished', result('r'), true);
		expect([late.isCostPending, never.isCostPending]).toEqual([true, true]);
		turn.ledger.recordCost(late, 0.5);
		turn.ledger.recordCost(never, undefined);
		expect(late).toMatchObject({ costUsd: 0.5, isCostPending: false, result: result('r', 0.5) });
		expect(never).toMatchObject({ isCostPending: false, result: result('r') });
		expect(never.costUsd).toBeUndefined();
	});

	it('does not ask for a cost that is there, and keeps no result of what has failed', () => {
		const turn = openTurn({});
		const [paid, failed] = [submit(turn, 'a'), submit(turn, 'b', 1)];
		turn.ledger.end(paid, 'finished', result('r', 0.5), true);
		turn.ledger.end(failed, 'failed', result('r', 0), true);
		expect([paid.isCostPending, failed.isCostPending]).toEqual([false, false]);
		expect(failed.result).toBeUndefined();
		turn.ledger.recordCost(failed, 0.1);
		expect(failed).toMatchObject({ costUsd: 0.1 });
		expect(failed.result).toBeUndefined();
	});

	it('names what is abandoned only while it is alive and nobody answers for it', () => {
		const turn = openTurn({});
		const [alive, ended] = [submit(turn, 'r'), submit(turn, 's')];
		turn.ledger.move(ended, 'cancelled');
		const abandoned = () => turn.ledger.findAbandoned(placeOf(0, 0, 'another prompt'));
		expect(abandoned()).toEqual([]);
		turn.close(false);
		expect(abandoned()).toEqual([alive]);
		expect(turn.ledger.findAbandoned(placeOf(0, 0))).toEqual([]);
	});

	it('wakes who waits for a change: at a change, when ended, and at once after that; and leaves no listener', async () => {
		const turn = openTurn({});
		const { ledger } = turn;
		const listeners = new Set<() => void>();
		const signal = {
			aborted: false,
			addEventListener: (_: string, listener: () => void) => void listeners.add(listener),
			removeEventListener: (_: string, listener: () => void) => void listeners.delete(listener),
		};
		const woken: string[] = [];
		const wait = async (what: string) => await ledger.waitForChange(signal).then(() => void woken.push(what));
		const entry = submit(turn, 'r');
		const first = wait('a change');
		await Promise.resolve();
		expect(woken).toEqual([]);
		ledger.setWaitedFor(entry, false);
		await first;
		const second = wait('the end');
		for (const listener of [...listeners]) listener();
		await second;
		signal.aborted = true;
		await wait('at once');
		expect(woken).toEqual(['a change', 'the end', 'at once']);
		expect(listeners.size).toBe(0);
	});

	it.each([
		['equal calls one after another', callOf('A'), callOf('A'), ['1', 'end 1', '2', 'end 2']],
		['other calls side by side', callOf('A'), callOf('B'), ['1', '2', 'end 1', 'end 2']],
		['items side by side', placeOf(0, 0), placeOf(0, 0), ['1', '2', 'end 1', 'end 2']],
	])('submits for %s', async (_, one, two, order) => {
		const { ledger } = openTurn({});
		const seen: string[] = [];
		const never = new AbortController().signal;
		const work = (name: string) => async () => {
			seen.push(name);
			await new Promise((resolve) => setImmediate(resolve));
			seen.push(`end ${name}`);
		};
		await Promise.all([ledger.atPlace(one, never, work('1')), ledger.atPlace(two, never, work('2'))]);
		expect(seen).toEqual(order);
	});
});
