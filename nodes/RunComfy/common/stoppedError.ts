/** The user pressed Stop, or n8n's own timeout did. */
export class StoppedError extends Error {
	override readonly name = 'StoppedError';

	constructor(
		/** What was submitted and what became of it; empty when there is nothing to say. */
		readonly report: string,
		/** Whether what can be cancelled has been; false where Stop was noticed before there was a run. */
		readonly isReported = true,
	) {
		super('Stopped');
	}
}
