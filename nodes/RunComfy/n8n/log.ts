import type { IExecuteFunctions } from 'n8n-workflow';

import type { Log } from '../jobs/run';

/** n8n's log, with the node, workflow, and execution of each line: after a crash, users find request IDs by them. */
export function createLog(context: IExecuteFunctions): Log {
	const { logger } = context;
	const origin = {
		nodeName: context.getNode().name,
		workflowId: context.getWorkflow().id,
		executionId: context.getExecutionId(),
	};
	return {
		debug: (message) => logger.debug(message, origin),
		info: (message) => logger.info(message, origin),
		warn: (message) => logger.warn(message, origin),
	};
}

/** Shows a line above the node's output in the editor; older versions of n8n do not support it. */
export function showHint(context: IExecuteFunctions, message: string, type: 'info' | 'warning'): void {
	const { addExecutionHints }: Partial<Pick<IExecuteFunctions, 'addExecutionHints'>> = context;
	addExecutionHints?.call(context, { message, type, location: 'outputPane' });
}
