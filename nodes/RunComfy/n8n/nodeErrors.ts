import { NodeApiError, type INode, type INodeExecutionData } from 'n8n-workflow';

import { requestIdOf, RunComfyError } from '../api/problems';
import { ItemFailedError } from '../jobs/types';
import { FieldError, StoppedError } from '../util/errors';
import { omitUndefined, plainText } from '../util/values';

interface Wording {
	message: string;
	description?: string;
	httpCode?: string;
}

/** @param scope what a wrong field has kept from being submitted. */
function wordingOf(error: unknown, scope: 'in this run' | 'for this item'): Wording {
	if (error instanceof RunComfyError) {
		const { message, advice, httpStatus } = error.problem;
		const httpCode = httpStatus === undefined ? undefined : String(httpStatus);
		return { message, description: advice, ...omitUndefined({ httpCode }) };
	}
	if (error instanceof FieldError) {
		const { message, advice = 'Nothing was submitted. Correct the field, and run again.' } = error;
		// Whether other items have submitted something is known only here.
		return { message, description: advice.replace('submitted.', `submitted ${scope}.`) };
	}
	if (error instanceof StoppedError) {
		// Because of the word “canceled”, n8n records the execution as canceled, not as failed.
		return {
			message: 'Stopped: the execution was canceled',
			description: error.report === '' ? 'Nothing had been submitted.' : error.report,
		};
	}
	return {
		message: error instanceof Error && error.message !== '' ? error.message : 'An unexpected error occurred',
	};
}

/**
 * Turns any failure into n8n's NodeApiError. Only that error reaches the error output in every version of n8n.
 */
export function toNodeError(
	node: INode,
	error: unknown,
	itemIndex?: number,
	scope: 'in this run' | 'for this item' = 'in this run',
): NodeApiError {
	if (error instanceof NodeApiError) return error;
	if (error instanceof ItemFailedError) return itemFailed(node, error);
	const { httpCode, ...wording } = wordingOf(error, scope);
	const description = wording.description === undefined ? undefined : plainText(wording.description);
	// n8n takes every error whose message contains “canceled” for a stopped execution, also where RunComfy writes the word.
	const isStopped = error instanceof StoppedError;
	const text = plainText(wording.message);
	const message = isStopped ? text : text.replaceAll('canceled', 'cancelled');
	const nodeError = new NodeApiError(
		node,
		{},
		{
			message,
			...omitUndefined({ description, httpCode, itemIndex }),
		},
	);
	// n8n replaces a message that contains a Node error code, even inside a request ID.
	nodeError.message = message;
	return nodeError;
}

function itemFailed(node: INode, { itemIndex, reason, others, resumable }: ItemFailedError): NodeApiError {
	if (others === '') return toNodeError(node, reason, itemIndex);
	const nodeError = toNodeError(node, reason, itemIndex, 'for this item');
	const retries =
		node.retryOnFail === true || resumable !== 'byRetry'
			? ''
			: ', or switch on “Retry On Fail”: a retry resumes these requests instead of paying for new ones';
	const advice =
		resumable === 'no' ? '' : ` Fetch finished results with the operation “Get Result”${retries}.`;
	nodeError.description = `Item ${itemIndex} failed. ${nodeError.description ?? ''} No further item was started. ${others}${advice}`;
	return nodeError;
}

/**
 * The output item of a failed item under “continue on fail”: the input item's own fields and files, and `error`, so
 * that a workflow knows which photo failed and can fetch its result later. With “continue (using error output)”, n8n adds
 * the input's fields itself, and treats an item with other fields beside `error` as a success.
 */
export function errorItem(
	node: INode,
	error: unknown,
	itemIndex: number,
	item: INodeExecutionData | undefined,
): INodeExecutionData {
	const { message, description } = toNodeError(node, error, itemIndex, 'for this item');
	const requestId = requestIdOf(error);
	const facts = { error: omitUndefined({ message, description: description ?? undefined, requestId }) };
	const hasErrorOutput = node.onError === 'continueErrorOutput';
	return {
		json: hasErrorOutput ? facts : { ...item?.json, ...facts },
		...omitUndefined({ binary: item?.binary }),
		pairedItem: { item: itemIndex },
	};
}
