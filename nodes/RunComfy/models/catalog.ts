import type { FreeQuery } from '../api/http';
import { type ModelEntry, type ModelQuery, queryModel, queryModels } from '../api/modelApi';
import { RunComfyError } from '../api/problems';
import { toError } from '../util/errors';
import { cached } from '../util/values';
import { type ModelReference, pagePathOf } from './modelReference';

export interface CatalogPage {
	models: ModelEntry[];
	/** The offset of the next page; undefined when this page is empty. */
	next: number | undefined;
}

/** The most models that RunComfy returns in one page [assumed]. */
const MAX_PAGE_SIZE = 500;
/** Ends a list that the server never ends. */
const MAX_PAGES = 40;

/**
 * RunComfy's model catalog for one run of the node, or one request of the editor. It caches what it has read, and does
 * not outlive the run: the next run may use another account, and prices may change.
 */
export class Catalog {
	private readonly models = new Map<string, Promise<ModelEntry>>();
	/** Pages of the list, by what was asked for. */
	private readonly pages = new Map<string, Promise<CatalogPage>>();

	constructor(private readonly query: FreeQuery) {}

	/**
	 * The entry of one model, cached.
	 * @throws RunComfyError.
	 */
	async getModel(modelId: string): Promise<ModelEntry> {
		const read = async () => await this.query((http) => queryModel(http, modelId));
		return await cached(this.models, modelId, read);
	}

	/**
	 * The model that a user refers to. The path of a model's page is usually, but not always, the model's ID.
	 * @throws RunComfyError.
	 */
	async find(reference: ModelReference): Promise<ModelEntry> {
		if (reference.kind === 'id') return await this.getModel(reference.modelId);
		const { path } = reference;
		try {
			return await this.getModel(path);
		} catch (error) {
			const isUnknown = error instanceof RunComfyError && error.problem.isNotFound === true;
			for await (const { url, modelId } of isUnknown ? this.entries({}) : []) {
				if (url !== undefined && pagePathOf(url) === path) return await this.getModel(modelId);
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
	async *entries(
		query: Pick<ModelQuery, 'search' | 'category'>,
		limit = Infinity,
		onCutOff: () => void = () => {},
	): AsyncGenerator<ModelEntry> {
		const seen = new Set<string>();
		let offset: number | undefined = 0;
		for (let page = 0; offset !== undefined; page++) {
			if (page >= MAX_PAGES) return onCutOff();
			const size = Math.min(MAX_PAGE_SIZE, limit - seen.size);
			const { models, next } = await this.page({ ...query, limit: size, offset });
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
	 * One page of the catalog, cached.
	 * @throws RunComfyError.
	 */
	async page(query: ModelQuery): Promise<CatalogPage> {
		return await cached(this.pages, JSON.stringify(query), async () => {
			const { models, received } = await this.query((http) => queryModels(http, query));
			return { models, next: received === 0 ? undefined : query.offset + received };
		});
	}
}
