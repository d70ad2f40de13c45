import { parseJson } from '../api/json';
import { Transfer, type TransferOptions } from './transfer';

export interface FetchJsonOptions extends Omit<TransferOptions, 'idleMs' | 'totalMs' | 'stop'> {
	/** For the whole file, in milliseconds. */
	deadlineMs: number;
}

/**
 * Reads a JSON file from an address that RunComfy names: a plain GET of a safe address, without the token and without
 * redirects, within limits on size and time.
 * @returns undefined when the address is not safe, or there is no such file, or it is no JSON.
 */
export async function fetchJson(url: string, { deadlineMs, ...options }: FetchJsonOptions): Promise<unknown> {
	const transfer = new Transfer({ ...options, idleMs: deadlineMs, totalMs: deadlineMs });
	try {
		await transfer.open(url, 0);
		return parseJson((await transfer.readAll()).toString('utf8'));
	} catch {
		return undefined;
	} finally {
		transfer.close();
	}
}
