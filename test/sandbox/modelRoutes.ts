import type { FastifyInstance, FastifyRequest } from 'fastify';

import { error, type Answer, type Calls } from './calls';
import { CATALOG, costOf, MODEL_ID, withoutQuirks, type SandboxModel } from './catalog';
import type { JobFault } from './faults';
import type { FileServer } from './files';
import { fetchInput } from './inputs';
import type { JobInput, Made } from './jobStore';
import { makeAudio, makeImage, makeVideo } from './media';
import type { Queue, RequestApi } from './queue';
import { paletteColors, renderScene } from './scene';

export interface ModelOptions {
	/** `scene` fetches the input and really makes a picture; `plain` serves a ready one, for many jobs at once. */
	pictures?: 'scene' | 'plain';
	/** Of every request, instead of the catalog's price; null reports none. */
	costUsd?: number | null;
	/** Entries that fill the catalog's list, so that it has several pages; they cannot be run. */
	moreModels?: number;
	/** The list comes in pages of no more than this, however many are asked for, and without a total. */
	modelsPerPage?: number;
	/** More models for the catalog. */
	models?: SandboxModel[];
}

/** The Model API: the catalog, and requests to its models. */
export class ModelRoutes {
	private readonly requests: RequestApi;

	constructor(
		private readonly calls: Calls,
		private readonly queue: Queue,
		files: FileServer,
		private readonly options: ModelOptions,
		origin: () => string,
	) {
		const costFor = (costUsd: number, request?: FastifyRequest) =>
			(request?.query as { include_cost?: string } | undefined)?.include_cost === 'true' &&
			options.costUsd !== null
				? { cost: costUsd }
				: {};
		this.requests = {
			route: '/v1/requests/:requestId',
			urlOf: ({ requestId }) => `${origin()}/v1/requests/${requestId}`,
			has: ({ modelId }) => modelId !== undefined,
			status: (_job, state) => ({ status: state }),
			succeeded: (job, request) => ({
				output: job.made?.outputOf(files.urlsOf(job)),
				...costFor(job.costUsd, request),
			}),
			failed: (job, request) => ({
				error: { message: job.makingError ?? 'The model could not find a subject in the image.' },
				...costFor(job.costUsd, request),
			}),
			isCancellable: (state) => state === 'in_queue',
		};
	}

	addRoutes(app: FastifyInstance): void {
		const { calls } = this;
		const promptOfBody = ({ body }: FastifyRequest) => promptOf(body);
		for (const model of this.models) {
			app.post(
				`/v1/models/${model.model_id}`,
				calls.on(
					'submit',
					(request) => findProblem(model, request) ?? this.submit(model, request.body as JobInput),
					{
						promptOf: promptOfBody,
					},
				),
			);
			app.get(
				`/v1/models/${model.model_id}`,
				calls.on('model', () => ({ status: 200, body: catalogEntry(model, true) })),
			);
		}
		const unknownModel = () => error(404, 400001, 'Unknown model.');
		app.get('/v1/models/*', calls.on('model', unknownModel));
		app.post('/v1/models/*', calls.on('submit', unknownModel, { promptOf: promptOfBody }));
		app.get(
			'/v1/models',
			calls.on('models', (request) => listModels(this.list, request, this.options.modelsPerPage)),
		);
		app.get(
			'/v1/models/categories',
			calls.on('models', () => ({
				status: 200,
				body: { categories: [...new Set(CATALOG.flatMap(({ categories }) => categories))].sort() },
			})),
		);
		this.queue.addRoutes(app, this.requests);
	}

	/** Those that can be run. */
	private get models(): SandboxModel[] {
		return [...CATALOG, ...(this.options.models ?? [])];
	}

	private get list(): SandboxModel[] {
		const [sample] = CATALOG;
		if (sample === undefined) return [];
		const fillers = Array.from({ length: this.options.moreModels ?? 0 }, (_, n) => ({
			...sample,
			model_id: `filler/model-${n}`,
			display_name: `Filler ${n}`,
			description: '',
			model_url: `https://www.runcomfy.com/models/filler/model-${n}`,
		}));
		return [...fillers, ...this.models];
	}

	private submit(model: SandboxModel, input: JobInput): Answer {
		const work = {
			runs: { modelId: model.model_id },
			input,
			prompt: promptOf(input),
			costUsd: this.options.costUsd ?? costOf(model, input),
			make: async (fault: JobFault | undefined) => await this.make(model, input, fault),
		};
		return this.queue.submit(work, this.requests);
	}

	private async make(model: SandboxModel, input: JobInput, fault: JobFault | undefined): Promise<Made> {
		if (fault === 'noUrl') return { files: [], outputOf: () => ({}) };
		const seed = typeof input.seed === 'number' ? input.seed : 70159819;
		const prompt = promptOf(input) || JSON.stringify(input).slice(0, 200);
		const seconds = typeof input.duration === 'number' ? input.duration : 2;
		switch (model.makes) {
			case 'text':
				return { files: [], outputOf: () => ({ text: 'A picture with lights in it.', image: null }) };
			case 'audio':
				return oneFile('audio', 'song.wav', 'audio/wav', makeAudio(prompt, seed, seconds));
			case 'video':
				return oneFile('video', 'video.mp4', 'video/mp4', await makeVideo(prompt, seed, seconds));
			case 'image': {
				const asked = typeof input.num_images === 'number' ? input.num_images : 1;
				const images = await this.makeImages(model, input, prompt, seed, fault === 'manyImages' ? 3 : asked);
				const name = model.model_id === MODEL_ID ? 'replaced-background' : 'image';
				return {
					files: images.map((bytes, i) => ({
						bytes,
						mimeType: 'image/png',
						name: `${name}${i === 0 ? '' : `-${i + 1}`}.png`,
					})),
					outputOf: (urls) => ({ image: urls[0], ...(urls.length > 1 ? { images: urls } : {}) }),
				};
			}
		}
	}

	/** A ready picture is marked by having no bytes: it is made up while it is sent. */
	private async makeImages(
		model: SandboxModel,
		input: JobInput,
		prompt: string,
		seed: number,
		count: number,
	): Promise<Buffer[]> {
		const numbers = Array.from({ length: count }, (_, i) => i);
		if (this.options.pictures === 'plain') return numbers.map(() => Buffer.alloc(0));
		if (model.model_id !== MODEL_ID) {
			return await Promise.all(numbers.map(async (i) => await makeImage(prompt, seed + i)));
		}
		const image = await fetchInput(String(input.image));
		const palette = paletteColors(input.color_palette);
		const orders = numbers.map((i) => ({ image, prompt, seed: seed + i, palette }));
		return await Promise.all(orders.map(renderScene));
	}
}

/** Of all sandboxes of this process: to compile a schema takes longer than most of what a test does. */
const VALIDATORS = new WeakMap<SandboxModel, ReturnType<FastifyRequest['compileValidationSchema']>>();

/** What is wrong with an input by the model's schema. */
function findProblem(model: SandboxModel, request: FastifyRequest): Answer | undefined {
	const isValid =
		VALIDATORS.get(model) ?? request.compileValidationSchema(withoutQuirks(model.input_schema) as object);
	VALIDATORS.set(model, isValid);
	if (isValid(request.body) === true) return undefined;
	const [first] = isValid.errors ?? [];
	return error(422, 422001, `body${first?.instancePath} ${first?.message}`, isValid.errors);
}

/** Not every model has one. */
function promptOf(input: unknown): string {
	const { prompt } = (input ?? {}) as JobInput;
	return typeof prompt === 'string' ? prompt : '';
}

function oneFile(kind: string, name: string, mimeType: string, bytes: Buffer): Made {
	return { files: [{ bytes, mimeType, name }], outputOf: ([url]) => ({ [kind]: url }) };
}

function catalogEntry({ input_schema: schema, makes: _makes, ...entry }: SandboxModel, withSchema: boolean) {
	return {
		...entry,
		inputs: Object.keys(schema.properties),
		required_inputs: schema.required ?? [],
		...(withSchema ? { input_schema: schema } : {}),
	};
}

const MAX_PAGE = 500;

/** The catalog, searched and paged as RunComfy's own clients do it. */
function listModels(catalog: SandboxModel[], request: FastifyRequest, perPage = Infinity): Answer {
	const query = request.query as Record<string, string | undefined>;
	const { search = '', category, kind } = query;
	const limit = Math.min(Number(query.limit ?? 100), MAX_PAGE);
	const offset = Number(query.offset ?? 0);
	if (!(limit >= 1) || !(offset >= 0)) return error(422, 422001, 'limit or offset is out of range');
	const found = catalog.filter(
		({ model_id: id, display_name: name, description, categories, kind: itsKind }) =>
			`${id} ${name} ${description}`.toLowerCase().includes(search.toLowerCase()) &&
			(category === undefined || categories.includes(category)) &&
			(kind === undefined || itsKind === kind),
	);
	const models = found
		.slice(offset, offset + Math.min(limit, perPage))
		.map((model) => catalogEntry(model, query.include_schema === 'true'));
	const total = perPage === Infinity ? { total: found.length } : {};
	return { status: 200, body: { models, ...total, limit, offset } };
}
