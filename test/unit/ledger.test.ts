import type { JobResult } from '../../nodes/RunComfy/api/responses';
import { omitUndefined } from '../../nodes/RunComfy/common/omitUndefined';
import { isFree, Ledger, type LedgerEntry, type LedgerTurn } from '../../nodes/RunComfy/jobs/ledger';
import { openTurn } from './fakeApi';

const result = (requestId: string, cost?: number): JobResult => ({
	requestId,
	output: { image: `https://cdn.test/${requestId}.png` },
	...omitUndefined({ cost }),
});

/** Submits for an item, and gets an id. */
function submit(turn: LedgerTurn, requestId: string, itemIndex = 0): LedgerEntry {
	const entry = turn.reserve(itemIndex, 'a/b');
	turn.submitting(entry);
	turn.accepted(entry, { requestId, seeds: undefined, submittedAt: 0 });
	return entry;
}

const other = new Map([[0, 'changed']]);

describe('Ledger: what a later run resumes', () => {
	it.each(['thrown', 'withErrors'] as const)('in the same turn, after the run has ended: %s', (end) => {
		const context = {};
		const first = openTurn(context, 3);
		submit(first, 'r');
		first.close(end);
		expect(openTurn(context, 3).find(0)).toMatchObject({ requestId: 'r', state: 'queued' });
	});

	it('in another turn only what a run has left that threw', () => {
		const context = {};
		const returned = openTurn(context, 0);
		submit(returned, 'r0');
		returned.close('withErrors');
		const thrown = openTurn(context, 1);
		expect(thrown.find(0)).toBeUndefined();
		submit(thrown, 'r1');
		thrown.close('thrown');
		const next = openTurn(context, 2);
		expect(next.find(0)).toMatchObject({ requestId: 'r1', turn: 2 });
		next.close('succeeded');
		expect(openTurn(context, 3).find(0)).toBeUndefined();
	});

	it('nothing after a run in which every item succeeded, not even in the same turn', () => {
		const context = {};
		const first = openTurn(context);
		first.ended(submit(first, 'r'), 'finished', result('r'), false);
		first.close('succeeded');
		expect(openTurn(context).find(0)).toBeUndefined();
	});

	it('nothing for another input, other parameters, or another index; but what is left alive is named', () => {
		const context = {};
		const first = openTurn(context);
		submit(first, 'r');
		first.close('thrown');
		const changed = Ledger.of(context).openTurn(0, other);
		expect(changed.find(0)).toBeUndefined();
		expect(changed.abandonedIds(0)).toEqual(['r']);
		expect(changed.abandonedIds(1)).toEqual([]);
	});

	it('nothing that another live run works on: parallel calls of an agent’s tool each keep their own', () => {
		const context = {};
		const [a, b] = [openTurn(context, 0), openTurn(context, 1)];
		submit(a, 'a');
		submit(b, 'b');
		a.close('thrown');
		const retryOfA = openTurn(context, 2);
		expect(retryOfA.find(0)).toMatchObject({ requestId: 'a' });
		b.close('thrown');
		expect(openTurn(context, 3).find(0)).toMatchObject({ requestId: 'b' });
	});

	it('A, B, A: the calls in between change nothing', () => {
		const context = {};
		const open = (runIndex: number, call: string) =>
			Ledger.of(context).openTurn(runIndex, new Map([[0, call]]));
		const a = open(0, 'A');
		submit(a, 'a');
		a.close('thrown');
		const b = open(1, 'B');
		submit(b, 'b');
		b.close('thrown');
		expect(open(2, 'A').find(0)).toMatchObject({ requestId: 'a' });
	});

	it.each(['failed', 'cancelled'] as const)('not a request that RunComfy has reported %s', (state) => {
		const context = {};
		const first = openTurn(context);
		first.ended(submit(first, 'r'), state, result('r'), false);
		first.close('thrown');
		expect(openTurn(context).find(0)).toBeUndefined();
	});

	it('a try that died while it was submitting as one whose outcome is unknown', () => {
		const context: Record<string, unknown> = {};
		const died = openTurn(context);
		died.submitting(died.reserve(0, 'a/b'));
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
		first.close('thrown');
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
		turn.ended(entry, 'finished', result('r'), false);
		turn.polled(entry, 'queued');
		turn.cancelAnswered(entry, 'cancelled');
		turn.outcomeUnknown(entry, 'late');
		expect(entry).toMatchObject({ state: 'finished', requestId: 'r' });
		expect(entry.cancelOutcome).toBeUndefined();
	});

	it.each(['failed', 'cancelled'] as const)(
		'counts as failed what was finished, and is reported as %s when a retry polls it again',
		(state) => {
			const turn = openTurn({});
			const entry = submit(turn, 'r');
			turn.ended(entry, 'finished', result('r'), false);
			turn.ended(entry, state, result('r'), false);
			turn.ended(entry, 'finished', result('r'), false);
			expect(entry.state).toBe('failed');
		},
	);

	it('never forgets that an outcome is unknown', () => {
		const turn = openTurn({});
		const entry = turn.reserve(0, 'a/b');
		turn.submitting(entry);
		turn.outcomeUnknown(entry, 'lost');
		turn.refused(entry);
		turn.notAccepted(entry);
		expect(entry.state).toBe('outcomeUnknown');
	});

	it('counts nothing for what was refused, or cancelled while queued, unless a cost is reported', () => {
		const turn = openTurn({});
		const refused = turn.reserve(0, 'a/b');
		turn.refused(refused);
		const cancelled = submit(turn, 'c', 1);
		turn.cancelAnswered(cancelled, 'cancelled');
		const charged = submit(turn, 'd', 2);
		turn.ended(charged, 'cancelled', result('d', 0.05), false);
		const ran = submit(turn, 'e', 3);
		turn.polled(ran, 'running');
		turn.ended(ran, 'cancelled', result('e'), false);
		expect([refused, cancelled, charged, ran].map(isFree)).toEqual([true, true, false, false]);
	});
});

describe('Ledger: a long loop', () => {
	it('sums up finished turns, so that n8n’s execution data does not grow', () => {
		const context = {};
		for (let turn = 0; turn < 200; turn++) {
			const run = openTurn(context, turn);
			run.ended(submit(run, `r${turn}`), 'finished', result(`r${turn}`, 0.5), false);
			run.close('succeeded');
		}
		expect(JSON.stringify(context).length).toBeLessThan(1_500);
		const { earlier, entries } = Ledger.of(context);
		expect(earlier.get('a/b')).toEqual({
			...{ requests: 199, spentUsd: 99.5 },
			...{ unreported: 0, expectedUsd: 0, unknown: 0 },
		});
		expect(entries).toHaveLength(1);
	});

	it('keeps requests that still run or may exist', () => {
		const context = {};
		const first = openTurn(context, 0);
		submit(first, 'alive');
		const lost = first.reserve(1, 'a/b');
		first.submitting(lost);
		first.outcomeUnknown(lost, 'lost');
		first.close('withErrors');
		openTurn(context, 1).close('succeeded');
		expect(Ledger.of(context).entries.map(({ state }) => state)).toEqual(['queued', 'outcomeUnknown']);
	});
});
