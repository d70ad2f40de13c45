import { type Problem, RunComfyError } from '../api/problems';
import { toError } from '../util/errors';
import type { Signal } from '../util/time';
import { dollars, TOLERANCE_USD } from '../util/values';
import { isAlive, isFree, type CostRecord, type LedgerEntry } from './entry';
import type { Ledger } from './ledger';
import type { Turn } from './turn';
import type { ListedPrice } from './types';

/**
 * Keeps an execution within the option “Spending Limit (USD)”. It stores nothing itself: what was spent and what is
 * still running is read from the ledger, so that retries, loop turns, and parallel tool calls count together.
 *
 * What a request is expected to cost is its listed price, if that is a price per request, or the highest cost that
 * RunComfy has reported for the endpoint, whichever is higher. While neither is known, one such request runs at a time; its
 * real cost then counts as the price of the next.
 */

/** The unit of a price for each request. The total of any other unit is known only after the request. */
const PER_REQUEST = 'request';
/** Units of which a request makes one at least. */
const AT_LEAST_ONE = new Set([PER_REQUEST, 'image', 'output']);

/** A request that an item wants to submit. */
export interface PlannedRequest {
	endpointId: string;
	/** Whether its end is waited for, with which its cost comes. */
	waits: boolean;
}

export class Budget {
	private readonly prices = new Map<string, ListedPrice>();

	constructor(
		readonly limitUsd: number,
		private readonly ledger: Ledger,
	) {}

	/**
	 * Reads what RunComfy lists as the price of an endpoint.
	 * @throws what `read` throws, unless RunComfy has reported a cost of the endpoint, which will do.
	 */
	async readPrice(endpointId: string, read: () => Promise<ListedPrice>): Promise<void> {
		try {
			this.prices.set(endpointId, await read());
		} catch (error) {
			if (this.ledger.highestCostUsd(endpointId) === undefined) throw toError(error);
		}
	}

	/** Sentences for the user about endpoints whose requests have no known price; empty when all have one. */
	get warnings(): string[] {
		return [...this.prices]
			.filter(([endpointId]) => this.expectedUsd(endpointId) === undefined)
			.map(
				([endpointId, price]) =>
					`The Spending Limit of ${dollars(this.limitUsd)} cannot be checked in advance for “${endpointId}”, because ${whyUnknown(price)}. ` +
					'Instead, one item runs first, its real cost counts as the price of the next, and no item is started that would exceed the limit at that price. The first item can exceed it.',
			);
	}

	/**
	 * Checks a whole run before anything is submitted.
	 * @param mayRunInPart whether some items may be refused while the others go on.
	 * @returns what is wrong, or undefined when the limit may pay for what is planned.
	 */
	findProblem(planned: PlannedRequest[], mayRunInPart: boolean): Problem | undefined {
		for (const request of planned) {
			const problem = this.findUnknownWithoutWait(request);
			if (problem !== undefined) return problem;
		}
		return mayRunInPart ? undefined : this.findExcess(planned);
	}

	private findUnknownWithoutWait({ endpointId, waits }: PlannedRequest): Problem | undefined {
		if (waits || this.expectedUsd(endpointId) !== undefined) return undefined;
		return {
			message: `Nothing was submitted: the Spending Limit of ${dollars(this.limitUsd)} cannot be kept for “${endpointId}” without waiting`,
			advice:
				'What a request costs is known only when it is finished. Switch on “Wait for Completion”, or remove “Spending Limit (USD)”.',
		};
	}

	private findExcess(planned: PlannedRequest[]): Problem | undefined {
		const left = this.leftUsd + TOLERANCE_USD;
		let sum = 0;
		let affordable = 0;
		let isExact = true;
		for (const { endpointId } of planned) {
			const known = this.expectedUsd(endpointId);
			isExact &&= known !== undefined;
			sum += known ?? this.leastUsd(endpointId);
			if (sum <= left) affordable++;
		}
		// The limit may be exceeded already, by requests that cost more than expected: then nothing planned is no excess.
		if (planned.length === 0 || sum <= left) return undefined;
		const items = `${planned.length} ${planned.length === 1 ? 'item costs' : 'items cost'}`;
		const earlier = this.requests === 0 ? '' : ` ${this.report()}`;
		return {
			message: `Nothing was submitted: ${items} ${isExact ? 'about' : 'at least'} ${dollars(sum)}, more than ${this.requests === 0 ? '' : 'what is left of '}the Spending Limit of ${dollars(this.limitUsd)}`,
			advice: `The limit pays for ${isExact ? '' : 'at most '}${affordable} of them.${earlier} Raise “Spending Limit (USD)”, or send fewer items. To run as many as the limit pays for, set “On Error” of this node to “Continue”.`,
		};
	}

	/**
	 * Sets the expected cost of one request aside, as an entry of the ledger; waits while the first request of unknown
	 * price runs.
	 * @param signal ends the wait.
	 * @returns undefined when the wait was ended.
	 * @throws RunComfyError when the limit does not pay for it.
	 */
	async reserve(
		turn: Turn,
		itemIndex: number,
		planned: PlannedRequest,
		signal: Signal,
	): Promise<LedgerEntry | undefined> {
		const { endpointId } = planned;
		while (!signal.aborted) {
			const problem = this.findUnknownWithoutWait(planned);
			if (problem !== undefined) throw new RunComfyError(problem);
			const usd = this.expectedUsd(endpointId);
			const left = this.leftUsd;
			if (usd === undefined ? left <= TOLERANCE_USD : usd > left + TOLERANCE_USD) {
				throw new RunComfyError(this.exceeded(usd));
			}
			const unknown = usd === undefined ? this.unknownCosts : [];
			const isWaitedFor = this.ledger.entries.some(
				(entry) => unknown.includes(entry) && this.ledger.isWaitedFor(entry) && !isFinal(entry),
			);
			if (unknown.length === 0) {
				return turn.reserve(itemIndex, endpointId, usd);
			}
			if (!isWaitedFor) throw new RunComfyError(this.costUnknown(unknown));
			await this.ledger.waitForChange(signal);
		}
		return undefined;
	}

	/**
	 * Checks a reserved request once more, right before it is sent: a pause after “too many requests” may have been long,
	 * and a cost reported meanwhile may have raised the expected cost of all requests.
	 * @throws RunComfyError when the limit no longer pays for it.
	 */
	recheck({ endpointId }: LedgerEntry): void {
		if (this.leftUsd < -TOLERANCE_USD) throw new RunComfyError(this.exceeded(this.expectedUsd(endpointId)));
	}

	/** One sentence on what has been spent, for the log, a hint, or an error. */
	report(): string {
		const { requests, unreported } = this;
		const without =
			unreported === 0
				? ''
				: ` (RunComfy did not report the cost of ${unreported}; the expected cost was counted)`;
		const alive = this.ledger.costs.filter((entry) => isAlive(entry) && !isFree(entry)).length;
		const running = alive === 0 ? '' : ` ${alive} of them ${alive === 1 ? 'is' : 'are'} still running.`;
		return `Spent ${dollars(this.spentUsd)} on ${requests} ${requests === 1 ? 'request' : 'requests'}${without}, of a Spending Limit of ${dollars(this.limitUsd)}.${running}`;
	}

	/** What one more request of the endpoint is expected to cost, in USD; undefined while that is unknown. */
	private expectedUsd(endpointId: string): number | undefined {
		const { usd, unit } = this.prices.get(endpointId) ?? {};
		// A price of 0 says nothing: nothing that RunComfy hosts is known to be free [assumed].
		const listed = unit === PER_REQUEST && usd !== undefined && usd > 0 ? usd : undefined;
		const reported = this.ledger.highestCostUsd(endpointId);
		return listed === undefined || reported === undefined ? (listed ?? reported) : Math.max(listed, reported);
	}

	/** What a request under way is expected to cost: never less than when it was reserved. */
	private expectedOf({ endpointId, expectedUsd }: CostRecord): number | undefined {
		const now = this.expectedUsd(endpointId);
		return now === undefined || expectedUsd === undefined ? (now ?? expectedUsd) : Math.max(now, expectedUsd);
	}

	/** The least that a request costs [assumed: it makes at least one image or output]. */
	private leastUsd(endpointId: string): number {
		const { usd = 0, unit = '' } = this.prices.get(endpointId) ?? {};
		return AT_LEAST_ONE.has(unit) ? usd : 0;
	}

	/** Spent, or set aside for what is under way and for what may exist. */
	private get spentUsd(): number {
		let sum = 0;
		for (const entry of this.ledger.costs) {
			if (!isFree(entry)) sum += entry.costUsd ?? this.expectedOf(entry) ?? 0;
		}
		return sum;
	}

	private get leftUsd(): number {
		return this.limitUsd - this.spentUsd;
	}

	private get requests(): number {
		return this.ledger.costs.filter((entry) => !isFree(entry)).length;
	}

	/** Ended, as far as is known, without a reported cost. */
	private get unreported(): number {
		return this.ledger.costs.filter(
			(entry) => isFinal(entry) && !isFree(entry) && entry.costUsd === undefined,
		).length;
	}

	/** Requests that may cost money, with neither a reported nor an expected cost. */
	private get unknownCosts(): CostRecord[] {
		return this.ledger.costs.filter(
			(entry) => !isFree(entry) && entry.costUsd === undefined && this.expectedOf(entry) === undefined,
		);
	}

	private exceeded(usd: number | undefined): Problem {
		const next = `One more costs ${usd === undefined ? 'an unknown amount' : `about ${dollars(usd)}`}.`;
		return {
			message: `Nothing was submitted for this item: the Spending Limit of ${dollars(this.limitUsd)} does not pay for it`,
			advice: `${this.report()} ${next} Raise “Spending Limit (USD)”, or run this item later.`,
		};
	}

	private costUnknown(unknown: CostRecord[]): Problem {
		const ids = this.ledger.entries.flatMap((entry) =>
			unknown.includes(entry) ? (entry.requestId ?? []) : [],
		);
		const which = ids.length === 0 ? '' : ` (${ids.join(', ')})`;
		return {
			message: `Nothing was submitted for this item: the Spending Limit of ${dollars(this.limitUsd)} cannot be kept, because the cost of an earlier request is not known${which}`,
			advice: `${this.report()} RunComfy lists no price for each request of this model, so the limit allows only one request of unknown cost. Run this item later, or remove “Spending Limit (USD)”.`,
		};
	}
}

/** True when neither the state nor the cost will change any more. */
function isFinal({ state, isCostPending }: CostRecord): boolean {
	if (isCostPending === true) return false;
	return state === 'finished' || state === 'failed' || state === 'cancelled' || state === 'outcomeUnknown';
}

function whyUnknown({ usd, unit }: ListedPrice): string {
	if (usd === undefined || usd === 0 || unit === undefined) return 'RunComfy lists no price for it';
	return `it costs ${dollars(usd)} for each ${unit}, not for each request`;
}
