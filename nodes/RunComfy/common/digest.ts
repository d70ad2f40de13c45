/** @returns SHA-256 of a text as hexadecimal digits. As UTF-16, because UTF-8 has no half of a character. */
export async function digest(text: string): Promise<string> {
	return Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(text, 'utf16le'))).toString('hex');
}
