import type { ModelPrice } from '../api/models';
import { RunComfyError, type Problem } from '../api/problems';
import { dollars, TOLERANCE_USD } from '../common/money';

/**
 * The guard for the purse: keeps one run of the node within the option “Spending Limit (USD)”. It counts in advance what
 * a request will cost, and afterwards what it really did.
 *
 * Where the price is not known for each request, one item goes first, alone; its real cost is then taken for the price.
 */

/** The unit in which one request is one piece; what other units come to is known only afterwards. */
const PER_REQUEST = 'request';
/** Units of which a request makes one at least. */
const AT_LEAST_ONE = new Set([PER_REQUEST, 'image', 'output']);

/** A request that an item wants to buy. */
export interface PlannedPurchase {
	modelId: string;
	/** Whether its end is waited for, with which its cost comes. */
	waits: boolean;
}

interface Tariff {
	/** What one more request is expected to cost; undefined until that is known. */
	usd: number | undefined;
	/** The item that goes first to find out. */
	scout?: number;
	/** So many have gone first and ended without a result, and so without a cost. */
	failedScouts: number;
	/** Its cost will not be known: no more are started. */
	isBlind?: true;
}

interface Reservation {
	modelId: string;
	usd: number;
}

/** Each of them may cost an unknown sum. */
const MAX_FAILED_SCOUTS = 3;

export class Purse {
	private readonly tariffs = new Map<string, Tariff>();
	private readonly reservations = new Map<number, Reservation>();
	private readonly waiting = new Set<() => void>();
	/** Requests whose cost was never reported: what was counted for them instead. */
	private readonly unreported = new Map<number, number>();
	private spentUsd = 0;
	private requests = 0;

	constructor(
		readonly limitUsd: number,
		private readonly prices: ReadonlyMap<string, ModelPrice>,
	) {
		for (const [modelId, { usd, unit }] of prices) {
			this.tariffs.set(modelId, { usd: unit === PER_REQUEST ? usd : undefined, failedScouts: 0 });
		}
	}

	/** Sentences for the user about models whose requests have no price beforehand; empty when all have one. */
	get warnings(): string[] {
		return [...this.prices]
			.filter(([modelId]) => this.tariffs.get(modelId)?.usd === undefined)
			.map(([modelId, { usd, unit }]) => {
				const why =
					usd === undefined || unit === undefined
						? 'RunComfy names no price for it'
						: `it costs ${dollars(usd)} for each ${unit}, not for each request`;
				return (
					`The Spending Limit of ${dollars(this.limitUsd)} cannot be kept beforehand for “${modelId}”, because ${why}. ` +
					'Instead, one item goes first, its real cost counts as the price of the next, and no item is started that would exceed the limit by that. The first item can exceed it.'
				);
			});
	}

	/**
	 * Checks a whole run at once.
	 * @param mayRunInPart whether some items may be refused and the others go on.
	 * @returns what is wrong, or undefined when the limit may pay for what is to be bought.
	 */
	findFault(purchases: PlannedPurchase[], mayRunInPart: boolean): Problem | undefined {
		const blind = purchases.find(
			({ modelId, waits }) => !waits && this.tariffs.get(modelId)?.usd === undefined,
		);
		if (blind !== undefined) {
			return {
				kind: 'refused',
				message: `Nothing was submitted: the Spending Limit of ${dollars(this.limitUsd)} cannot be kept for “${blind.modelId}” without waiting`,
				advice:
					'What a request of this model costs is known only when it is finished. Switch on “Wait for Completion”, or remove “Spending Limit (USD)”.',
			};
		}
		return mayRunInPart ? undefined : this.findExcess(purchases);
	}

	private findExcess(purchases: PlannedPurchase[]): Problem | undefined {
		let sum = 0;
		let affordable = 0;
		let isExact = true;
		for (const { modelId } of purchases) {
			const { usd = 0, unit = '' } = this.prices.get(modelId) ?? {};
			isExact &&= unit === PER_REQUEST;
			if (AT_LEAST_ONE.has(unit)) sum += usd;
			if (sum <= this.limitUsd + TOLERANCE_USD) affordable++;
		}
		if (sum <= this.limitUsd + TOLERANCE_USD) return undefined;
		const items = `${purchases.length} ${purchases.length === 1 ? 'item costs' : 'items cost'}`;
		return {
			kind: 'refused',
			message: `Nothing was submitted: ${items} ${isExact ? 'about' : 'at least'} ${dollars(sum)}, more than the Spending Limit of ${dollars(this.limitUsd)}`,
			advice: `The limit pays for ${isExact ? '' : 'at most '}${affordable} of them. Raise “Spending Limit (USD)”, or send fewer items. To run as many as the limit pays for, set “On Error” of this node to “Continue”.`,
		};
	}

	/**
	 * Puts the money for one request aside before it is submitted; waits while another item finds out what one costs.
	 * @param signal ends the waiting; the money is then not put aside.
	 * @throws RunComfyError when the limit does not pay for it.
	 */
	async reserve(itemIndex: number, modelId: string, signal: AbortSignal): Promise<void> {
		const tariff = this.tariffs.get(modelId) ?? { usd: undefined, failedScouts: 0 };
		this.tariffs.set(modelId, tariff);
		while (tariff.usd === undefined && tariff.scout !== undefined && !signal.aborted)
			await this.change(signal);
		if (signal.aborted) return;
		const left = this.limitUsd - this.spentUsd - this.reservedUsd;
		const usd = tariff.usd ?? 0;
		const isEmpty = tariff.usd === undefined ? left <= TOLERANCE_USD : usd > left + TOLERANCE_USD;
		if (isEmpty || tariff.isBlind === true) throw new RunComfyError(this.exhausted(tariff));
		if (tariff.usd === undefined) tariff.scout = itemIndex;
		this.reservations.set(itemIndex, { modelId, usd });
	}

	/** A request that an earlier try has bought: it is paid for, whatever the limit says. */
	adopt(itemIndex: number, modelId: string): void {
		this.reservations.set(itemIndex, { modelId, usd: this.tariffs.get(modelId)?.usd ?? 0 });
	}

	/** Certainly not bought. */
	release(itemIndex: number): void {
		const reservation = this.reservations.get(itemIndex);
		if (reservation === undefined) return;
		this.reservations.delete(itemIndex);
		const tariff = this.tariffs.get(reservation.modelId);
		if (tariff?.scout === itemIndex) delete tariff.scout;
		this.tell();
	}

	/**
	 * The request is over, or no longer waited for.
	 * @param costUsd as RunComfy reports it; undefined when it does not, and then the price counts. Whether failed requests
	 * are charged is not documented: they count.
	 * @param isFinished whether it has a result: one without may cost less than the next.
	 */
	settle(itemIndex: number, costUsd: number | undefined, isFinished: boolean): void {
		const reservation = this.reservations.get(itemIndex);
		if (reservation === undefined) return;
		this.reservations.delete(itemIndex);
		this.requests++;
		this.spentUsd += costUsd ?? reservation.usd;
		if (costUsd === undefined) this.unreported.set(itemIndex, reservation.usd);
		const tariff = this.tariffs.get(reservation.modelId);
		if (tariff !== undefined) this.learn(tariff, itemIndex, costUsd, isFinished);
		this.tell();
	}

	private learn(tariff: Tariff, itemIndex: number, costUsd: number | undefined, isFinished: boolean): void {
		if (costUsd !== undefined && (isFinished || costUsd > 0)) tariff.usd = Math.max(costUsd, tariff.usd ?? 0);
		if (tariff.scout !== itemIndex) return;
		delete tariff.scout;
		if (tariff.usd !== undefined) return;
		// One that failed leaves it to the next to find out; one that finished without a cost says that none is to be had.
		if (isFinished || ++tariff.failedScouts >= MAX_FAILED_SCOUTS) tariff.isBlind = true;
	}

	/** RunComfy has cancelled the item's request while it was queued: it costs nothing. [assumed] */
	refund(itemIndex: number): void {
		const counted = this.unreported.get(itemIndex);
		if (counted !== undefined) {
			this.unreported.delete(itemIndex);
			this.spentUsd -= counted;
			this.requests--;
		}
		this.release(itemIndex);
	}

	/** One sentence on what has been spent, for the log, a hint or an error. */
	report(): string {
		const requests = `${this.requests} ${this.requests === 1 ? 'request' : 'requests'}`;
		const unreported =
			this.unreported.size === 0
				? ''
				: ` (RunComfy did not report the cost of ${this.unreported.size}; its price was counted)`;
		return `Spent ${dollars(this.spentUsd)} on ${requests}${unreported}, of a Spending Limit of ${dollars(this.limitUsd)}.`;
	}

	private get reservedUsd(): number {
		return [...this.reservations.values()].reduce((sum, { usd }) => sum + usd, 0);
	}

	private exhausted({ usd, isBlind }: Tariff): Problem {
		const next =
			isBlind === true
				? 'RunComfy has not reported what a request of this model costs, so the cost of another cannot be foreseen.'
				: `One more costs about ${usd === undefined ? 'an unknown sum' : dollars(usd)}.`;
		const underWay = this.reservations.size === 0 ? '' : ` ${this.reservations.size} more are under way.`;
		return {
			kind: 'refused',
			message: `Nothing was submitted for this item: the Spending Limit of ${dollars(this.limitUsd)} does not pay for it`,
			advice: `${this.report()}${underWay} ${next} Raise “Spending Limit (USD)”, or run this item later.`,
		};
	}

	private async change(signal: AbortSignal): Promise<void> {
		await new Promise<void>((resolve) => {
			const done = () => {
				this.waiting.delete(done);
				signal.removeEventListener('abort', done);
				resolve();
			};
			this.waiting.add(done);
			signal.addEventListener('abort', done);
		});
	}

	private tell(): void {
		for (const wake of [...this.waiting]) wake();
	}
}
