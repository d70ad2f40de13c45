import { digest } from '../common/digest';
import { dollars } from '../common/money';
import type { Clock } from '../common/clock';
import type { Signal } from '../common/signal';
import { toError } from '../common/toError';
import type { AcceptedFacts, LedgerEntry, LedgerTurn } from './ledger';
import type { RequestStore } from './requestStore';

/** Reuses what earlier executions have submitted: the option “Reuse Results (Hours)” in one run of the node. */

/** Of 64: as good as unique, and short. */
const FINGERPRINT_LENGTH = 32;

const MAX_CLOCK_SKEW_MS = 5_000;

interface ReuseDependencies {
	store: RequestStore;
	clock: Clock;
	/** The account: requests of another one are other requests. */
	account: string;
	executionId: string;
	maxAgeMs: number;
}

/** An item's request, as far as it matters whether it is the same as an earlier one. */
export interface ReusableRequest {
	endpointId: string;
	/** A hash of what is submitted: the same for the same request, random seeds apart. */
	identify(): Promise<string>;
}

export class Reuse {
	private readonly requests = new Map<number, { endpointId: string; fingerprint: string }>();
	private readonly problems = new Map<number, Error>();

	readonly store: RequestStore;

	constructor(private readonly dependencies: ReuseDependencies) {
		const { store, clock, maxAgeMs } = dependencies;
		this.store = store;
		store.forget(maxAgeMs, clock.timeOfDay());
	}

	/**
	 * Gives each item, in order, a request of an earlier execution, if there is one and no earlier try has submitted
	 * anything for the item. Whether it still has a result is found out when the item's turn comes.
	 * @param items by item index.
	 */
	async assignAll(
		turn: LedgerTurn,
		items: ReadonlyMap<number, ReusableRequest>,
		stopSignal: Signal | undefined,
	): Promise<void> {
		// n8n's “Retry execution” is another execution with the requests of the first one.
		const executions = turn.ledger.addExecution(this.dependencies.executionId);
		const known = new Set(turn.ledger.entries.flatMap(({ requestId }) => requestId ?? []));
		const unresumed = new Set(turn.unresumedIds);
		this.store.withhold(
			({ requestId, executionId }) =>
				!unresumed.has(requestId) && (known.has(requestId) || executions.has(executionId)),
		);
		for (const [itemIndex, { endpointId, identify }] of items) {
			if (stopSignal?.aborted === true) return;
			let fingerprint: string;
			try {
				const hash = await digest(`${this.dependencies.account} ${await identify()}`);
				fingerprint = hash.slice(0, FINGERPRINT_LENGTH);
			} catch (error) {
				this.problems.set(itemIndex, toError(error));
				continue;
			}
			this.requests.set(itemIndex, { endpointId, fingerprint });
			if (turn.find(itemIndex) === undefined) this.assign(turn, itemIndex);
		}
	}

	/** Why it is not known what an item submits, such as a file that could not be read: then it may be paid for already. */
	problemOf(itemIndex: number): Error | undefined {
		return this.problems.get(itemIndex);
	}

	/** Gives the item the next request of an earlier execution; undefined when there is none left. */
	assign(turn: LedgerTurn, itemIndex: number): LedgerEntry | undefined {
		const { clock, executionId } = this.dependencies;
		const request = this.requests.get(itemIndex);
		if (request === undefined) return undefined;
		const found = this.store.take(request.fingerprint, executionId);
		if (found === undefined) return undefined;
		const ageMs = clock.timeOfDay() - found.submittedAt;
		// A time in the future, beyond what clocks of several machines differ, says nothing about the age.
		const submittedAt = ageMs < -MAX_CLOCK_SKEW_MS ? undefined : clock.now() - Math.max(0, ageMs);
		const { requestId, seeds } = found;
		return turn.trackExisting(itemIndex, request.endpointId, {
			requestId,
			seeds,
			submittedAt,
		});
	}

	/** RunComfy has accepted an item's request: later executions may use it. */
	accepted(itemIndex: number, { requestId, seeds = {} }: Pick<AcceptedFacts, 'requestId' | 'seeds'>): void {
		const { clock, executionId } = this.dependencies;
		const request = this.requests.get(itemIndex);
		if (request === undefined) return;
		const { fingerprint } = request;
		this.store.add({ fingerprint, requestId, submittedAt: clock.timeOfDay(), executionId, seeds });
	}

	/** A request of an earlier execution has no result. */
	remove(requestId: string): void {
		this.store.remove(requestId);
	}
}

/** A sentence on what a run has reused, for the log and a hint; undefined when it reused nothing. */
export function reportReuse(turn: LedgerTurn): string | undefined {
	const reused = turn.reused;
	if (reused.length === 0) return undefined;
	const costs = reused.flatMap(({ costUsd }) => costUsd ?? []);
	const sum = costs.reduce((a, b) => a + b, 0);
	const saved = costs.length < reused.length ? `at least ${dollars(sum)}` : dollars(sum);
	const items = reused.length === 1 ? '1 item reused a request' : `${reused.length} items reused requests`;
	return `${items} from an earlier execution (Reuse Results): nothing was submitted for ${reused.length === 1 ? 'it' : 'them'}.${sum === 0 ? '' : ` That saved ${saved}.`}`;
}
