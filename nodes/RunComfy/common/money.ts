/** Amounts in USD that differ by less count as equal, because floating-point sums of cents are not exact. */
export const TOLERANCE_USD = 1e-9;

/** `$0.06`; with up to four decimals when two are not enough. */
export function dollars(usd: number): string {
	const cents = usd.toFixed(2);
	return `$${Math.abs(Number(cents) - usd) < TOLERANCE_USD ? cents : String(Number(usd.toFixed(4)))}`;
}
