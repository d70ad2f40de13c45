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
