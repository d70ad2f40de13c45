/** What was thrown, as an Error: code that is not ours may throw anything. */
export function toError(thrown: unknown): Error {
	return thrown instanceof Error ? thrown : new Error(String(thrown));
}
