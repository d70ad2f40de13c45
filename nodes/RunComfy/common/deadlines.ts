import type { Clock } from './clock';

/** How late a deadline may be noticed. */
const MAX_LATE_MS = 250;

/**
 * Deadlines of calls, watched by one sleep for all of them: a sleep for each call, which nearly always has to be ended
 * early, costs more than everything else that is done for the call here.
 */
export class Deadlines {
	private readonly pending = new Set<{ at: number; onOver: () => void }>();
	private isWatching = false;

	constructor(private readonly clock: Clock) {}

	/**
	 * @param ms from now.
	 * @param onOver called at most once, at most `MAX_LATE_MS` late.
	 * @returns what ends it.
	 */
	start(ms: number, onOver: () => void): () => void {
		const deadline = { at: this.clock.now() + ms, onOver };
		this.pending.add(deadline);
		if (!this.isWatching) void this.watch();
		return () => this.pending.delete(deadline);
	}

	private async watch(): Promise<void> {
		this.isWatching = true;
		while (this.pending.size > 0) {
			await this.clock.sleep(Math.max(1, Math.min(MAX_LATE_MS, ...this.left())));
			const now = this.clock.now();
			for (const deadline of [...this.pending]) {
				if (deadline.at > now) continue;
				this.pending.delete(deadline);
				deadline.onOver();
			}
		}
		this.isWatching = false;
	}

	private left(): number[] {
		const now = this.clock.now();
		return [...this.pending].map(({ at }) => at - now);
	}
}
