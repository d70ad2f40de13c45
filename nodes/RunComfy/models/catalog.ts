import type { FreeQuery } from '../api/http';
import { type ModelEntry, type ModelQuery, queryModel, queryModels } from '../api/modelApi';
import { RunComfyError } from '../api/problems';
import { toError } from '../util/errors';
import { type ModelReference, pagePathOf } from './modelReference';

/** RunComfy's model catalog. */

/** The most models that RunComfy returns in one page [assumed]. */
const MAX_PAGE_SIZE = 500;
/** Ends a list that the server never ends. */
const MAX_PAGES = 40;

/**
 * The model that a user refers to. The path of a model's page is usually, but not always, the model's ID.
 * @throws RunComfyError.
 */
export async function findModel(query: FreeQuery, reference: ModelReference): Promise<ModelEntry> {
	const getModel = async (modelId: string) => await query((http) => queryModel(http, modelId));
	if (reference.kind === 'id') return await getModel(reference.modelId);
	const { path } = reference;
	try {
		return await getModel(path);
	} catch (error) {
		const isUnknown = error instanceof RunComfyError && error.problem.isNotFound === true;
		for await (const { url, modelId } of isUnknown ? listModels(query, {}) : []) {
			if (url !== undefined && pagePathOf(url) === path) return await getModel(modelId);
		}
		throw toError(error);
	}
}

/**
 * The entries of the catalog without duplicates. Pages are fetched only as they are needed. The list ends with a page
 * that holds no new model: RunComfy may return smaller pages than requested, and its total may be wrong [assumed].
 * @param onCutOff called when there may be more models than this node reads.
 * @throws RunComfyError.
 */
export async function* listModels(
	query: FreeQuery,
	filters: Pick<ModelQuery, 'search' | 'category'>,
	limit = Infinity,
	onCutOff: () => void = () => {},
): AsyncGenerator<ModelEntry> {
	const seen = new Set<string>();
	let offset: number | undefined = 0;
	for (let page = 0; offset !== undefined; page++) {
		if (page >= MAX_PAGES) return onCutOff();
		const size = Math.min(MAX_PAGE_SIZE, limit - seen.size);
		const { models, next } = await queryModelPage(query, { ...filters, limit: size, offset });
		const fresh = models.filter(({ modelId }) => !seen.has(modelId));
		if (models.length > 0 && fresh.length === 0) return;
		for (const entry of fresh) {
			seen.add(entry.modelId);
			yield entry;
			if (seen.size >= limit) return;
		}
		offset = next;
	}
}

/**
 * One page of the catalog.
 * @returns the models, and the offset of the next page, which is undefined when this one is empty.
 * @throws RunComfyError.
 */
export async function queryModelPage(
	query: FreeQuery,
	wanted: ModelQuery,
): Promise<{ models: ModelEntry[]; next: number | undefined }> {
	const { models, received } = await query((http) => queryModels(http, wanted));
	return { models, next: received === 0 ? undefined : wanted.offset + received };
}
