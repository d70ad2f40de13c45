import { isAlive, type LedgerEntry } from './entry';
import type { Turn } from './turn';

type Group = 'running' | 'notCancellable' | 'unknown' | 'cancelled' | 'failed' | 'finished';

const TITLES: Record<Group, string> = {
	running: 'Still running at RunComfy',
	notCancellable: 'Could not be cancelled because already running or finished',
	unknown: 'Not known',
	cancelled: 'Cancelled',
	failed: 'Failed',
	finished: 'Finished and paid for',
};

/**
 * Sentences about everything that was submitted in a turn, for a log line or an error; empty when nothing was.
 * @param except the failed item, whose error says what is with the request of this ID, or of an unknown outcome.
 */
export function reportOf(turn: Turn, except?: { itemIndex: number; requestId: string | undefined }): string {
	const groups = new Map<Group, string[]>();
	const entries = turn.ledger.entriesOf(turn).sort((a, b) => a.itemIndex - b.itemIndex);
	for (const entry of entries) {
		const { itemIndex, requestId, state } = entry;
		const isLatest = (turn.find(itemIndex) ?? entry) === entry;
		// The failure of a request is not reported when its item has submitted again since.
		const isReplaced = !isLatest && (state === 'failed' || state === 'cancelled');
		const isExcepted =
			isLatest && itemIndex === except?.itemIndex && (requestId ?? except.requestId) === except.requestId;
		const group = groupOf(entry);
		if (group === undefined || isReplaced || isExcepted) continue;
		groups.set(group, [...(groups.get(group) ?? []), describe(entry)]);
	}
	return (Object.keys(TITLES) as Group[])
		.filter((group) => groups.has(group))
		.map((group) => `${TITLES[group]}: ${groups.get(group)?.join(', ') ?? ''}.`)
		.join(' ');
}

function groupOf(entry: LedgerEntry): Group | undefined {
	const { state, cancelOutcome } = entry;
	if (state === 'outcomeUnknown') return 'unknown';
	if (state === 'finished' || state === 'failed' || state === 'cancelled') return state;
	if (!isAlive(entry)) return undefined;
	if (cancelOutcome === undefined) return 'running';
	return cancelOutcome === 'notCancellable' ? 'notCancellable' : 'unknown';
}

function describe(entry: LedgerEntry): string {
	const { requestId = '', itemIndex, state, cancelOutcome, hasRun } = entry;
	if (state === 'outcomeUnknown') return `whether RunComfy accepted the request of item ${itemIndex}`;
	if (!isAlive(entry))
		return state === 'cancelled' && hasRun === true ? `${requestId} (was running)` : requestId;
	if (cancelOutcome === 'requested')
		return `whether the requested cancellation of ${requestId} comes in time`;
	if (cancelOutcome === 'unknown') return `whether ${requestId} was cancelled`;
	if (cancelOutcome === 'notCancellable') return requestId;
	return `${requestId} (item ${itemIndex}, ${state === 'running' ? 'running' : 'queued when last polled'})`;
}
