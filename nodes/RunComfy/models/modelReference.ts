import { isModelId } from '../api/modelApi';

/** How a user refers to a model. Pure. */
export type ModelReference =
	| { kind: 'id'; modelId: string }
	/** The path of a model's page, which is not always its ID. */
	| { kind: 'page'; path: string };

/** Longer texts are no IDs or URLs; the limit keeps the patterns fast. */
const MAX_LENGTH = 1_000;

/** The parts of RunComfy's URLs before and after the path of the model. */
const BEFORE_NAME = /^\/(?:[a-z]{2}(?:-[a-z]{2})?\/)?(?:(?:v1\/)?models|playground)\//i;
const AFTER_NAME = /\/(api|playground|examples|readme|pricing)?\/*$/i;

/**
 * Reads the ID of a model, the URL of its page, or its URL in the API.
 * @returns undefined when the text can be none of these.
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

/** The path of the model in a RunComfy URL; undefined for other URLs and for invalid ones. */
export function pagePathOf(address: string): string | undefined {
	if (address.length > MAX_LENGTH || !URL.canParse(address)) return undefined;
	const { pathname, hostname } = new URL(address);
	if (!/(^|\.)runcomfy\.(com|net)$/.test(hostname) || !BEFORE_NAME.test(pathname)) return undefined;
	// The path needs no decoding: an ID has no characters that a URL encodes.
	const path = pathname.replace(BEFORE_NAME, '').replace(AFTER_NAME, '').replace(/\/+$/, '');
	return isModelId(path) ? path : undefined;
}
