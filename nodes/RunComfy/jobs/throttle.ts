import type { Answer, SubmitAnswer } from '../api/answers';
import { RATE_LIMIT_BACKOFF, retryPauseMs } from '../util/retry';
import type { Clock, Random, Signal } from '../util/time';
import { Pace } from './pace';
import { RunEndedError } from './types';

type AnyAnswer = Answer<unknown> | SubmitAnswer;

/**
 * Keeps one run within RunComfy's rate limit; shared by all its items. A “too many requests” met by one holds back all of
 * them: nobody calls until the pause is over, and then the calls are paced, because other executions may use the same
 * account.
 */
export class Throttle {
	private readonly pace: Pace;
	private pausedUntil = -Infinity;
	private tooManyInARow = 0;
	/** Calls that began before say nothing new. */
	private slowedAt = -Infinity;

	constructor(
		private readonly clock: Clock,
		private readonly random: Random,
		/** Ends all waits here, and admits no further call. */
		private readonly signal: Signal,
	) {
		this.pace = new Pace(clock, random);
	}

	/** Milliseconds until calls are allowed again; 0 when they are. */
	get pauseLeftMs(): number {
		return Math.max(0, this.pausedUntil - this.clock.now());
	}

	/**
	 * Makes one call when it is its turn.
	 * @param deadline by the monotonic clock.
	 * @returns undefined when its turn did not come before the deadline.
	 * @throws RunEndedError when the run ends before its turn.
	 */
	async call<T extends AnyAnswer>(make: () => Promise<T>, deadline: number): Promise<T | undefined>;
	async call<T extends AnyAnswer>(make: () => Promise<T>): Promise<T>;
	async call<T extends AnyAnswer>(make: () => Promise<T>, deadline = Infinity): Promise<T | undefined> {
		const isItsTurn = await this.takeTurn(deadline);
		// The run may have ended between being let in and this line.
		if (this.signal.aborted) throw new RunEndedError();
		if (!isItsTurn) return undefined;
		const startedAt = this.clock.now();
		const answer = await make();
		this.learn(answer, startedAt);
		return answer;
	}

	private learn(answer: AnyAnswer, startedAt: number): void {
		if (answer.kind !== 'transient' || !answer.tooMany) {
			this.tooManyInARow = 0;
			this.pace.accepted();
			return;
		}
		const now = this.clock.now();
		if (startedAt > this.slowedAt) {
			this.slowedAt = now;
			this.tooManyInARow++;
			this.pace.refused();
		}
		const failures = Math.max(1, this.tooManyInARow);
		const pauseMs = retryPauseMs(failures, answer.retryAfterMs, RATE_LIMIT_BACKOFF, this.random);
		this.pausedUntil = Math.max(this.pausedUntil, now + pauseMs);
	}

	/**
	 * Waits for a turn. All that wait wake together, in order of arrival, and one of them takes it.
	 * @returns false when the deadline, or the end of the run, came first.
	 */
	private async takeTurn(deadline: number): Promise<boolean> {
		for (;;) {
			const leftMs = deadline - this.clock.now();
			if (this.signal.aborted || leftMs <= 0) return false;
			const waitMs = Math.max(this.pauseLeftMs, this.pace.leftMs);
			if (waitMs === 0) break;
			await this.clock.sleep(Math.min(waitMs, leftMs), this.signal);
		}
		this.pace.called();
		return true;
	}
}
