/** A field has an invalid value. Thrown before anything of this item is submitted, so nothing was paid for it. */
export class FieldError extends Error {
	override readonly name = 'FieldError';

	constructor(
		/** The label of the field as the user sees it. */
		readonly field: string,
		/** Completes a sentence that begins with the field's label: `must not be empty`. */
		readonly problem: string,
		/** What to do about it, when the problem alone does not say it. */
		readonly advice?: string,
	) {
		super(`“${field}” ${problem}`);
	}
}

/** The execution was stopped, by the user or by n8n's timeout. */
export class StoppedError extends Error {
	override readonly name = 'StoppedError';

	constructor(
		/** Which requests were submitted, and their status; empty when there are none. */
		readonly report: string,
	) {
		super('Stopped');
	}
}

/** What was thrown, as an Error: code that is not ours may throw anything. */
export function toError(thrown: unknown): Error {
	return thrown instanceof Error ? thrown : new Error(String(thrown));
}
