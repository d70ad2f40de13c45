import type { LedgerEntry, RequestIdentity } from './entry';
import type { Ledger } from './ledger';

/** One run of the node and the entries that it answers for. */
export class Turn {
	/** The latest entry of each item. */
	readonly current = new Map<number, LedgerEntry>();
	/** What earlier tries have left, and this one resumes. A parallel call's request is not left: it is under way. */
	private readonly left = new Set<LedgerEntry>();
	/** IDs that the error of an item names: from then on these requests are the user's to cancel. */
	readonly reported = new Set<string>();
	/** How often n8n has run the node for this turn, with this try. */
	readonly number: number;

	/**
	 * Begins a first try, or a retry.
	 * @param runIndex how often the node has run before in this execution; the same for a retry.
	 * @param identities of the items, by item index.
	 */
	constructor(
		readonly ledger: Ledger,
		readonly runIndex: number,
		private readonly identities: ReadonlyMap<number, RequestIdentity>,
	) {
		this.number = ledger.begin(
			this,
			[...identities.values()].some(({ isCall }) => !isCall),
		);
		for (const itemIndex of identities.keys()) this.lookUp(itemIndex);
	}

	/** What an earlier try, or this one, has submitted for the item. */
	find(itemIndex: number): LedgerEntry | undefined {
		return this.current.get(itemIndex);
	}

	/** As `find`, after others may have submitted for the same place. What can be resumed is this turn's from now on. */
	lookUp(itemIndex: number): LedgerEntry | undefined {
		const { ledger } = this;
		const found = ledger.findResumable(this.identityOf(itemIndex));
		if (found === undefined) return this.find(itemIndex);
		if (!ledger.hasOwner(found)) this.left.add(found);
		found.turn = this.runIndex;
		// Stop may cancel it again.
		delete found.cancelOutcome;
		ledger.own(found, this);
		this.current.set(itemIndex, found);
		return found;
	}

	/** True for a request of an earlier try. */
	isLeft(entry: LedgerEntry): boolean {
		return this.left.has(entry);
	}

	/** True when an earlier try has left something to resume, or this one has submitted something. */
	get hasRequests(): boolean {
		return this.current.size > 0;
	}

	identityOf(itemIndex: number): RequestIdentity {
		const identity = this.identities.get(itemIndex);
		if (identity === undefined) throw new Error(`Item ${itemIndex} has no identity`);
		return identity;
	}

	/** An item is about to submit; nothing has been sent. */
	reserve(itemIndex: number, endpointId: string, expectedUsd?: number): LedgerEntry {
		const entry: LedgerEntry = {
			...this.identityOf(itemIndex),
			turn: this.runIndex,
			itemIndex,
			endpointId,
			state: 'reserved',
			expectedUsd,
		};
		this.ledger.add(entry, this);
		this.current.set(itemIndex, entry);
		return entry;
	}

	/**
	 * Ends the run. To be called once.
	 * @param hasSucceeded for all items: then n8n does not run it again under this run index.
	 */
	close(hasSucceeded: boolean): void {
		this.ledger.release(this, hasSucceeded);
	}
}
