/** The execution was stopped, by the user or by n8n's timeout. */
export class StoppedError extends Error {
	override readonly name = 'StoppedError';

	constructor(
		/** Which requests were submitted, and their status; empty when there are none. */
		readonly report: string,
		/** Whether what can be cancelled has been; false where Stop was noticed before there was a run. */
		readonly isReported = true,
	) {
		super('Stopped');
	}
}
