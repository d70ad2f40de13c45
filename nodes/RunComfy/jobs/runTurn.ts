import { StoppedError } from '../util/errors';
import { omitUndefined } from '../util/values';
import type { Budget } from './budget';
import type { Ledger, LedgerTurn, RequestIdentity } from './ledger';
import { type ItemOutcome, Run, type RunDependencies } from './run';

export interface TurnDependencies extends Omit<RunDependencies, 'turn' | 'budget'> {
	ledger: Ledger;
	/** n8n's run index: the same in a retry. */
	runIndex: number;
	/** Of the items that submit something, by item index. */
	identities: ReadonlyMap<number, RequestIdentity>;
	/** Undefined without a spending limit. May throw when the limit cannot be kept. */
	openBudget: (turn: LedgerTurn) => Promise<Budget | undefined>;
}

/**
 * One run of the node over its items, from what an earlier try has left to what a later one may resume.
 * @param work of one item.
 * @returns the items' outcomes, in their order.
 * @throws StoppedError, ItemFailedError, and what `openBudget` throws.
 */
export async function runTurn<T>(
	{ ledger, runIndex, identities, openBudget, ...dependencies }: TurnDependencies,
	count: number,
	work: (run: Run, itemIndex: number) => Promise<T>,
): Promise<Array<ItemOutcome<T>>> {
	const turn = ledger.openTurn(runIndex, identities);
	let hasSucceeded = false;
	try {
		const budget = await openBudget(turn);
		const run = new Run({ ...dependencies, turn, ...omitUndefined({ budget }) });
		const outcomes = await run.forEachItem(
			count,
			async (itemIndex) => await work(run, itemIndex),
			resumedFirst(turn, count),
		);
		hasSucceeded = outcomes.every(({ ok }) => ok);
		return outcomes;
	} finally {
		turn.close(hasSucceeded);
	}
}

/**
 * Stop, where no run is under way: cancels what earlier tries of this turn have left, and reports it.
 * @throws StoppedError, always.
 */
export async function stopTurn({
	ledger,
	runIndex,
	...dependencies
}: Omit<TurnDependencies, 'identities' | 'openBudget'>): Promise<never> {
	const turn = ledger.openTurn(runIndex, new Map());
	ledger.resumeAll(turn);
	try {
		await new Run({ ...dependencies, turn }).forEachItem(0, async () => undefined);
	} finally {
		turn.close(false);
	}
	throw new StoppedError(turn.report());
}

/** What already runs at RunComfy comes first: others may have to wait until its cost is known. */
function resumedFirst(turn: LedgerTurn, count: number): number[] {
	const all = Array.from({ length: count }, (_, itemIndex) => itemIndex);
	const isResumed = (itemIndex: number) => turn.find(itemIndex) !== undefined;
	return [...all.filter(isResumed), ...all.filter((itemIndex) => !isResumed(itemIndex))];
}
