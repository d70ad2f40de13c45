import type { Answer } from '../api/answers';
import type { FreeQuery } from '../api/http';
import { getModel, listModels, type ModelEntry, type ModelQuery } from '../api/modelApi';
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
const PAGE_SIZE = 500;
/** Ends a list that the server never ends. */
const MAX_PAGES = 40;

/**
 * RunComfy's model catalog for one run of the node, or one request of the editor. It caches what it has read, and does
 * not outlive the run: the next run may use another account, and prices may change.
 */
export class Catalog {
	private readonly models = new Map<string, Promise<ModelEntry>>();
	/** Models by the path of their page on RunComfy's site. */
	private readonly byPath = new Map<string, Promise<ModelEntry>>();
	/** Pages of the list, by what was asked for. */
	private readonly pages = new Map<string, Promise<CatalogPage>>();

	constructor(private readonly query: FreeQuery) {}

	/**
	 * The entry of one model, cached.
	 * @throws RunComfyError.
	 */
	async getModel(modelId: string): Promise<ModelEntry> {
		return await cached(
			this.models,
			modelId,
			async () =>
				await this.query(async (http, signal) =>
					explainUnknownModel(await getModel(http, modelId, signal), modelId),
				),
		);
	}

	/**
	 * The model that a user refers to. The path of a model's page is usually, but not always, the model's ID.
	 * @throws RunComfyError.
	 */
	async find(reference: ModelReference): Promise<ModelEntry> {
		if (reference.kind === 'id') return await this.getModel(reference.modelId);
		const { path } = reference;
		return await cached(this.byPath, path, async () => await this.findByPage(path));
	}

	private async findByPage(path: string): Promise<ModelEntry> {
		try {
			return await this.getModel(path);
		} catch (error) {
			const isUnknown = error instanceof RunComfyError && error.problem.isNotFound === true;
			for await (const entry of isUnknown ? this.entries({}) : []) {
				if (entry.url !== undefined && pagePathOf(entry.url) === path)
					return await this.getModel(entry.modelId);
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
			const size = Math.min(PAGE_SIZE, limit - seen.size);
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
		return await cached(this.pages, JSON.stringify(query), async () => await this.readPage(query));
	}

	private async readPage(query: ModelQuery): Promise<CatalogPage> {
		const search = wholeCharacters(query.search);
		const category = wholeCharacters(query.category);
		const { models, received } = await this.query(
			async (http, signal) => await listModels(http, { ...query, search, category }, signal),
		);
		return { models, next: received === 0 ? undefined : query.offset + received };
	}
}

/** An unknown model: the message names it, and the advice says where to find the right one. */
function explainUnknownModel(answer: Answer<ModelEntry>, modelId: string): Answer<ModelEntry> {
	if (answer.kind !== 'refused' || answer.problem.isNotFound !== true) return answer;
	const message = `RunComfy has no model “${modelId}”`;
	const advice = 'Choose the model from the list, or copy its ID or URL from its page on RunComfy.';
	return { ...answer, problem: { ...answer.problem, message, advice } };
}

/** Removes halves of surrogate pairs, as at the end of a cut-off text: they cannot be part of a URL. */
function wholeCharacters(text: string | undefined): string | undefined {
	return text?.replace(/\p{Surrogate}/gu, '');
}
