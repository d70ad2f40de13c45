import { RATE_LIMIT_BACKOFF, retryPauseMs } from '../util/retry';
import { type Clock, LightSignal, type Random, type Signal } from '../util/time';
import { Pace } from './pace';

/** What the answer to a call means for the throttle. */
export type Verdict = 'ok' | { tooMany: true; retryAfterMs: number | undefined };

/** What a call that is held back too long counts as. */
export interface Late<T> {
	/** By the monotonic clock. */
	at: number;
	answer: T;
}

/** What is limited: items under way, and calls in flight. */
type Kind = 'item' | 'call';

interface Waiter {
	kind: Kind;
	/** When it gives up, by the monotonic clock. */
	deadline: number;
	wake: (admitted: boolean) => void;
}

/**
 * Keeps one run within RunComfy's rate limit; shared by all its workers. A “too many requests” met by one holds back all of
 * them: nobody calls until the pause is over, and the limit is halved; every `limit` successful answers in a row give one
 * back (additive increase, multiplicative decrease, as in TCP). The limit counts calls in flight, and items under way
 * when a new one wants to start. After the pause, the calls are paced: even one call at a time may be too many when other
 * executions use the same account.
 */
export class Throttle {
	private limit: number;
	private readonly pace: Pace;
	private pausedUntil = -Infinity;
	private tooManyInARow = 0;
	private goodInARow = 0;
	/** Calls that began before the last slow-down say nothing new about it. */
	private generation = 0;
	private readonly active: Record<Kind, number> = { item: 0, call: 0 };
	private readonly waiters: Waiter[] = [];
	/** When `admit` is called next, by the monotonic clock, and what ends the sleep until then. */
	private waking: { at: number; signal: LightSignal } | undefined;

	constructor(
		private readonly maxConcurrency: number,
		private readonly clock: Clock,
		private readonly random: Random,
		/** Stop: ends all waits here, and admits no further call or item. */
		private readonly signal: Signal,
	) {
		this.limit = maxConcurrency;
		this.pace = new Pace(clock, random);
		signal.addEventListener('abort', () => this.dismissAll());
	}

	/** How many calls may be in flight just now. */
	get currentLimit(): number {
		return this.limit;
	}

	/** Milliseconds until calls are allowed again; 0 when they are. */
	get pauseLeftMs(): number {
		return Math.max(0, this.pausedUntil - this.clock.now());
	}

	/**
	 * Waits until one more item may be under way.
	 * @returns false when the run was stopped meanwhile; otherwise `leaveItem` has to follow.
	 */
	async enterItem(): Promise<boolean> {
		return await this.enter('item');
	}

	leaveItem(): void {
		this.active.item--;
		this.admit();
	}

	/**
	 * Makes one call when it is its turn.
	 * @param judge tells the throttle what the answer was.
	 * @param late the answer when it cannot be made by then.
	 * @returns undefined when the run was stopped before the call was made.
	 */
	async call<T>(
		make: () => Promise<T>,
		judge: (answer: T) => Verdict,
		late?: Late<T>,
	): Promise<T | undefined> {
		if (!(await this.enter('call', late?.at))) return this.signal.aborted ? undefined : late?.answer;
		const generation = this.generation;
		try {
			// Stop may have come between being let in and this line.
			if (this.signal.aborted) return undefined;
			const answer = await make();
			this.learn(judge(answer), generation);
			return answer;
		} finally {
			this.active.call--;
			this.admit();
		}
	}

	private learn(verdict: Verdict, generation: number): void {
		if (verdict === 'ok') {
			this.tooManyInARow = 0;
			this.pace.accepted();
			if (this.limit < this.maxConcurrency && ++this.goodInARow >= this.limit) {
				this.limit++;
				this.goodInARow = 0;
			}
			return;
		}
		this.goodInARow = 0;
		if (generation === this.generation) {
			this.generation++;
			this.tooManyInARow++;
			this.limit = Math.max(1, Math.floor(this.limit / 2));
			this.pace.refused();
		}
		const failures = Math.max(1, this.tooManyInARow);
		const pauseMs = retryPauseMs(failures, verdict.retryAfterMs, RATE_LIMIT_BACKOFF, this.random);
		this.pausedUntil = Math.max(this.pausedUntil, this.clock.now() + pauseMs);
	}

	private async enter(kind: Kind, deadline = Infinity): Promise<boolean> {
		if (this.signal.aborted) return false;
		if (this.pauseLeftMs === 0 && this.waiters.length === 0 && this.isFree(kind)) {
			this.take(kind);
			return true;
		}
		return await new Promise<boolean>((resolve) => {
			this.waiters.push({ kind, deadline, wake: resolve });
			this.admit();
		});
	}

	private isFree(kind: Kind): boolean {
		return this.active[kind] < this.limit && (kind === 'item' || this.pace.leftMs === 0);
	}

	private take(kind: Kind): void {
		this.active[kind]++;
		if (kind === 'call') this.pace.called();
	}

	/** Admits all waiters that may enter now, in order of arrival. A waiting item does not block a waiting call. */
	private admit(): void {
		this.dismissLate();
		if (this.waiters.length === 0) return this.stopWaking();
		if (this.pauseLeftMs > 0) {
			this.wakeAfter(this.pauseLeftMs);
			return;
		}
		for (let i = 0; i < this.waiters.length;) {
			const waiter = this.waiters[i];
			if (waiter === undefined || !this.isFree(waiter.kind)) {
				i++;
				continue;
			}
			this.waiters.splice(i, 1);
			this.take(waiter.kind);
			waiter.wake(true);
		}
		const isPaced = this.active.call < this.limit && this.waiters.some(({ kind }) => kind === 'call');
		if (isPaced) this.wakeAfter(this.pace.leftMs);
		else if (this.waiters.some(({ deadline }) => deadline !== Infinity)) this.wakeAfter(Infinity);
		else this.stopWaking();
	}

	/** Admits after a time, or when a waiter gives up before. */
	private wakeAfter(ms: number): void {
		const now = this.clock.now();
		const at = Math.min(now + ms, ...this.waiters.map(({ deadline }) => deadline));
		// A later timer is not needed: `admit` starts it again.
		if (this.waking !== undefined && this.waking.at <= at) return;
		this.stopWaking();
		const waking = { at, signal: new LightSignal() };
		this.waking = waking;
		void this.clock.sleep(at - now, waking.signal).then(() => {
			if (this.waking !== waking) return;
			this.waking = undefined;
			this.admit();
		});
	}

	private stopWaking(): void {
		this.waking?.signal.abort();
		this.waking = undefined;
	}

	private dismissLate(): void {
		const now = this.clock.now();
		for (const waiter of this.waiters.filter(({ deadline }) => deadline <= now)) {
			this.waiters.splice(this.waiters.indexOf(waiter), 1);
			waiter.wake(false);
		}
	}

	private dismissAll(): void {
		for (const waiter of this.waiters.splice(0)) waiter.wake(false);
		this.stopWaking();
	}
}
