import { isJsonObject, numberOf, textOf } from './json';

/** Pure reader of the balance, which is known only from RunComfy's own clients [assumed]. */

export interface Balance {
	balance: number;
	currency: string;
}

/** @returns undefined when the answer holds no balance. */
export function readBalance(body: unknown): Balance | undefined {
	if (!isJsonObject(body)) return undefined;
	const balance = numberOf(body, 'balance_usd');
	return balance === undefined ? undefined : { balance, currency: textOf(body, 'currency') ?? 'USD' };
}
