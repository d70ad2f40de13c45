/** True for a value that the user has left empty, or that an expression did not fill: undefined, null, or a blank text. */
export function isEmpty(value: unknown): boolean {
	return value === undefined || value === null || (typeof value === 'string' && value.trim() === '');
}
