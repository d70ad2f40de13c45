import { omitUndefined } from '../common/omitUndefined';
import { StoppedError } from '../common/stoppedError';
import type { Budget } from './budget';
import type { Ledger, LedgerTurn } from './ledger';
import { Run, type ItemOutcome, type RunDependencies } from './run';

export interface TurnDependencies extends Omit<RunDependencies, 'turn' | 'budget'> {
	ledger: Ledger;
	/** n8n's run index: the same in a retry. */
	runIndex: number;
	/** Of the items that submit something, by item index. */
	fingerprints: ReadonlyMap<number, string>;
	/** Whether an AI agent calls the node: every call has a run index of its own. */
	isTool: boolean;
	/** Undefined without a spending limit. May throw when the limit cannot be kept. */
	openBudget: (turn: LedgerTurn) => Promise<Budget | undefined>;
	/** Called at the end, however the run ends. */
	onClose?: (turn: LedgerTurn) => void;
}

/**
 * One run of the node over its items, from what an earlier try has left to what a later one may resume.
 * @param work of one item.
 * @returns the items' outcomes, in their order.
 * @throws StoppedError, ItemFailedError, and what `openBudget` throws.
 */
export async function runTurn<T>(
	{ ledger, runIndex, fingerprints, isTool, openBudget, onClose, ...dependencies }: TurnDependencies,
	count: number,
	work: (run: Run, itemIndex: number) => Promise<T>,
): Promise<Array<ItemOutcome<T>>> {
	const turn = ledger.openTurn(runIndex, fingerprints);
	let end: Parameters<LedgerTurn['close']>[0] = 'thrown';
	try {
		const budget = await openBudget(turn);
		const run = new Run({ ...dependencies, turn, ...omitUndefined({ budget }) });
		const outcomes = await run.forEachItem(
			count,
			async (itemIndex) => await work(run, itemIndex),
			resumedFirst(turn, count),
		);
		// An agent that gets an error item may make the same call again: that is a retry, too.
		const withErrors = isTool ? 'thrown' : 'withErrors';
		end = outcomes.every(({ ok }) => ok) ? 'succeeded' : withErrors;
		return outcomes;
	} finally {
		onClose?.(turn);
		turn.close(end);
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
}: Omit<TurnDependencies, 'fingerprints' | 'openBudget' | 'isTool'>): Promise<never> {
	const turn = ledger.openTurn(runIndex, new Map());
	ledger.resumeAll(turn);
	try {
		await new Run({ ...dependencies, turn }).forEachItem(0, async () => undefined);
	} finally {
		turn.close('thrown');
	}
	throw new StoppedError(turn.report());
}

/** What already runs at RunComfy comes first: others may have to wait until its cost is known. */
function resumedFirst(turn: LedgerTurn, count: number): number[] {
	const all = Array.from({ length: count }, (_, itemIndex) => itemIndex);
	const isResumed = (itemIndex: number) => turn.find(itemIndex) !== undefined;
	return [...all.filter(isResumed), ...all.filter((itemIndex) => !isResumed(itemIndex))];
}
