import { NodeApiError, type IDataObject, type INode, type INodeExecutionData } from 'n8n-workflow';

import { RunComfyError } from '../api/problems';
import { FieldError } from '../fieldError';
import { StoppedError } from '../common/stoppedError';
import { ItemFailedError } from '../jobs/run';

interface Wording {
	message: string;
	description?: string;
	httpCode?: string;
}

function wordingOf(error: unknown): Wording {
	if (error instanceof RunComfyError) {
		const { message, advice, httpStatus } = error.problem;
		return {
			message,
			description: advice,
			...(httpStatus === undefined ? {} : { httpCode: String(httpStatus) }),
		};
	}
	if (error instanceof FieldError) {
		return {
			message: error.message,
			description: error.advice ?? 'Nothing was submitted. Correct the field and run again.',
		};
	}
	if (error instanceof StoppedError) {
		return { message: 'Stopped', description: error.report || 'Nothing had been submitted.' };
	}
	return {
		message: error instanceof Error && error.message !== '' ? error.message : 'Something unexpected happened',
	};
}

/**
 * The one place where a failure becomes n8n's error: NodeApiError, because only that reaches the error output on every
 * version of n8n.
 */
export function toNodeError(node: INode, error: unknown, itemIndex?: number): NodeApiError {
	if (error instanceof NodeApiError) return error;
	if (error instanceof ItemFailedError) return itemFailed(node, error);
	const { message, description, httpCode } = wordingOf(error);
	const nodeError = new NodeApiError(
		node,
		{},
		{
			message,
			...(description === undefined ? {} : { description }),
			...(httpCode === undefined ? {} : { httpCode }),
			...(itemIndex === undefined ? {} : { itemIndex }),
		},
	);
	// n8n replaces a message in which it finds a Node error code, even inside a request id.
	nodeError.message = message;
	return nodeError;
}

function itemFailed(node: INode, { itemIndex, reason, others }: ItemFailedError): NodeApiError {
	const nodeError = toNodeError(node, reason, itemIndex);
	if (others !== '') {
		nodeError.description =
			`Item ${itemIndex} failed. ${nodeError.description ?? ''} No further item was started. ${others} ` +
			'Fetch what is there with the operation “Get Result”, or switch on “Retry On Fail”: a retry takes these requests up again instead of paying for new ones.';
	}
	return nodeError;
}

/**
 * The row of a failed item under “continue on fail”.
 * n8n runs the whole node again when the first row's JSON has an `error` key, which the input of an earlier error
 * branch would bring along; n8n puts the message there itself.
 */
export function errorRow(
	node: INode,
	error: unknown,
	itemIndex: number,
	json: IDataObject,
): INodeExecutionData {
	const { error: _inputError, ...rest } = json;
	return { json: rest, error: toNodeError(node, error, itemIndex), pairedItem: { item: itemIndex } };
}
