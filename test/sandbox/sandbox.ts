import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';

import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import sharp from 'sharp';
import { request as httpRequest } from 'undici';

import { omitUndefined } from '../../nodes/RunComfy/common/omitUndefined';
import { CATALOG, costOf, MODEL_ID, withoutQuirks, type SandboxModel } from './catalog';
import { Faults, type CallKind, type CallRule, type FaultRule, type JobFault } from './faults';
import {
	JobStore,
	promptOf,
	stateOf,
	steadyNow,
	type JobInput,
	type Made,
	type SandboxJob,
} from './jobStore';
import { makeAudio, makeImage, makeVideo } from './media';
import { seededRandom } from './random';
import { paletteColors, renderScene } from './scene';

/**
 * A fake of RunComfy's Model API on loopback. It follows the API page where that is specific, and injects network and
 * server faults on request. It calls no RunComfy server.
 */
export interface SandboxOptions {
	/** 0, the default, takes a free one. */
	port?: number;
	token?: string;
	/** How long a job is queued, and how long it then runs, in milliseconds: fixed, or by its number (in order of arrival) and prompt. */
	queueMs?: Duration;
	runMs?: Duration;
	/** `scene` fetches the input and really makes a picture; `plain` serves a ready one, for many jobs at once. */
	pictures?: 'scene' | 'plain';
	/** Size of a plain picture; large ones are made up while they are sent. */
	pictureBytes?: number;
	/** Of every request, instead of the catalog's price; null reports none. */
	costUsd?: number | null;
	balanceUsd?: number;
	/** The id of each request, by its number; otherwise a random one. */
	requestId?: (jobNumber: number) => string | number;
	/** Entries that fill the catalog's list, so that it has several pages; they cannot be run. */
	moreModels?: number;
	/** The list comes in pages of no more than this, however many are asked for, and without a total. */
	modelsPerPage?: number;
	/** More models for the catalog. */
	models?: SandboxModel[];
	/** Decides fault rates. */
	seed?: number;
}

type Duration = number | ((jobNumber: number, prompt: string) => number);

export const SANDBOX_TOKEN = 'sandbox-token';
export { MODEL_ID };

/** As RunComfy recommends for inputs. */
const MAX_INPUT_BYTES = 50_000_000;
const INPUT_FETCH_MS = 20_000;
/** Room for a data URI of the largest input. */
const BODY_LIMIT = 110_000_000;

type Answer = { status: number; body: unknown; headers?: Record<string, string> };
type Handler = (request: FastifyRequest) => Answer | Promise<Answer>;

const error = (status: number, code: number, message: string, detail?: unknown): Answer => ({
	status,
	body: { error_code: code, error_message: message, ...omitUndefined({ detail }) },
});

export class Sandbox {
	readonly faults: Faults;
	private readonly store = new JobStore();
	private readonly app: FastifyInstance;
	private readonly hanging = new Set<FastifyReply>();
	private callsInFlight = 0;
	private jobCount = 0;
	private balanceUsd: number;
	private readonly plainPicture: Promise<Buffer>;
	url = '';
	/** Of the latest call that had one. */
	lastBody: unknown;

	private constructor(private readonly options: SandboxOptions) {
		this.faults = new Faults(options.seed ?? 1);
		this.balanceUsd = options.balanceUsd ?? 100;
		this.plainPicture = plainPng(options.seed ?? 1);
		this.app = fastify({
			bodyLimit: BODY_LIMIT,
			forceCloseConnections: true,
			ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
		});
		this.app.setErrorHandler(
			(problem: { statusCode?: number; message: string; validation?: unknown }, _request, reply) => {
				const answer = problem.validation
					? error(422, 422001, problem.message, problem.validation)
					: error(
							problem.statusCode ?? 500,
							problem.statusCode === undefined ? 500001 : 422001,
							problem.message,
						);
				void reply.code(answer.status).send(answer.body);
			},
		);
		this.addRoutes();
	}

	static async start(options: SandboxOptions = {}): Promise<Sandbox> {
		const sandbox = new Sandbox(options);
		sandbox.url = await sandbox.app.listen({ host: '127.0.0.1', port: options.port ?? 0 });
		return sandbox;
	}

	/** Those that can be run. */
	private get models(): SandboxModel[] {
		return [...CATALOG, ...(this.options.models ?? [])];
	}

	private get catalog(): SandboxModel[] {
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

	get stats() {
		return this.store.stats;
	}

	get jobs(): SandboxJob[] {
		return [...this.store.jobs.values()];
	}

	stateOf(requestId: string): string | undefined {
		const job = this.store.jobs.get(requestId);
		return job && stateOf(job);
	}

	/** Forgets jobs, counts and faults. */
	reset(): void {
		this.store.clear();
		this.faults.clear();
		this.jobCount = 0;
		this.balanceUsd = this.options.balanceUsd ?? 100;
	}

	setBalance(usd: number): void {
		this.balanceUsd = usd;
	}

	async close(): Promise<void> {
		for (const reply of this.hanging) reply.raw.destroy();
		await this.app.close();
	}

	private addRoutes(): void {
		const { app } = this;
		app.addHook('preValidation', async ({ body }) => {
			if (body !== undefined) this.lastBody = body;
		});
		const api = '/v1/requests/:requestId';
		for (const model of this.models) {
			app.post(
				`/v1/models/${model.model_id}`,
				{ schema: { body: withoutQuirks(model.input_schema) } },
				this.on('submit', (r) => this.submit(model, r)),
			);
			app.get(
				`/v1/models/${model.model_id}`,
				this.on('model', () => ({ status: 200, body: catalogEntry(model, true) })),
			);
		}
		const unknownModel = () => error(404, 400001, 'Unknown model.');
		app.get('/v1/models/*', this.on('model', unknownModel));
		app.post('/v1/models/*', this.on('submit', unknownModel));
		app.get(
			'/v1/models',
			this.on('models', (r) => listModels(this.catalog, r, this.options.modelsPerPage)),
		);
		app.get(
			'/v1/models/categories',
			this.on('models', () => ({
				status: 200,
				body: { categories: [...new Set(CATALOG.flatMap(({ categories }) => categories))].sort() },
			})),
		);
		app.get(
			`${api}/status`,
			this.on('status', (r) => this.status(r)),
		);
		app.get(
			`${api}/result`,
			this.on('result', (r) => this.result(r)),
		);
		app.post(
			`${api}/cancel`,
			this.on('cancel', (r) => this.cancel(r)),
		);
		app.get(
			'/prod/v2/balance',
			this.on('balance', () => ({ status: 200, body: { balance_usd: this.balanceUsd, currency: 'USD' } })),
		);
		app.get('/outputs/:requestId/:file', async (request, reply) => await this.output(request, reply));
		app.get('/sandbox/stats', async () => this.stats);
		app.get('/sandbox/jobs', async () => this.jobs.map((job) => this.describe(job)));
		app.post('/sandbox/faults', async (request, reply) => {
			const rules = Array.isArray(request.body) ? request.body : [request.body];
			this.faults.add(...(rules as FaultRule[]));
			return await reply.code(204).send();
		});
		app.post('/sandbox/reset', async (_request, reply) => {
			this.reset();
			return await reply.code(204).send();
		});
		app.addContentTypeParser('*', (_request, _payload, done) => done(null));
	}

	private describe(job: SandboxJob) {
		const { requestId, input, submittedAt, endsAt, deliveredAt, polls, statusPolls, cancels } = job;
		return {
			requestId,
			model: job.modelId,
			input,
			prompt: promptOf(input),
			seed: input.seed,
			state: stateOf(job),
			submittedAt,
			endsAt,
			deliveredAt,
			polls,
			statusPolls,
			cancels,
		};
	}

	/** Puts token check, faults and counting around a handler. */
	private on(kind: CallKind, handler: Handler) {
		return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
			this.callsInFlight++;
			this.stats.mostCallsAtOnce = Math.max(this.stats.mostCallsAtOnce, this.callsInFlight);
			try {
				if (request.headers.authorization !== `Bearer ${this.options.token ?? SANDBOX_TOKEN}`) {
					this.stats.refusedTokens++;
					return await send(reply, error(401, 400004, 'The API token is invalid, expired or revoked.'));
				}
				if (kind === 'submit') this.stats.submits++;
				if (kind === 'model') this.stats.modelRequests++;
				const fault = this.faults.forCall(kind, this.subjectOf(request));
				return await this.answer(reply, fault, () => handler(request));
			} finally {
				this.callsInFlight--;
			}
		};
	}

	private subjectOf(request: FastifyRequest) {
		const { requestId } = (request.params ?? {}) as { requestId?: string };
		const job = requestId === undefined ? undefined : this.store.jobs.get(requestId);
		const prompt = promptOf(job?.input ?? (request.body as JobInput | null | undefined));
		return { ...omitUndefined({ requestId }), prompt };
	}

	private async answer(
		reply: FastifyReply,
		fault: CallRule | undefined,
		act: () => Answer | Promise<Answer>,
	) {
		switch (fault?.kind) {
			case 'tooMany':
				return await send(reply, {
					...error(429, 429001, 'Too many requests.'),
					...(fault.retryAfter === undefined ? {} : { headers: { 'retry-after': String(fault.retryAfter) } }),
				});
			case 'serverError':
				return await send(reply, error(500, 500001, 'Internal error.'));
			case 'badGateway':
				return await reply
					.code(502)
					.type('text/html')
					.send(
						'<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>',
					);
			case 'errorCode':
				return await send(reply, {
					...error(200, fault.errorCode ?? 400001, 'Refused, but politely.'),
					status: 200,
				});
			case 'answer':
				if (fault.isDone === true) await act();
				return await send(reply, { status: 200, body: {}, ...fault.answer });
			case 'redirectAway':
				return await reply.redirect(fault.location ?? 'http://127.0.0.1:1/', 307);
			case 'echoToken':
				return await send(reply, error(400, 422001, `Token ${SANDBOX_TOKEN} may not do this.`));
			case 'notReady':
				return await send(reply, error(400, 400005, 'The request is not ready yet.'));
			case 'notFound':
				return await send(reply, error(404, 404001, 'No such request.'));
			case 'lostBefore':
				return this.drop(reply);
			case 'hangBefore':
				return this.hang(reply);
			case 'lostAfter':
				await act();
				return this.drop(reply);
			case 'hangAfter':
				await act();
				return this.hang(reply);
			case 'noId':
				await act();
				return await send(reply, { status: 200, body: { message: 'Thank you.' } });
			case 'truncated': {
				const text = JSON.stringify((await act()).body);
				return await reply
					.code(200)
					.type('application/json')
					.send(text.slice(0, Math.ceil(text.length / 2)));
			}
			case 'slow': {
				const answer = await act();
				await new Promise((resolve) => setTimeout(resolve, fault.delayMs ?? 1_000));
				return await send(reply, answer);
			}
			default:
				return await send(reply, await act());
		}
	}

	private drop(reply: FastifyReply): FastifyReply {
		reply.hijack();
		reply.raw.destroy();
		return reply;
	}

	private hang(reply: FastifyReply): FastifyReply {
		reply.hijack();
		this.hanging.add(reply);
		reply.raw.on('close', () => this.hanging.delete(reply));
		return reply;
	}

	private submit(model: SandboxModel, request: FastifyRequest): Answer {
		const input = request.body as JobInput;
		const prompt = promptOf(input);
		const costUsd = this.options.costUsd ?? costOf(model, input);
		if (this.balanceUsd < costUsd) return error(402, 400002, 'Insufficient balance.');
		this.balanceUsd -= costUsd;
		const number = this.jobCount++;
		const now = steadyNow();
		const duration = (ms: Duration | undefined, otherwise: number) =>
			typeof ms === 'function' ? ms(number, prompt) : (ms ?? otherwise);
		const runsAt = now + duration(this.options.queueMs, 400);
		const fault = this.faults.forJob(prompt);
		const job = this.store.add({
			modelId: model.model_id,
			input,
			submittedAt: now,
			runsAt,
			endsAt: runsAt + duration(this.options.runMs, 800),
			...omitUndefined({ fault }),
			product: this.make(model, input, fault),
			costUsd,
			requestId: this.options.requestId?.(number),
		});
		const base = `${this.url}/v1/requests/${job.requestId}`;
		return {
			status: 200,
			body: {
				request_id: this.options.requestId?.(number) ?? job.requestId,
				status_url: `${base}/status`,
				result_url: `${base}/result`,
				cancel_url: `${base}/cancel`,
			},
		};
	}

	private async make(model: SandboxModel, input: JobInput, fault: JobFault | undefined): Promise<Made> {
		if (fault === 'noUrl') return { files: [], outputOf: () => ({}) };
		const seed = typeof input.seed === 'number' ? input.seed : 70159819;
		const prompt = promptOf(input) || JSON.stringify(input).slice(0, 200);
		const seconds = typeof input.duration === 'number' ? input.duration : 2;
		switch (model.kind) {
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

	private find(request: FastifyRequest): SandboxJob | undefined {
		return this.store.jobs.get((request.params as { requestId: string }).requestId);
	}

	private status(request: FastifyRequest): Answer {
		this.stats.statusPolls++;
		const job = this.find(request);
		if (!job) return error(404, 404001, 'No such request.');
		job.statusPolls++;
		const state = stateOf(job);
		const { requestId } = job;
		return {
			status: 200,
			body: {
				request_id: requestId,
				status: state,
				...(state === 'in_queue' ? { queue_position: this.store.queuePosition(job) } : {}),
				status_url: `${this.url}/v1/requests/${requestId}/status`,
				result_url: `${this.url}/v1/requests/${requestId}/result`,
			},
		};
	}

	private result(request: FastifyRequest): Answer {
		this.stats.resultPolls++;
		const job = this.find(request);
		if (!job) return error(404, 404001, 'No such request.');
		job.polls++;
		const { requestId, submittedAt, endsAt, costUsd } = job;
		const state = stateOf(job);
		const base = { request_id: requestId, created_at: new Date(submittedAt).toISOString() };
		const finished = { finished_at: new Date(endsAt).toISOString() };
		const cost =
			(request.query as { include_cost?: string }).include_cost === 'true' && this.options.costUsd !== null
				? { cost: costUsd }
				: {};
		if (state === 'completed') {
			job.deliveredAt ??= steadyNow();
			return {
				status: 200,
				body: { ...base, status: 'succeeded', output: this.outputOf(job), ...finished, ...cost },
			};
		}
		if (state === 'failed') {
			const message = job.makingError ?? 'The model could not find a subject in the image.';
			return { status: 200, body: { ...base, status: 'failed', error: { message }, ...finished, ...cost } };
		}
		return { status: 200, body: { ...base, status: state } };
	}

	private outputOf({ requestId, made }: SandboxJob): unknown {
		return made?.outputOf(made.files.map(({ name }) => `${this.url}/outputs/${requestId}/${name}`));
	}

	private cancel(request: FastifyRequest): Answer {
		this.stats.cancels++;
		const job = this.find(request);
		if (!job) return error(404, 404001, 'No such request.');
		job.cancels++;
		const wasQueued = stateOf(job) === 'in_queue';
		if (wasQueued) {
			job.cancelledAt = steadyNow();
			this.balanceUsd += job.costUsd;
			this.stats.cancelled++;
		}
		const outcome = wasQueued ? 'cancelled' : 'not_cancellable';
		return { status: 202, body: { request_id: job.requestId, status: 'completed', outcome } };
	}

	/** Finished pictures, without login; faults here are what a hostile or broken file server could do. */
	private async output(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
		this.stats.downloads++;
		if (request.headers.authorization !== undefined) this.stats.tokensAtOutputs++;
		const { requestId, file } = request.params as { requestId: string; file: string };
		const job = this.store.jobs.get(requestId);
		if (!job) return await reply.code(404).send('Not found');
		const fault = (request.query as { redirected?: string }).redirected
			? undefined
			: this.faults.forCall('output', { requestId, prompt: promptOf(job.input) });
		const self = `${this.url}${request.url}`;
		switch (fault?.kind) {
			case 'redirectPrivate':
				return await reply.redirect('http://10.0.0.1/secret.png');
			case 'redirectLoop':
				return await reply.redirect(self);
			case 'redirectOnce':
				return await reply.redirect(`${self}?redirected=1`);
			case 'notImage':
				return await reply
					.type('image/png')
					.send(Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0]));
			case 'webPage':
				return await reply.type('image/png').send('<!doctype html><html><body>Please log in</body></html>');
			case 'empty':
				return await reply.type('image/png').send(Buffer.alloc(0));
			case 'endless':
				return await reply
					.type('image/png')
					.send(Readable.from(pictureChunks(await this.plainPicture, Infinity)));
			case 'tiny':
				return await reply.type('image/gif').send(TINY_PICTURE);
			case 'compressed':
			case 'truncatedGzip': {
				const whole = gzipSync(await this.plainPicture);
				const sent = fault.kind === 'compressed' ? whole : whole.subarray(0, Math.floor(whole.length / 2));
				return await reply.type('image/png').header('content-encoding', 'gzip').send(sent);
			}
			case 'partial':
				return await reply
					.code(206)
					.header('content-range', 'bytes 0-99/200')
					.type('image/png')
					.send((await this.plainPicture).subarray(0, 100));
			case 'noContent':
				return await reply.code(204).send();
			case 'drip': {
				const picture = await this.plainPicture;
				return await reply.type('image/png').send(Readable.from(dripping(picture, fault.delayMs ?? 50)));
			}
			case 'short': {
				reply.hijack();
				const picture = await this.plainPicture;
				reply.raw.writeHead(200, { 'content-type': 'image/png', 'content-length': picture.length + 5_000 });
				reply.raw.write(picture);
				setTimeout(() => reply.raw.destroy(), 50);
				return reply;
			}
			case undefined:
				break;
			default:
				return await this.answer(reply, fault, () => ({ status: 500, body: 'unexpected' }));
		}
		const made = job.made?.files.find(({ name }) => name === file);
		if (made === undefined) return await reply.code(404).send('Not found');
		if (made.bytes.length > 0) return await reply.type(made.mimeType).send(made.bytes);
		const plain = await this.plainPicture;
		const size = Math.max(this.options.pictureBytes ?? 0, plain.length);
		return await reply
			.type('image/png')
			.header('content-length', size)
			.send(Readable.from(pictureChunks(plain, size)));
	}
}

async function send(reply: FastifyReply, { status, body, headers }: Answer): Promise<unknown> {
	return await reply
		.code(status)
		.headers(headers ?? {})
		.send(body);
}

/** A small picture, the same for the same seed. */
async function plainPng(seed: number): Promise<Buffer> {
	const random = seededRandom(seed);
	const background = { r: 255 * random(), g: 255 * random(), b: 255 * random() };
	return await sharp({ create: { width: 64, height: 64, channels: 3, background } })
		.png()
		.toBuffer();
}

const CHUNK_BYTES = 64 * 1024;

/** A picture followed by as much padding as it takes; a PNG may have bytes after its end. */
function* pictureChunks(picture: Buffer, size: number): Generator<Buffer> {
	yield picture;
	const padding = Buffer.alloc(CHUNK_BYTES);
	for (let left = size - picture.length; left > 0; left -= CHUNK_BYTES) {
		yield left >= CHUNK_BYTES ? padding : padding.subarray(0, left);
	}
}

/** A complete picture, shorter than the bytes that type detection reads. */
export const TINY_PICTURE = Buffer.from('GIF89a\x01\0\x01\0\0\0\0;', 'latin1');

async function* dripping(picture: Buffer, everyMs: number): AsyncGenerator<Buffer> {
	yield picture;
	for (;;) {
		await new Promise((resolve) => setTimeout(resolve, everyMs));
		yield Buffer.alloc(4);
	}
}

/** Fetches an input as RunComfy's servers do: without login, with limits on time and size; a data URI is unpacked. */
async function fetchInput(image: string): Promise<Buffer> {
	const dataUri = /^data:image\/[a-z]+;base64,(.+)$/s.exec(image);
	if (dataUri) return Buffer.from(dataUri[1] ?? '', 'base64');
	const { statusCode, body } = await httpRequest(image, {
		headersTimeout: INPUT_FETCH_MS,
		bodyTimeout: INPUT_FETCH_MS,
		signal: AbortSignal.timeout(INPUT_FETCH_MS),
	});
	if (statusCode !== 200) {
		await body.dump();
		throw new Error(`The input image could not be fetched (HTTP ${statusCode}).`);
	}
	const chunks: Buffer[] = [];
	let total = 0;
	for await (const chunk of body) {
		total += (chunk as Buffer).length;
		if (total > MAX_INPUT_BYTES) throw new Error('The input image is larger than 50 MB.');
		chunks.push(chunk as Buffer);
	}
	return Buffer.concat(chunks);
}

function oneFile(kind: string, name: string, mimeType: string, bytes: Buffer): Made {
	return { files: [{ bytes, mimeType, name }], outputOf: ([url]) => ({ [kind]: url }) };
}

function catalogEntry({ input_schema: schema, ...entry }: SandboxModel, withSchema: boolean) {
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

/** A digest for comparing pictures in tests. */
export function digest(bytes: Buffer): string {
	return createHash('sha256').update(bytes).digest('hex');
}
