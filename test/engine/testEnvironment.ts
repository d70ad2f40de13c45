import type { ILoadOptionsFunctions, INode, INodeExecutionData, INodeType, IRun } from 'n8n-workflow';

import { RunComfyApi } from '../../credentials/RunComfyApi.credentials';
import { executeRunComfy } from '../../nodes/RunComfy/execute';
import { type Runtime, systemRuntime } from '../../nodes/RunComfy/n8n/runtime';
import type { Clock } from '../../nodes/RunComfy/util/time';
import { omitUndefined } from '../../nodes/RunComfy/util/values';
import type { Duration } from '../sandbox/queue';
import { Sandbox, SANDBOX_TOKEN, type SandboxOptions } from '../sandbox/sandbox';
import { buildWorkflow, RUNCOMFY_TYPE, workflowNode } from '../workflow';
import { Engine, type EngineExecution, type EngineOptions, type EngineWorkflow } from './engine';
import { loop, passThrough, source } from './fakeNodes';
import { RunComfy } from '../../nodes/RunComfy/RunComfy.node.js';

/** The node on n8n's engine against a sandbox, set up in one line. */
export interface TestEnvironmentOptions {
	/** Its `queueMs`, `runMs` and `coldStartMs` are in the node's time. */
	sandbox?: SandboxOptions;
	items?: INodeExecutionData[];
	credential?: Record<string, string>;
	binaryMode?: EngineOptions['binaryMode'];
	/** Called whenever n8n reads the credential. */
	beforeDecrypt?: () => Promise<void>;
	/** Shorter timeouts than the real ones, in real milliseconds. With a clock of its own, time passes as that one says. */
	runtime?: Partial<Runtime>;
	/** How many times as fast the node's time passes; 1 for what depends on real time. */
	speed?: number;
	/** Node settings such as retryOnFail or onError. */
	settings?: Partial<INode>;
	loops?: number;
	/** More node types, some of them made of the node. */
	nodes?: (node: RunComfy) => Record<string, INodeType>;
}

/** The shortest interval that the node allows. */
export const FAST = { pollInterval: 0.2 };
/**
 * Most of what a test of the node would take is waiting: for polls, pauses and timeouts. Calls over the wire are real, so
 * the timeouts of calls, downloads and Stop stay as long as they are, and much more speed would leave a poll that is cut
 * off at a deadline too little time on a busy machine.
 */
const SPEED = 5;
export const IMAGE_URL = 'https://example.com/product.png';

export function items(count: number): INodeExecutionData[] {
	return Array.from({ length: count }, (_, n) => ({ json: { n } }));
}

export interface LogLine {
	level: string;
	message: string;
}

/** What the running test has opened. Outside Jest, whoever opens an environment closes it. */
const opened: TestEnvironment[] = [];
if (typeof afterEach === 'function') {
	afterEach(async () => void (await Promise.all(opened.splice(0).map(async (env) => await env.close()))));
}

/** One environment for all tests of a `describe`, with an empty sandbox for each. */
export function sharedEnvironment(options: TestEnvironmentOptions = {}): () => TestEnvironment {
	let env: TestEnvironment;
	beforeAll(async () => void (env = await TestEnvironment.create(options)));
	beforeEach(() => env.sandbox.reset());
	afterAll(async () => await env.close());
	return () => env;
}

export class TestEnvironment {
	private constructor(
		readonly sandbox: Sandbox,
		readonly engine: Engine,
		/** What n8n has logged so far. */
		readonly log: LogLine[],
		/** Every run of the node, including retries; after Stop, n8n itself no longer waits for them. */
		readonly tries: Array<Promise<unknown>>,
		private readonly options: TestEnvironmentOptions,
	) {}

	/** Is closed after the test. */
	static async open(options: TestEnvironmentOptions = {}): Promise<TestEnvironment> {
		const env = await TestEnvironment.create(options);
		opened.push(env);
		return env;
	}

	static async create(options: TestEnvironmentOptions = {}): Promise<TestEnvironment> {
		const speed = options.speed ?? (options.runtime?.clock === undefined ? SPEED : 1);
		const sandbox = await Sandbox.start(
			quickly(speed, { pictures: 'plain', queueMs: 0, runMs: 100, ...options.sandbox }),
		);
		const log: LogLine[] = [];
		const tries: Array<Promise<unknown>> = [];
		const node = nodeWith(runtimeOf(speed, options.runtime), tries);
		const engine = await Engine.create({
			nodes: {
				source: source(options.items ?? items(1)),
				passThrough,
				loop: loop(options.loops ?? 0),
				[RUNCOMFY_TYPE]: node,
				...options.nodes?.(node),
			},
			credentialType: new RunComfyApi(),
			credential: {
				apiToken: SANDBOX_TOKEN,
				useCustomUrls: true,
				baseUrl: sandbox.url,
				platformBaseUrl: sandbox.url,
				...options.credential,
			},
			log: (level, message) => log.push({ level, message }),
			...omitUndefined({ binaryMode: options.binaryMode, beforeDecrypt: options.beforeDecrypt }),
		});
		return new TestEnvironment(sandbox, engine, log, tries, options);
	}

	/** Presses Stop and waits until the node itself has ended. @returns how long that took, in milliseconds. */
	async stop(execution: EngineExecution): Promise<number> {
		const from = performance.now();
		execution.stop();
		await Promise.allSettled(this.tries);
		return performance.now() - from;
	}

	/** Lets the jobs whose prompt contains this end now, so that a test need not know how long they take. */
	endJobs(prompt = ''): void {
		for (const job of this.sandbox.jobs) if (job.prompt.includes(prompt)) job.runsAt = job.endsAt = 0;
	}

	/** The log line that reports what Stop has done. */
	get stopReports(): string[] {
		return this.log
			.filter(({ message }) => message.startsWith('RunComfy: stopped'))
			.map(({ message }) => message);
	}

	async close(): Promise<void> {
		await this.sandbox.close();
	}

	/** The node with these parameters, and defaults for the rest, in the shortest workflow. */
	workflow(parameters: Record<string, unknown>, settings: Partial<INode> = {}): EngineWorkflow {
		const { resource = 'image' } = parameters;
		const imageFields = { operation: 'replaceBackground', imageUrl: IMAGE_URL, prompt: 'A beach' };
		return buildWorkflow({
			start: [workflowNode('Start', 'source')],
			...(this.options.loops === undefined ? {} : { loop: workflowNode('Loop', 'loop') }),
			parameters: {
				...(resource === 'image' ? { resource, ...imageFields } : {}),
				...parameters,
				options: {
					...(resource === 'image' || resource === 'model' ? FAST : {}),
					...(parameters.options as object | undefined),
				},
			},
			credential: { id: '1', name: 'RunComfy' },
			settings: { ...this.options.settings, ...settings },
			endType: 'passThrough',
		});
	}

	/** The context that n8n gives to a list of the editor, for the node with these parameters. */
	editorContext(parameters: Record<string, unknown>): ILoadOptionsFunctions {
		const definition = this.workflow(parameters);
		const node = definition.nodes.find(({ name }) => name === 'RunComfy');
		if (node === undefined) throw new Error('No node');
		return this.engine.editorContext(definition, node);
	}

	start(parameters: Record<string, unknown> = {}, settings: Partial<INode> = {}): EngineExecution {
		return this.engine.start(this.workflow(parameters, settings));
	}

	/** n8n's “Retry execution” of a failed one, with the workflow as it is now. */
	retry(failed: IRun, parameters: Record<string, unknown> = {}): EngineExecution {
		const workflow = this.workflow(parameters, {});
		// What n8n keeps in its database, as n8n's own retry prepares it.
		const data = structuredClone(JSON.parse(JSON.stringify(failed.data))) as IRun['data'];
		delete data.resultData.error;
		data.resultData.runData.RunComfy?.pop();
		for (const entry of data.executionData?.nodeExecutionStack ?? []) {
			entry.node = workflow.nodes.find(({ name }) => name === entry.node.name) ?? entry.node;
		}
		return this.engine.start(workflow, 'trigger', data);
	}

	async run(parameters: Record<string, unknown> = {}, settings: Partial<INode> = {}): Promise<IRun> {
		return await this.start(parameters, settings).done;
	}
}

/** A sandbox whose jobs take the stated time by a clock of this speed. */
function quickly(speed: number, options: SandboxOptions): SandboxOptions {
	const { queueMs = 0, runMs = 0, coldStartMs = 0 } = options;
	const scaled =
		(ms: Duration): Duration =>
		(jobNumber, prompt) =>
			(typeof ms === 'function' ? ms(jobNumber, prompt) : ms) / speed;
	return { ...options, queueMs: scaled(queueMs), runMs: scaled(runMs), coldStartMs: coldStartMs / speed };
}

/** The system's runtime on a faster clock; what is measured by that clock but is real work has as long as ever. */
function runtimeOf(speed: number, own: Partial<Runtime> = {}): Runtime {
	const { clock, callTimeouts, stopGraceMs, downloadIdleMs, random } = { ...systemRuntime, ...own };
	const { submitMs, pollMs, cancelMs } = callTimeouts;
	const fasterClock: Clock = {
		...clock,
		now: () => clock.now() * speed,
		sleep: async (ms, signal) => await clock.sleep(ms / speed, signal),
	};
	return {
		random,
		clock: speed === 1 ? clock : fasterClock,
		callTimeouts: { submitMs: submitMs * speed, pollMs: pollMs * speed, cancelMs: cancelMs * speed },
		stopGraceMs: stopGraceMs * speed,
		downloadIdleMs: downloadIdleMs * speed,
	};
}

/** The node with the given runtime instead of the system's; records its runs. */
function nodeWith(runtime: Runtime, tries: Array<Promise<unknown>>): RunComfy {
	const node = new RunComfy();
	node.execute = async function () {
		const running = executeRunComfy(this, runtime);
		tries.push(running);
		return await running;
	};
	return node;
}

/** The items of a node's output in its last, or n-th, run. */
export function outputItems(run: IRun, node = 'RunComfy', output = 0, turn?: number): INodeExecutionData[] {
	const turns = run.data.resultData.runData[node] ?? [];
	return turns[turn ?? turns.length - 1]?.data?.main?.[output] ?? [];
}

/** The error that ended the workflow. */
export function failure(run: IRun): { message: string; description: string; itemIndex?: number } {
	const error = run.data.resultData.error;
	if (error === undefined) throw new Error(`The workflow ended without an error (${run.status})`);
	const itemIndex = 'context' in error ? error.context.itemIndex : undefined;
	return {
		message: error.message,
		description: String(error.description ?? ''),
		...(typeof itemIndex === 'number' ? { itemIndex } : {}),
	};
}
