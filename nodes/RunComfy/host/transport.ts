import type { IExecuteFunctions, IHttpRequestOptions, ILoadOptionsFunctions } from 'n8n-workflow';

import { isJsonObject, type JsonObject } from '../api/json';
import { NoAnswerError, networkCodeOf, noAnswerReason, type ApiAnswer, type Send } from '../api/transport';
import type { Clock } from '../common/clock';
import { redactJson, type Redact } from '../common/redact';

export const CREDENTIAL_NAME = 'runComfyApi';

/** What n8n hands to a run of the node, and to its lists in the editor. */
export type CallingContext = IExecuteFunctions | ILoadOptionsFunctions;

/** A reason of our own spares an exception with its stack for every call. */
const ANSWERED = 'answered';
/** Our own timer decides; n8n's has to be there because its default is shorter than nothing and longer than ours. */
const HOST_TIMEOUT_MARGIN_MS = 1_000;

/**
 * RunComfy's API by way of n8n's authenticated requests. Three habits of that helper decide how it is called:
 * - it replaces `abortSignal` by the execution's cancel signal, with which the cancel after Stop would never leave, and
 *   Stop would break off a paid submit: so it is called on a context whose cancel signal is the one of this call;
 * - it turns every HTTP error into an n8n error and, on a thrown 401, sends the request a second time: so no status is
 *   an error to it;
 * - it follows redirects and takes the credentials along: so it may not.
 * @param redact takes the token out of what comes back, so that no error, log or output can hold it.
 */
export function createSend(context: CallingContext, clock: Clock, redact: Redact): Send {
	return async ({ method, url, body, timeoutMs, signal }) => {
		const breakOff = new AbortController();
		const answered = new AbortController();
		let timedOut = false;
		const onAbort = () => breakOff.abort();
		if (signal?.aborted === true) breakOff.abort();
		signal?.addEventListener('abort', onAbort, { once: true });
		void clock.sleep(timeoutMs, answered.signal).then(() => {
			if (answered.signal.aborted) return;
			timedOut = true;
			breakOff.abort();
		});
		const caller = Object.create(context, {
			getExecutionCancelSignal: { value: () => breakOff.signal },
		}) as CallingContext;
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
					abortSignal: breakOff.signal,
					disableFollowRedirect: true,
					ignoreHttpStatusErrors: true,
					returnFullResponse: true,
				},
			);
			return readFullResponse(answer, redact);
		} catch (error) {
			throw noAnswer(error, timedOut, breakOff.signal.aborted);
		} finally {
			signal?.removeEventListener('abort', onAbort);
			answered.abort(ANSWERED);
		}
	};
}

/** n8n leaves out a body without keys: it is sent as the text that it is. */
function bodyOptions(body: JsonObject | undefined): Pick<IHttpRequestOptions, 'body' | 'headers'> {
	if (body === undefined) return {};
	if (Object.keys(body).length > 0) return { body };
	return { body: '{}', headers: { 'content-type': 'application/json' } };
}

function noAnswer(error: unknown, timedOut: boolean, brokenOff: boolean): NoAnswerError {
	if (error instanceof NoAnswerError) return error;
	if (timedOut) return new NoAnswerError('timeout');
	if (brokenOff) return new NoAnswerError('stopped');
	const code = networkCodeOf(error);
	return new NoAnswerError(noAnswerReason(code), code);
}

function readFullResponse(answer: unknown, redact: Redact): ApiAnswer {
	if (!isJsonObject(answer) || typeof answer.statusCode !== 'number') throw new NoAnswerError('lost');
	const headers: Record<string, unknown> = {};
	for (const [name, value] of Object.entries(isJsonObject(answer.headers) ? answer.headers : {})) {
		headers[name.toLowerCase()] = redactJson(value, redact);
	}
	return { status: answer.statusCode, headers, body: redactJson(answer.body ?? null, redact) };
}
