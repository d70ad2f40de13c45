import { isJsonObject } from '../api/json';
import type { JobResult } from '../api/responses';

/**
 * What this node has already paid for, kept in n8n's node context, which survives Retry On Fail within an execution.
 *
 * The rules, all of them:
 * 1. An entry belongs to one item of one run: its index and the fingerprint of what was asked for. Another input at the
 *    same index is another purchase; the same input at another index too.
 * 2. An entry is written before the paid POST leaves (`submitting`), so that a try that dies in between leaves a trace.
 *    Only a clear refusal takes it away again. What is left as `submitting` counts as in doubt.
 * 3. In doubt is for good: the item fails again with the same advice and is not submitted by a retry.
 * 4. A submitted request is resumed, a finished one handed out again without a call.
 * 5. A request that RunComfy reports failed or cancelled is forgotten, so that a retry may submit anew.
 * 6. A run index that comes again is a retry (n8n repeats it for Retry On Fail and for “Retry execution”). A new run
 *    index is a new turn of a loop and starts empty, except that it takes over what runs left that ended with a thrown
 *    error: an AI agent's tool is retried under a new run index, and a loop never gets past a thrown error.
 * 7. A run that returned rows, error rows among them, leaves nothing to later runs.
 */
export type Entry =
	| { state: 'submitting'; fingerprint: string }
	| { state: 'inDoubt'; fingerprint: string; why: string }
	| { state: 'submitted'; fingerprint: string; requestId: string; seed?: number }
	| { state: 'finished'; fingerprint: string; requestId: string; seed?: number; result: JobResult };

interface RunRecord {
	/** Set while no one has told how the run ended, and when it ended with a thrown error. */
	ended?: 'thrown' | 'returned';
	items: Record<string, Entry>;
}

const MEMORY_NAME = 'runComfyPaid';

/** The ledger of one run of the node; changes go straight into n8n's context object. */
export class Ledger {
	private readonly record: RunRecord;

	/**
	 * @param context n8n's `getContext('node')`: one object for the node for as long as the execution lasts.
	 * @param runIndex how often the node has run before in this execution; the same for a retry.
	 */
	constructor(context: Record<string, unknown>, runIndex: number) {
		const runs = openMemory(context);
		const known = runs[runIndex];
		this.record = known ?? { items: {} };
		if (known === undefined) {
			for (const [index, run] of Object.entries(runs)) {
				if (run.ended === 'thrown') Object.assign(this.record.items, run.items);
				if (run.ended !== undefined) delete runs[index];
			}
			runs[runIndex] = this.record;
		}
		delete this.record.ended;
	}

	/** What is known of this purchase from an earlier try. */
	find(itemIndex: number, fingerprint: string): Entry | undefined {
		const entry = this.record.items[itemIndex];
		return entry?.fingerprint === fingerprint ? entry : undefined;
	}

	/** The id of a request that an earlier try bought at this index for another input, if it was not finished. */
	leftBehind(itemIndex: number, fingerprint: string): string | undefined {
		const entry = this.record.items[itemIndex];
		return entry !== undefined && entry.fingerprint !== fingerprint && entry.state === 'submitted'
			? entry.requestId
			: undefined;
	}

	write(itemIndex: number, entry: Entry): void {
		this.record.items[itemIndex] = entry;
	}

	forget(itemIndex: number): void {
		delete this.record.items[itemIndex];
	}

	/** Has to be called once, when the run ends; decides by rules 6 and 7 what later runs may see. */
	close(ended: 'thrown' | 'returned'): void {
		this.record.ended = ended;
	}
}

function openMemory(context: Record<string, unknown>): Record<string, RunRecord> {
	const found = context[MEMORY_NAME];
	// Our own writing, but possibly read back from n8n's database by another version of this node.
	if (
		isJsonObject(found) &&
		Object.values(found).every((run) => isJsonObject(run) && isJsonObject(run.items))
	) {
		return found as Record<string, RunRecord>;
	}
	const fresh: Record<string, RunRecord> = {};
	context[MEMORY_NAME] = fresh;
	return fresh;
}
