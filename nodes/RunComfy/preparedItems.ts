import type { ListedPrice } from './jobs/budget';
import type { Ledger, LedgerTurn, RequestIdentity } from './jobs/ledger';
import { createIdentities } from './n8n/identity';
import type { ItemWork, Operation, OperationTools, PlannedSubmit } from './operations/shared/operation';
import { StoppedError, toError } from './util/errors';

/** The items of a run, after their fields have been read: the work of each, or why it cannot submit. */
export class PreparedItems {
	private constructor(
		private readonly operation: Operation,
		private readonly tools: OperationTools,
		private readonly works: Array<ItemWork | Error>,
	) {}

	/**
	 * Reads the fields of all items. It may make free queries, and submits nothing.
	 * @param problem of the whole run: then no item can submit.
	 * @throws StoppedError.
	 */
	static async read(
		operation: Operation,
		tools: OperationTools,
		count: number,
		problem: Error | undefined,
	): Promise<PreparedItems> {
		const works: Array<ItemWork | Error> = [];
		for (let itemIndex = 0; itemIndex < count; itemIndex++) {
			works.push(problem ?? (await valueOrError(async () => await operation.prepare(tools, itemIndex))));
		}
		return new PreparedItems(operation, tools, works);
	}

	/** Of the items that submit something, by item index. A retry recognizes its items by them. */
	async identities(runIndex: number): Promise<Map<number, RequestIdentity>> {
		const identityOf = await createIdentities(this.tools.context, runIndex, this.operation.fields);
		const identities = new Map<number, RequestIdentity>();
		for (const [itemIndex, work] of this.works.entries()) {
			// An item whose fields are wrong in this try may still have a request from an earlier one.
			if (work instanceof Error || work.submits !== undefined)
				identities.set(itemIndex, await identityOf(itemIndex));
		}
		return identities;
	}

	/** What the items submit, by item index. Those that cannot submit now are left out. */
	get submits(): Map<number, PlannedSubmit> {
		const submits = new Map<number, PlannedSubmit>();
		for (const [itemIndex, work] of this.works.entries()) {
			if (work instanceof Error || work.submits === undefined) continue;
			submits.set(itemIndex, work.submits);
		}
		return submits;
	}

	/**
	 * The current prices of what the items submit. An item whose price cannot be read cannot submit.
	 * @throws StoppedError.
	 */
	async readPrices(ledger: Ledger): Promise<Map<string, ListedPrice>> {
		const prices = new Map<string, ListedPrice>();
		for (const [itemIndex, { endpointId, getPrice }] of this.submits) {
			const price = await valueOrError(getPrice);
			if (!(price instanceof Error)) prices.set(endpointId, price);
			// A cost that RunComfy has reported will do.
			else if (ledger.highestCostUsd(endpointId) === undefined) this.works[itemIndex] = price;
		}
		return prices;
	}

	/** The first item that cannot submit, and has no request that could be resumed, with what is wrong. */
	findBlocked(turn: LedgerTurn): [Error, number] | undefined {
		for (const [itemIndex, work] of this.works.entries()) {
			if (work instanceof Error && turn.find(itemIndex) === undefined) return [work, itemIndex];
		}
		return undefined;
	}

	/**
	 * The work of one item. One that cannot submit now is resumed if it has a request.
	 * @throws what is wrong with it.
	 */
	workOf(turn: LedgerTurn, itemIndex: number): ItemWork {
		const work = this.works[itemIndex];
		const known = turn.find(itemIndex);
		const { operation, tools } = this;
		if (work instanceof Error && known !== undefined && operation.resume !== undefined)
			return operation.resume(tools, itemIndex, known.endpointId, work);
		if (work === undefined || work instanceof Error) throw work;
		return work;
	}
}

/** Stop ends the run, whatever the node does on errors. */
async function valueOrError<T>(read: () => Promise<T>): Promise<T | Error> {
	try {
		return await read();
	} catch (error) {
		if (error instanceof StoppedError) throw toError(error);
		return toError(error);
	}
}
