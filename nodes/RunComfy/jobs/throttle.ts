import type { Answer, SubmitAnswer } from '../api/answers';
import { RATE_LIMIT_BACKOFF, retryPauseMs } from '../util/retry';
import { LightSignal, type Clock, type Random, type Signal } from '../util/time';
import { Pace } from './pace';
import { RunEndedError } from './types';

type AnyAnswer = Answer<unknown> | SubmitAnswer;

interface Waiter {
	/** When it gives up, by the monotonic clock. */
	deadline: number;
	wake: (isItsTurn: boolean) => void;
}

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
	private waiters: Waiter[] = [];
	/** When `admit` is called next, by the monotonic clock, and what ends the sleep until then. */
	private waking: { at: number; signal: LightSignal } | undefined;

	constructor(
		private readonly clock: Clock,
		private readonly random: Random,
		/** Ends all waits here, and admits no further call. */
		private readonly signal: Signal,
	) {
		this.pace = new Pace(clock, random);
		signal.addEventListener('abort', () => this.dismiss(() => true));
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

	private get waitMs(): number {
		return Math.max(this.pauseLeftMs, this.pace.leftMs);
	}

	private async takeTurn(deadline: number): Promise<boolean> {
		if (this.signal.aborted || deadline <= this.clock.now()) return false;
		if (this.waiters.length === 0 && this.waitMs === 0) {
			this.pace.called();
			return true;
		}
		return await new Promise<boolean>((wake) => {
			this.waiters.push({ deadline, wake });
			this.admit();
		});
	}

	/** Admits the waiters whose turn it is, in order of arrival. */
	private admit(): void {
		const now = this.clock.now();
		this.dismiss(({ deadline }) => deadline <= now);
		while (this.waitMs === 0) {
			const first = this.waiters.shift();
			if (first === undefined) break;
			this.pace.called();
			first.wake(true);
		}
		if (this.waiters.length === 0) this.stopWaking();
		else this.wakeAt(Math.min(now + this.waitMs, ...this.waiters.map(({ deadline }) => deadline)));
	}

	private dismiss(isOver: (waiter: Waiter) => boolean): void {
		const over = this.waiters.filter(isOver);
		this.waiters = this.waiters.filter((waiter) => !over.includes(waiter));
		for (const { wake } of over) wake(false);
		if (this.waiters.length === 0) this.stopWaking();
	}

	private wakeAt(at: number): void {
		// A later timer is not needed: `admit` starts it again.
		if (this.waking !== undefined && this.waking.at <= at) return;
		this.stopWaking();
		const waking = { at, signal: new LightSignal() };
		this.waking = waking;
		void this.clock.sleep(at - this.clock.now(), waking.signal).then(() => {
			if (this.waking !== waking) return;
			this.waking = undefined;
			this.admit();
		});
	}

	private stopWaking(): void {
		this.waking?.signal.abort();
		this.waking = undefined;
	}
}
