import { isModelId } from '../api/models';

/** How a user names a model. Pure. */
export type ModelReference =
	| { kind: 'id'; modelId: string }
	/** The path of a model's page, which is not always its id. */
	| { kind: 'page'; path: string };

/** No id and no address is longer; patterns are slow on longer texts. */
const MAX_LENGTH = 1_000;

/** Parts of RunComfy's addresses around what names the model. */
const BEFORE_NAME = /^\/(?:[a-z]{2}(?:-[a-z]{2})?\/)?(?:v1\/)?models\//i;
const AFTER_NAME = /\/(api|playground|examples|readme|pricing)?\/*$/i;

/**
 * Reads an id, the address of a model's page, or its address in the API.
 * @returns undefined when it can be none of these.
 */
export function readModelReference(text: string): ModelReference | undefined {
	if (text.length > MAX_LENGTH) return undefined;
	const trimmed = text.trim();
	if (!/^https?:\/\//i.test(trimmed)) {
		const modelId = trimmed.replace(/^\/+|\/+$/g, '');
		return isModelId(modelId) ? { kind: 'id', modelId } : undefined;
	}
	const path = pagePathOf(trimmed);
	return path === undefined ? undefined : { kind: 'page', path };
}

/** What names the model in an address of RunComfy's; undefined for other addresses, and for broken ones. */
export function pagePathOf(address: string): string | undefined {
	if (address.length > MAX_LENGTH || !URL.canParse(address)) return undefined;
	const { pathname, hostname } = new URL(address);
	if (!/(^|\.)runcomfy\.(com|net)$/.test(hostname) || !BEFORE_NAME.test(pathname)) return undefined;
	// An id holds nothing that an address would have to write with a percent sign.
	const path = pathname.replace(BEFORE_NAME, '').replace(AFTER_NAME, '').replace(/\/+$/, '');
	return isModelId(path) ? path : undefined;
}
