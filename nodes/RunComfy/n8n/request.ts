import type { IExecuteFunctions, IHttpRequestOptions, ILoadOptionsFunctions } from 'n8n-workflow';

import { type ApiAnswer, NoAnswerError, noAnswerOf, type Send } from '../api/call';
import { isJsonObject, type JsonObject } from '../api/json';
import { type Redact, redactJson } from '../util/redact';
import { type Clock, Deadlines } from '../util/time';
import { checkAtHandOver } from './handOver';

export const CREDENTIAL_NAME = 'runComfyApi';

/** The context that n8n passes to a run of the node, or to its lists in the editor. */
export type CallingContext = IExecuteFunctions | ILoadOptionsFunctions;

/**
 * Our own deadline ends a call, and n8n's timeout is set a little longer: without it, n8n's default timeout would apply, which
 * may be shorter.
 */
const HOST_TIMEOUT_MARGIN_MS = 1_000;

/**
 * Calls RunComfy's API with n8n's helper for authenticated requests. The helper does three things that are prevented here:
 * - It replaces `abortSignal` with the execution's cancel signal. Then a cancel after Stop would never be sent, and Stop
 *   would abort a paid submit. So the helper gets a context whose cancel signal is the signal of this call.
 * - It throws on HTTP errors and, after a 401, sends the request a second time. So it ignores HTTP status errors.
 * - It follows redirects, and sends the credentials with them. So redirects are disabled.
 * @param redact redacts the token in the answer, so that no error, log line, or output can contain it.
 */
export function createSend(context: CallingContext, clock: Clock, redact: Redact): Send {
	const deadlines = new Deadlines(clock);
	return async ({ method, url, body, timeoutMs, signal, mayLeave = () => true }) => {
		const controller = new AbortController();
		let timedOut = false;
		const abort = () => controller.abort();
		if (signal?.aborted === true) abort();
		signal?.addEventListener('abort', abort);
		const endDeadline = deadlines.start(timeoutMs, () => {
			timedOut = true;
			controller.abort();
		});
		let isHeldBack = false;
		checkAtHandOver(controller.signal, () => {
			isHeldBack = !mayLeave();
			return !isHeldBack;
		});
		const caller = Object.create(context) as IExecuteFunctions;
		caller.getExecutionCancelSignal = () => controller.signal;
		try {
			const answer: unknown = await context.helpers.httpRequestWithAuthentication.call(
				caller,
				CREDENTIAL_NAME,
				{
					...bodyOptions(body),
					method,
					url,
					json: true,
					timeout: timeoutMs + HOST_TIMEOUT_MARGIN_MS,
					abortSignal: controller.signal,
					disableFollowRedirect: true,
					ignoreHttpStatusErrors: true,
					returnFullResponse: true,
				},
			);
			return readFullResponse(answer, redact);
		} catch (error) {
			throw isHeldBack ? new NoAnswerError('heldBack') : noAnswer(error, timedOut, controller.signal.aborted);
		} finally {
			signal?.removeEventListener('abort', abort);
			endDeadline();
		}
	};
}

/** n8n does not send an object without keys, so an empty body is sent as text. */
function bodyOptions(body: JsonObject | undefined): Pick<IHttpRequestOptions, 'body' | 'headers'> {
	if (body === undefined) return {};
	if (Object.keys(body).length > 0) return { body };
	return { body: '{}', headers: { 'content-type': 'application/json' } };
}

function noAnswer(error: unknown, timedOut: boolean, wasAborted: boolean): NoAnswerError {
	if (error instanceof NoAnswerError) return error;
	if (timedOut) return new NoAnswerError('timeout');
	if (wasAborted) return new NoAnswerError('stopped');
	return noAnswerOf(error);
}

function readFullResponse(answer: unknown, redact: Redact): ApiAnswer {
	if (!isJsonObject(answer) || typeof answer.statusCode !== 'number') throw new NoAnswerError('lost');
	const headers = isJsonObject(answer.headers) ? answer.headers : {};
	return { status: answer.statusCode, headers, body: redactJson(answer.body ?? null, redact) };
}
