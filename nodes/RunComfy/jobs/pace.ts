import type { Clock, Random } from '../util/time';

/** The longest pause between two paced calls, on average: no run is silent while others are served. In milliseconds. */
const LONGEST_MS = 20_000;
/** A shorter pause limits nothing: calls are then not paced. In milliseconds. */
const SHORTEST_MS = 20;
/** How fast the rate recovers; see `accepted`. */
const GAIN = 0.05;

/**
 * How often a run may call once it has met “too many requests”. Runs in other executions share the account's limit but know
 * nothing of this one, so each finds its own share: a refusal halves its rate (calls per second), and an accepted call
 * raises it by GAIN × √rate. Where a share p of the calls is refused, every run arrives at the same rate,
 * (GAIN × (1 − p) ÷ (p × ln 2))², however it began.
 */
export class Pace {
	/** On average between two calls; 0 while calls are not paced. */
	private pauseMs = 0;
	private nextAt = -Infinity;
	/** While calls are not paced: since when, and how many were accepted since. */
	private unpacedSince: number;
	private unpacedCalls = 0;

	constructor(
		private readonly clock: Pick<Clock, 'now'>,
		private readonly random: Random,
	) {
		this.unpacedSince = clock.now();
	}

	/** Milliseconds until the next call may be made; 0 when it may be made now. */
	get leftMs(): number {
		return Math.max(0, this.nextAt - this.clock.now());
	}

	/** A call is made. The pause after it is random, so that runs that began together do not stay together. */
	called(): void {
		if (this.pauseMs > 0) this.nextAt = this.clock.now() + this.pauseMs * (0.5 + this.random());
	}

	accepted(): void {
		if (this.pauseMs === 0) {
			this.unpacedCalls++;
			return;
		}
		const rate = 1_000 / this.pauseMs;
		this.pauseMs = 1_000 / (rate + GAIN * Math.sqrt(rate));
		if (this.pauseMs >= SHORTEST_MS) return;
		this.pauseMs = 0;
		this.unpacedSince = this.clock.now();
		this.unpacedCalls = 0;
	}

	/** To be called once for calls that were refused together. */
	refused(): void {
		const current =
			this.pauseMs === 0
				? (this.clock.now() - this.unpacedSince) / Math.max(1, this.unpacedCalls)
				: this.pauseMs;
		this.pauseMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, 2 * current));
	}
}
