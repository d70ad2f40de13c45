import { omitUndefined } from '../util/values';
import {
	errorCodeOf,
	type ErrorCodes,
	explainAnswer,
	isTransient,
	MODEL_CODES,
	type Problem,
	withoutInputs,
} from './problems';
import { readRetryAfterMs } from './responses';
import { type ApiAnswer, isSuccess } from './transport';

/** The answer to a free query of the catalog or the account. */
export type QueryAnswer<T> =
	| { kind: 'found'; value: T }
	/** A transient error: repeating the query costs nothing. `what` failed, because of `why`. */
	| { kind: 'again'; what: string; why: string; retryAfterMs: number | undefined }
	| { kind: 'refused'; problem: Problem };

/**
 * Reads the answer to a free query. Pure.
 * @param now the time of day in milliseconds, to read a date in Retry-After.
 * @param what failed, for the error message: “The list of models could not be read”.
 * @param read reads the answer's body; undefined when it does not hold what the query asks for.
 */
export function readQuery<T>(
	answer: ApiAnswer,
	now: number,
	what: string,
	read: (body: unknown) => T | undefined,
	codes: ErrorCodes = MODEL_CODES,
): QueryAnswer<T> {
	const { status, body, headers } = answer;
	if (isTransient(answer)) {
		return {
			kind: 'again',
			what,
			why: `it answered with HTTP ${status}`,
			retryAfterMs: readRetryAfterMs(headers, now),
		};
	}
	const isReadable = isSuccess(answer) && errorCodeOf(body) === undefined;
	const value = isReadable ? read(body) : undefined;
	if (value !== undefined) return { kind: 'found', value };
	if (isReadable)
		return { kind: 'again', what, why: 'its answer could not be read', retryAfterMs: undefined };
	const { what: reason, advice } = explainAnswer(answer, withoutInputs(codes));
	const code = errorCodeOf(body);
	const isNotFound = code === undefined ? status === 404 : code === '404001' || code === '400001';
	return {
		kind: 'refused',
		problem: {
			message: `${what}: ${reason}`,
			advice,
			httpStatus: status,
			...omitUndefined({ isNotFound: isNotFound ? (true as const) : undefined }),
		},
	};
}
