import { RunComfyError, type Problem } from '../api/problems';
import { toError } from '../util/errors';
import type { Signal } from '../util/time';
import { dollars, TOLERANCE_USD } from '../util/values';
import { isAlive, isFree, type CostRecord, type LedgerEntry } from './entry';
import type { Ledger } from './ledger';
import type { Turn } from './turn';
import type { JobRequest, ListedPrice } from './types';

/**
 * Keeps an execution within the option “Spending Limit (USD)”. It stores nothing itself: what was spent and what is
 * still running is read from the ledger, so that retries, loop turns, and parallel tool calls count together.
 *
 * The rule: an execution exceeds its limit by the cost of one request at most.
 * - What a request will cost is known from a price per request, or from the user's “Expected Cost (USD)”. As many such
 *   requests run side by side as the limit pays for. It is kept as long as that cost is true: from one that RunComfy
 *   reports beyond it on, all requests of the endpoint may cost as much.
 * - All other requests run one after another, and only while something is left of the limit. What another request has cost
 *   is no price.
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
	/** What the user expects it to cost, in USD. */
	expectedUsd?: number | undefined;
}

type Priced = Pick<PlannedRequest, 'endpointId' | 'expectedUsd'>;

export function plannedOf({ endpoint, handling, expectedUsd }: JobRequest): PlannedRequest {
	return { endpointId: endpoint.id, waits: handling.waits, expectedUsd };
}

export class Budget {
	private readonly prices = new Map<string, ListedPrice>();

	constructor(
		readonly limitUsd: number,
		private readonly ledger: Ledger,
	) {}

	/**
	 * Reads what RunComfy lists as the price of what an item wants to submit.
	 * @throws what `getPrice` throws, unless the user says what to expect.
	 */
	async readPrice({ endpoint, expectedUsd, getPrice }: JobRequest): Promise<void> {
		try {
			this.prices.set(endpoint.id, await getPrice());
		} catch (error) {
			if (expectedUsd === undefined) throw toError(error);
		}
	}

	/** Sentences for the user about the endpoints whose requests have no known cost. */
	warningsOf(planned: PlannedRequest[]): string[] {
		const unknown = planned.filter((request) => this.expectedUsd(request) === undefined);
		return [...new Set(unknown.map(({ endpointId }) => endpointId))].map(
			(endpointId) =>
				`What a request to “${endpointId}” will cost is not known (${listing(this.prices.get(endpointId))}). So its items run one after another, and the last one may exceed the Spending Limit of ${dollars(this.limitUsd)}. To run them side by side, add the option “Expected Cost (USD)”.`,
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

	private findUnknownWithoutWait(request: PlannedRequest): Problem | undefined {
		if (request.waits || this.expectedUsd(request) !== undefined) return undefined;
		return {
			message: `Nothing was submitted: the Spending Limit of ${dollars(this.limitUsd)} cannot be kept for “${request.endpointId}” without waiting`,
			advice:
				'What a request costs is known only when it is finished. Add the option “Expected Cost (USD)”, switch on “Wait for Completion”, or remove “Spending Limit (USD)”.',
		};
	}

	private findExcess(planned: PlannedRequest[]): Problem | undefined {
		const left = this.leftUsd + TOLERANCE_USD;
		let sum = 0;
		let affordable = 0;
		let isExact = true;
		for (const request of planned) {
			const known = this.expectedUsd(request);
			isExact &&= known !== undefined;
			sum += known ?? this.leastUsd(request);
			if (sum <= left) affordable++;
		}
		// The limit may be exceeded already, by requests that cost more than expected: then nothing planned is no excess.
		if (planned.length === 0 || sum <= left) return undefined;
		const items = `${planned.length} ${planned.length === 1 ? 'item costs' : 'items cost'}`;
		const isFirst = this.requests.length === 0;
		const report = isFirst ? '' : ` ${this.report()}`;
		const paysFor = `${isExact ? '' : 'at most '}${affordable} of them`;
		return {
			message: `Nothing was submitted: ${items} ${isExact ? 'about' : 'at least'} ${dollars(sum)}, more than ${isFirst ? '' : 'what is left of '}the Spending Limit of ${dollars(this.limitUsd)}`,
			advice:
				affordable === 0
					? `The limit does not pay for one item.${report} Raise “Spending Limit (USD)”.`
					: `The limit pays for ${paysFor}.${report} Raise “Spending Limit (USD)”, or send fewer items. To run as many as the limit pays for, set “On Error” of this node to “Continue”.`,
		};
	}

	/**
	 * Sets the expected cost of one request aside, as an entry of the ledger. Waits while the limit does not allow it, but may
	 * once another item's request has ended: it may cost nothing, or less than expected, or at least become known.
	 * @param signal ends the wait.
	 * @returns undefined when the wait was ended.
	 * @throws RunComfyError when the limit does not allow it.
	 */
	async reserve(
		turn: Turn,
		itemIndex: number,
		planned: PlannedRequest,
		signal: Signal,
	): Promise<LedgerEntry | undefined> {
		while (!signal.aborted) {
			const problem = this.findUnknownWithoutWait(planned);
			if (problem !== undefined) throw new RunComfyError(problem);
			const usd = this.expectedUsd(planned);
			const pays = this.paysFor(usd, usd ?? 0);
			const unknown = usd === undefined ? this.requests.filter((one) => this.costOf(one) === undefined) : [];
			if (pays && unknown.length === 0) return turn.reserve(itemIndex, planned.endpointId, usd);
			const mayChange = this.ledger.entries.some(
				(entry) => (!pays || unknown.includes(entry)) && this.ledger.isWaitedFor(entry) && !isFinal(entry),
			);
			if (!mayChange) throw new RunComfyError(pays ? this.costUnknown(unknown) : this.notPaidFor(usd));
			await this.ledger.waitForChange(signal);
		}
		return undefined;
	}

	/**
	 * Whether the limit still pays for a reserved request, right before it is sent: a pause after “too many requests” may have
	 * been long, a cost reported meanwhile may have raised the expected cost of all requests, and what is left may have been
	 * set aside for others.
	 */
	stillPaysFor(entry: LedgerEntry): boolean {
		return this.paysFor(this.costOf(entry), 0);
	}

	/** @param more what is still to be set aside, in USD. */
	private paysFor(usd: number | undefined, more: number): boolean {
		return usd === undefined ? this.leftUsd > TOLERANCE_USD : more <= this.leftUsd + TOLERANCE_USD;
	}

	private notPaidFor(usd: number | undefined): Problem {
		return {
			message: `Nothing was submitted for this item: the Spending Limit of ${dollars(this.limitUsd)} does not pay for it`,
			advice: `One more costs ${usd === undefined ? 'an unknown amount' : `about ${dollars(usd)}`}. Raise “Spending Limit (USD)”, or run this item later.`,
		};
	}

	/** What has been spent in one or two sentences, for the log, a hint, or an error. */
	report(): string {
		const { requests } = this;
		const ended = requests.filter((one) => isFinal(one) && reportedOf(one) === undefined);
		const unknown = ended.filter((one) => this.costOf(one) === undefined).length;
		const counted = ended.length - unknown;
		const notes = [
			...(counted === 0
				? []
				: [`RunComfy did not report the cost of ${counted}; the expected cost was counted`]),
			...(unknown === 0 ? [] : [`the cost of ${unknown} is not known`]),
		];
		const alive = requests.filter(isAlive).length;
		const running = alive === 0 ? '' : ` ${alive} of them ${alive === 1 ? 'is' : 'are'} still running.`;
		return `Spent ${dollars(this.spentUsd)} on ${requests.length} ${requests.length === 1 ? 'request' : 'requests'}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}, of a Spending Limit of ${dollars(this.limitUsd)}.${running}${this.surprise()}`;
	}

	/** By how much the expected cost was wrong. */
	private surprise(): string {
		let worst = { costUsd: 0, expectedUsd: 0 };
		for (const { costUsd = 0, expectedUsd = Infinity } of this.requests)
			if (costUsd - expectedUsd > Math.max(TOLERANCE_USD, worst.costUsd - worst.expectedUsd))
				worst = { costUsd, expectedUsd };
		if (worst.costUsd === 0) return '';
		return ` A request cost ${dollars(worst.costUsd)} instead of the expected ${dollars(worst.expectedUsd)}.`;
	}

	/**
	 * What a request is expected to cost, in USD, and never less than when it was reserved; undefined where that is not
	 * known. It may cost as much as another one of the same endpoint has that cost more than expected.
	 */
	private expectedUsd({ endpointId, expectedUsd }: Priced): number | undefined {
		const { usd = 0, unit } = this.prices.get(endpointId) ?? {};
		// A price of 0 says nothing: nothing that RunComfy hosts is known to be free [assumed].
		const known = maxOf(expectedUsd, unit === PER_REQUEST && usd > 0 ? usd : undefined);
		return known === undefined ? undefined : maxOf(known, this.ledger.highestSurpriseUsd(endpointId));
	}

	/** The least that a request costs [assumed: it makes at least one image or output]. */
	private leastUsd({ endpointId }: PlannedRequest): number {
		const { usd = 0, unit = '' } = this.prices.get(endpointId) ?? {};
		return AT_LEAST_ONE.has(unit) ? usd : 0;
	}

	/** What a request has cost or is expected to cost; undefined if unknown. */
	private costOf(one: CostRecord): number | undefined {
		return reportedOf(one) ?? this.expectedUsd(one);
	}

	/** Requests that cost money, or may. */
	private get requests(): CostRecord[] {
		return this.ledger.costs.filter((one) => !isFree(one));
	}

	/** Spent, or set aside for what is under way and for what may exist. */
	private get spentUsd(): number {
		return this.requests.reduce((sum, one) => sum + (this.costOf(one) ?? 0), 0);
	}

	private get leftUsd(): number {
		return this.limitUsd - this.spentUsd;
	}

	private costUnknown(unknown: CostRecord[]): Problem {
		const ids = this.ledger.entries.flatMap((entry) =>
			unknown.includes(entry) ? (entry.requestId ?? []) : [],
		);
		const which = ids.length === 0 ? '' : ` (${ids.join(', ')})`;
		return {
			message: `Nothing was submitted for this item: the Spending Limit of ${dollars(this.limitUsd)} cannot be kept, because the cost of an earlier request is not known${which}`,
			advice:
				'The limit allows only one request of unknown cost at a time. Add the option “Expected Cost (USD)”, run this item later, or remove “Spending Limit (USD)”.',
		};
	}
}

/** The cost that RunComfy has reported. One of 0 for a finished request says no more than a listed price of 0. */
function reportedOf({ costUsd, state }: CostRecord): number | undefined {
	return costUsd === 0 && state === 'finished' ? undefined : costUsd;
}

/** True when neither the state nor the cost will change any more. */
function isFinal({ state, isCostPending }: CostRecord): boolean {
	const isOver = state !== 'reserved' && state !== 'submitting' && !isAlive({ state });
	return isOver && isCostPending !== true;
}

function listing({ usd = 0, unit }: ListedPrice = {}): string {
	if (usd === 0 || unit === undefined) return 'RunComfy lists no price for it';
	return `RunComfy lists ${dollars(usd)} per ${unit}`;
}

function maxOf(a: number | undefined, b: number | undefined): number | undefined {
	return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}
