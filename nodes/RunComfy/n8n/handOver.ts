/**
 * n8n decrypts the credential after the node's own last check, and then asks it to authenticate the request, right before
 * it is sent. So the credential asks here whether the request may still leave. Calls are known by their abort signal.
 */
const CHECKS = new WeakMap<object, () => boolean>();

/** @param mayLeave asked once, when n8n is about to send the request with this signal. */
export function checkAtHandOver(signal: AbortSignal, mayLeave: () => boolean): void {
	CHECKS.set(signal, mayLeave);
}

/** @returns true for requests that nobody wants to hold back. */
export function mayStillLeave({ abortSignal }: { abortSignal?: unknown }): boolean {
	const check = typeof abortSignal === 'object' && abortSignal !== null ? CHECKS.get(abortSignal) : undefined;
	return check?.() ?? true;
}
