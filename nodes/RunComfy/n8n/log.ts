import type { IExecuteFunctions } from 'n8n-workflow';

import type { Log } from '../jobs/types';
import { oneLine, plainText } from '../util/values';

export type Hint = (message: string, type?: 'info' | 'warning') => void;

/**
 * n8n's log, with the node, workflow, and execution of each line: after a crash, users find request IDs by them.
 * @param hint shows what is meant for the user.
 */
export function createLog(context: IExecuteFunctions, hint: Hint): Log {
	const { logger } = context;
	const origin = {
		nodeName: context.getNode().name,
		workflowId: context.getWorkflow().id,
		executionId: context.getExecutionId(),
	};
	return {
		debug: (message) => logger.debug(oneLine(message), origin),
		info: (message) => logger.info(oneLine(message), origin),
		warn: (message) => logger.warn(oneLine(message), origin),
		notify(level, sentence) {
			logger[level](oneLine(`RunComfy: ${sentence}`), origin);
			hint(sentence, level === 'warn' ? 'warning' : 'info');
		},
	};
}

/** Shows a line above the node's output in the editor, each only once; older versions of n8n do not support it. */
export function createHint(context: IExecuteFunctions): Hint {
	const { addExecutionHints }: Partial<Pick<IExecuteFunctions, 'addExecutionHints'>> = context;
	const shown = new Set<string>();
	return (sentence, type = 'warning') => {
		const message = plainText(sentence);
		if (!shown.has(message)) addExecutionHints?.call(context, { message, type, location: 'outputPane' });
		shown.add(message);
	};
}
