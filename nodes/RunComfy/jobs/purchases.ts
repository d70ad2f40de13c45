import type { RunComfyClient } from '../api/client';
import type { Phase } from '../api/responses';

interface Purchase {
	itemIndex: number;
	phase: Phase;
	/** Its item has ended with an error that names it: a timeout, for example, never cancels. */
	released?: true;
}

/** What became of one request when the run ended early. */
type Ending = 'cancelled' | 'notCancellable' | 'unknown';

/**
 * The requests that this run has bought, or resumed, and their last known phase: what Stop has to cancel, and what an
 * error has to name so that nothing paid for is lost.
 */
export class Purchases {
	private readonly alive = new Map<string, Purchase>();
	private readonly finished = new Map<string, number>();
	private readonly doubtful: number[] = [];
	private readonly endings = new Map<string, Promise<Ending>>();

	bought(requestId: string, itemIndex: number): void {
		this.alive.set(requestId, { itemIndex, phase: 'queued' });
	}

	saw(requestId: string, phase: Phase): void {
		const purchase = this.alive.get(requestId);
		if (purchase) purchase.phase = phase;
	}

	/** The result is known, in this run or from an earlier try. */
	done(requestId: string, itemIndex: number): void {
		this.alive.delete(requestId);
		this.finished.set(requestId, itemIndex);
	}

	/** RunComfy reports that it failed or was cancelled. */
	gone(requestId: string): void {
		this.alive.delete(requestId);
	}

	/** The item has ended with an error that names this request: from now on it is the user's to cancel. */
	release(requestId: string): void {
		const purchase = this.alive.get(requestId);
		if (purchase) purchase.released = true;
	}

	inDoubt(itemIndex: number): void {
		this.doubtful.push(itemIndex);
	}

	/**
	 * Sends one cancel for every request that is not known to be running and still has its item waiting for it. Each
	 * gets one only, however often this is called: at once on Stop, and again for an id that came in late.
	 * @param onCancelled for each that RunComfy really cancelled.
	 */
	async cancelQueued(client: RunComfyClient, onCancelled: (itemIndex: number) => void): Promise<void> {
		for (const [requestId, purchase] of this.alive) {
			const { phase, released } = purchase;
			if (phase !== 'queued' || released === true || this.endings.has(requestId)) continue;
			this.endings.set(requestId, this.cancelOne(client, requestId, purchase, onCancelled));
		}
		await Promise.all(this.endings.values());
	}

	/** Sentences about everything that was bought, for a log line or an error. Empty when nothing was. */
	async report(except?: string): Promise<string> {
		const byEnding: Record<Ending | 'left', string[]> = {
			cancelled: [],
			notCancellable: [],
			unknown: [],
			left: [],
		};
		for (const [requestId, ending] of this.endings) {
			if (requestId !== except) byEnding[await ending].push(requestId);
		}
		const alive = [...this.alive].sort(([, a], [, b]) => a.itemIndex - b.itemIndex);
		for (const [requestId, { phase, itemIndex }] of alive) {
			if (this.endings.has(requestId) || requestId === except) continue;
			byEnding.left.push(`${requestId} (item ${itemIndex}${phase === 'running' ? ', running' : ''})`);
		}
		const finished = [...this.finished.keys()].filter((requestId) => requestId !== except);
		const sentences: Array<[string, Array<string | number>]> = [
			['Still alive at RunComfy', byEnding.left],
			['Could not be cancelled because already running or finished', byEnding.notCancellable],
			['Not known whether cancelled', byEnding.unknown],
			['Cancelled while queued', byEnding.cancelled],
			['Finished and paid for', finished],
			['Not known whether RunComfy accepted the request of item', this.doubtful],
		];
		return sentences
			.filter(([, ids]) => ids.length > 0)
			.map(([what, ids]) => `${what}: ${ids.join(', ')}.`)
			.join(' ');
	}

	private async cancelOne(
		client: RunComfyClient,
		requestId: string,
		purchase: Purchase,
		onCancelled: (itemIndex: number) => void,
	): Promise<Ending> {
		const answer = await client.cancel(requestId);
		if (answer.kind !== 'outcome') return 'unknown';
		if (answer.outcome === 'not_cancellable') return 'notCancellable';
		if (answer.outcome !== 'cancelled') return 'unknown';
		this.alive.delete(requestId);
		onCancelled(purchase.itemIndex);
		return 'cancelled';
	}
}
