/** The user's input is wrong: found before anything of this item is sent, so nothing was paid for it. */
export class FieldError extends Error {
	override readonly name = 'FieldError';

	constructor(
		/** The label of the field as the user sees it. */
		readonly field: string,
		/** Completes the sentence that begins with the field's label: `must not be empty`. */
		readonly problem: string,
		/** What to do about it, when the problem does not say it. */
		readonly advice?: string,
	) {
		super(`“${field}” ${problem}`);
	}
}
