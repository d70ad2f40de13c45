import type { ModelQuery, RunComfyClient } from '../api/client';
import type { CatalogueAnswer, ModelEntry } from '../api/models';
import { RunComfyError } from '../api/problems';
import type { Clock, Random } from '../common/clock';
import { omitUndefined } from '../common/omitUndefined';
import { retry } from '../common/retry';
import { StoppedError } from '../common/stoppedError';
import { pagePathOf, type ModelReference } from './modelReference';

export interface CatalogueDependencies {
	client: RunComfyClient;
	clock: Clock;
	random: Random;
	/** n8n's Stop; undefined where the host has none. */
	stopSignal: AbortSignal | undefined;
}

const MAX_TRIES = 4;
/** The most that RunComfy gives at once. [assumed] */
const PAGE_SIZE = 500;
/** A list that never ends is a problem of the server. */
const MAX_PAGES = 40;

/**
 * RunComfy's catalogue for one run of the node, or one question of the editor. Remembers what it has read, but only for so
 * long: the next run may be another account's, or meet another price.
 */
export class Catalogue {
	private readonly models = new Map<string, Promise<ModelEntry>>();
	private readonly pages = new Map<string, Promise<ModelEntry>>();

	constructor(private readonly dependencies: CatalogueDependencies) {}

	/** @throws RunComfyError. */
	async getModel(modelId: string): Promise<ModelEntry> {
		const known = this.models.get(modelId);
		if (known !== undefined) return await known;
		const model = this.ask(async (client, signal) => await client.getModel(modelId, signal));
		this.models.set(modelId, model);
		return await model;
	}

	/**
	 * The model that a user names. The address of a page is usually, but not always, the model's id.
	 * @throws RunComfyError.
	 */
	async find(reference: ModelReference): Promise<ModelEntry> {
		if (reference.kind === 'id') return await this.getModel(reference.modelId);
		const { path } = reference;
		const model = this.pages.get(path) ?? this.findByPage(path);
		this.pages.set(path, model);
		return await model;
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
			throw asRunComfyError(error);
		}
	}

	/**
	 * The entries of the catalogue, page by page, for as long as somebody takes them; each model once. The list ends with a
	 * page that brings nothing new: RunComfy may give smaller pages than asked, and whether its total is right is not known.
	 * @param onCutOff hears when the list goes on further than this node follows it.
	 * @throws RunComfyError.
	 */
	async *entries(
		query: Pick<ModelQuery, 'search' | 'category'>,
		limit = Infinity,
		onCutOff: () => void = () => {},
	): AsyncGenerator<ModelEntry> {
		const given = new Set<string>();
		let offset: number | undefined = 0;
		for (let page = 0; offset !== undefined; page++) {
			if (page >= MAX_PAGES) return onCutOff();
			const size = Math.min(PAGE_SIZE, limit - given.size);
			const { models, next } = await this.page({ ...query, limit: size, offset });
			const fresh = models.filter(({ modelId }) => !given.has(modelId));
			if (models.length > 0 && fresh.length === 0) return;
			for (const entry of fresh) {
				given.add(entry.modelId);
				yield entry;
				if (given.size >= limit) return;
			}
			offset = next;
		}
	}

	/**
	 * One page of the catalogue.
	 * @returns `next`: the offset of the page after it; undefined when this one is empty.
	 * @throws RunComfyError.
	 */
	async page(query: ModelQuery): Promise<{ models: ModelEntry[]; next: number | undefined }> {
		const { search, category } = query;
		const filters = omitUndefined({ search: wholeCharacters(search), category: wholeCharacters(category) });
		const { models, received } = await this.ask(
			async (client, signal) => await client.listModels({ ...query, ...filters }, signal),
		);
		return { models, next: received === 0 ? undefined : query.offset + received };
	}

	/**
	 * A free question, asked again after transient errors.
	 * @throws RunComfyError, StoppedError.
	 */
	async ask<T>(
		question: (client: RunComfyClient, signal: AbortSignal | undefined) => Promise<CatalogueAnswer<T>>,
	): Promise<T> {
		const { client, clock, random, stopSignal } = this.dependencies;
		const answer = await retry(
			async () => {
				const asked = await question(client, stopSignal);
				if (asked.kind !== 'found' && stopSignal?.aborted === true) throw new StoppedError('');
				return asked;
			},
			(asked) => (asked.kind === 'again' ? asked : undefined),
			{ clock, random, maxTries: MAX_TRIES, pause: async (ms) => await clock.sleep(ms, stopSignal) },
		);
		if (answer.kind === 'found') return answer.value;
		if (answer.kind === 'refused') throw new RunComfyError(answer.problem);
		throw new RunComfyError({
			message: `${answer.what}: ${answer.why}`,
			advice: 'Nothing was submitted. Try again later.',
		});
	}
}

/** Half of a character, as a cut-off text may have, cannot stand in an address. */
function wholeCharacters(text: string | undefined): string | undefined {
	return text?.replace(/\p{Surrogate}/gu, '');
}

function asRunComfyError(error: unknown): Error {
	return error instanceof Error ? error : new Error(String(error));
}
