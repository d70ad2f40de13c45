/**
 * A short name for what an item asks for: equal for equal wishes, different for different ones (SHA-256). It tells the
 * ledger whether a retry is about the same purchase, without keeping prompts or files in n8n's execution data.
 */
export async function fingerprintOf(parts: unknown[]): Promise<string> {
	const bytes = new TextEncoder().encode(JSON.stringify(parts));
	return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
}
