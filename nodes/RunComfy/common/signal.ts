/** What is used here of an `AbortSignal`. */
export interface Signal {
	readonly aborted: boolean;
	addEventListener(type: 'abort', listener: () => void): void;
	removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * A signal that its maker aborts. An `AbortSignal` costs much more, which counts in every poll, and Node warns of a leak
 * when one has more than ten listeners.
 */
export class LightSignal implements Signal {
	private readonly listeners = new Set<() => void>();
	private isAborted = false;

	get aborted(): boolean {
		return this.isAborted;
	}

	addEventListener(_type: 'abort', listener: () => void): void {
		this.listeners.add(listener);
	}

	removeEventListener(_type: 'abort', listener: () => void): void {
		this.listeners.delete(listener);
	}

	/** Calls each listener, but none that an earlier one removes. */
	abort(): void {
		if (this.isAborted) return;
		this.isAborted = true;
		for (const listener of this.listeners) listener();
		this.listeners.clear();
	}
}

/** What the promise resolves to, or undefined as soon as the signal is aborted: then nobody waits for the promise. */
export async function unlessAborted<T>(promise: Promise<T>, signal: Signal): Promise<T | undefined> {
	if (signal.aborted) {
		void promise.catch(() => {});
		return undefined;
	}
	let onAbort = () => {};
	const aborted = new Promise<undefined>((resolve) => {
		onAbort = () => resolve(undefined);
		signal.addEventListener('abort', onAbort);
	});
	try {
		return await Promise.race([promise, aborted]);
	} finally {
		signal.removeEventListener('abort', onAbort);
	}
}
