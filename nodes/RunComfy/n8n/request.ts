import type { IExecuteFunctions, IHttpRequestOptions, ILoadOptionsFunctions } from 'n8n-workflow';

import { type ApiAnswer, NoAnswerError, noAnswerOf, type Send } from '../api/call';
import { isJsonObject, type JsonObject, parseJson, parseJsonExactly } from '../api/json';
import { type Redact, redactJson } from '../util/redact';
import { isStream, readBytes } from '../util/streams';
import { type Clock, Deadlines, unlessAborted } from '../util/time';
import { checkAtHandOver } from './handOver';

export const CREDENTIAL_NAME = 'runComfyApi';

/** The context that n8n passes to a run of the node, or to its lists in the editor. */
export type CallingContext = IExecuteFunctions | ILoadOptionsFunctions;

/**
 * Our own deadline ends a call, and n8n's timeout is set a little longer: without it, n8n's default timeout would apply, which
 * may be shorter.
 */
const HOST_TIMEOUT_MARGIN_MS = 1_000;

/** No answer of RunComfy is nearly as large. It counts as it is unpacked. */
const MAX_ANSWER_BYTES = 20_000_000;

/**
 * Calls RunComfy's API with n8n's helper for authenticated requests. The helper does four things that are prevented here:
 * - It replaces `abortSignal` with the execution's cancel signal. Then a cancel after Stop would never be sent, and Stop
 *   would abort a paid submit. So the helper gets a context whose cancel signal is the signal of this call.
 * - It throws on HTTP errors and, after a 401, sends the request a second time. So it ignores HTTP status errors.
 * - It follows redirects, and sends the credentials with them. So redirects are disabled.
 * - It reads answers of any size. So it gives a stream, which is read here.
 * @param redact redacts the token in the answer, so that no error, log line, or output can contain it.
 */
export function createSend(context: CallingContext, clock: Clock, redact: Redact): Send {
	const deadlines = new Deadlines(clock);
	return async ({ method, url, body, timeoutMs, signal, keepsDigits, mayLeave = () => true }) => {
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
					encoding: 'stream',
					timeout: timeoutMs + HOST_TIMEOUT_MARGIN_MS,
					abortSignal: controller.signal,
					disableFollowRedirect: true,
					ignoreHttpStatusErrors: true,
					returnFullResponse: true,
				},
			);
			const parse = keepsDigits === true ? parseJsonExactly : parseJson;
			return await readAnswer(answer, redact, parse, controller.signal);
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

async function readAnswer(
	answer: unknown,
	redact: Redact,
	parse: (text: string) => unknown,
	signal: AbortSignal,
): Promise<ApiAnswer> {
	if (!isJsonObject(answer) || typeof answer.statusCode !== 'number' || !isStream(answer.body))
		throw new NoAnswerError('lost');
	const { statusCode: status, headers, body: stream } = answer;
	const bytes = await unlessAborted(readBytes(stream, MAX_ANSWER_BYTES), signal);
	if (signal.aborted) {
		stream.destroy();
		throw new NoAnswerError('stopped');
	}
	const text = bytes?.toString('utf8').replace(/^\ufeff/, '') ?? 'an answer of more than 20 MB';
	const parsed = parse(text);
	const body = redactJson(parsed === undefined ? text : parsed, redact);
	return { status, headers: isJsonObject(headers) ? headers : {}, body };
}
