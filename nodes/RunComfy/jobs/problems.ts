import { cleanReason, nameRequest, type Problem } from '../api/problems';
import { omitUndefined } from '../util/values';

/** What can go wrong while a request is submitted or waited for, with the fields and operations that help. */

/**
 * A submit whose outcome is unknown: the request may exist and cost money, so it is never sent again.
 * @param requestsPage where a person can see whether it exists.
 */
export function outcomeUnknownProblem(
	requestsPage: string,
	cause: string,
	httpStatus?: number,
	requestId?: string,
): Problem {
	return {
		message: `It is not known whether RunComfy accepted this request: ${cause}. It was not sent again, so that you do not pay twice`,
		advice:
			`Check ${requestsPage}. If the result is there, fetch it with the operation “Get Result” and its request ID. ` +
			'If it is not, run this item again in a new execution.',
		...omitUndefined({ httpStatus, requestId }),
	};
}

/** RunComfy kept saying “too many requests” until the deadline: nothing was accepted. */
export function neverAcceptedProblem(): Problem {
	return {
		message: 'Nothing was submitted: RunComfy kept answering “too many requests” until the timeout',
		advice: 'Nothing was paid for. Lower “Max Concurrency”, raise “Timeout (Seconds)”, or run again later.',
		httpStatus: 429,
	};
}

/** A state that this node does not know: waiting further could be waiting forever. */
export function unknownStatusProblem(requestId: string, status: string): Problem {
	return {
		message: `${nameRequest(requestId)} reports a status that this node does not know: “${cleanReason(status) ?? '?'}”`,
		advice:
			'The request may still be running. Use the operation “Get Status” or “Get Result” with this request ID later. It was not submitted again.',
		requestId,
	};
}

/** The item's time is up. The job goes on, and so does what was paid for it. */
export function timeoutProblem(
	requestId: string,
	timeoutMs: number,
	lastState: string | undefined,
	lastError?: string,
): Problem {
	const state = lastState === undefined ? '' : ` Its last known state was “${lastState}”.`;
	const error = lastError === undefined ? '' : ` The last poll failed: ${lastError}.`;
	return {
		message: `${nameRequest(requestId)} was not finished after ${timeoutMs / 1000} seconds`,
		advice: `It was not cancelled and may still finish.${state}${error} Fetch the result later with the operation “Get Result” and this request ID, or raise “Timeout (Seconds)”.`,
		requestId,
	};
}
