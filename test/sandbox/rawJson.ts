import { randomUUID } from 'node:crypto';

/** JSON text that is sent as it is, because its integers may exceed what a JavaScript number holds. */
export class RawJson {
	constructor(readonly text: string) {}
}

/** A body as JSON text, with the raw parts as they are. */
export function toJson(body: unknown): string {
	const mark = randomUUID();
	const parts: string[] = [];
	const text =
		JSON.stringify(body, (_key, value: unknown) =>
			value instanceof RawJson ? `${mark} ${parts.push(value.text) - 1}` : value,
		) ?? '';
	if (parts.length === 0) return text;
	return text.replace(new RegExp(`"${mark} (\\d+)"`, 'g'), (_match, index) => parts[Number(index)] ?? '');
}
