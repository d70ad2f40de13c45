import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type {
	IConnections,
	INode,
	INodeExecutionData,
	IRunExecutionData,
	IWorkflowSettings,
} from 'n8n-workflow';
import { request } from 'undici';

import { omitUndefined } from '../../nodes/RunComfy/util/values';
import { until } from '../until';
import { type Installation, installPackage } from './installation';

/** A running n8n with its own database, its owner signed in, and this package installed as users have it. */
export const OWNER = {
	email: 'owner@example.com',
	password: 'Sandbox-2026',
	firstName: 'Ada',
	lastName: 'Owner',
};

export interface StartOptions {
	installation: Installation;
	/** The root of this project, built. */
	root: string;
	/** An existing user folder, to start again after a crash. */
	userFolder?: string;
	port?: number;
	environment?: NodeJS.ProcessEnv;
	/** `worker` starts a worker of queue mode beside a main that is given by `userFolder`. */
	role?: 'main' | 'worker';
	/** Sees every line of n8n's log. */
	onLog?: (line: string) => void;
	/** Ends n8n while it starts. */
	signal?: AbortSignal;
}

export interface WorkflowDefinition {
	name: string;
	nodes: INode[];
	connections: IConnections;
	settings?: IWorkflowSettings;
}

export interface StoredExecution {
	id: string;
	status: string;
	/** Missing while it is being written, and after a crash. */
	data?: IRunExecutionData;
}

const READY_LINE = {
	main: /Editor is now accessible/,
	worker: /Worker is now ready|n8n worker is now ready/i,
};
const START_TIMEOUT_MS = 90_000;
const UNFINISHED = ['new', 'running', 'waiting'];

export async function freePort(): Promise<number> {
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const { port } = server.address() as AddressInfo;
	await new Promise((resolve) => server.close(resolve));
	return port;
}

export class N8nInstance {
	readonly log: string[] = [];
	private cookie = '';
	private readonly browserId = 'runcomfy-tests';

	private constructor(
		readonly url: string,
		readonly userFolder: string,
		private readonly child: ChildProcess,
	) {}

	static async start(options: StartOptions): Promise<N8nInstance> {
		const { installation, root, onLog, role = 'main' } = options;
		const userFolder = options.userFolder ?? mkdtempSync(path.join(tmpdir(), 'runcomfy-n8n-'));
		if (options.userFolder === undefined) await installPackage(root, userFolder);
		const port = options.port ?? (await freePort());
		const broker = await freePort();
		const child = spawn(installation.command, role === 'main' ? ['start'] : ['worker', '--concurrency=5'], {
			// A process group of its own, so that its task runner ends with it.
			detached: true,
			stdio: ['ignore', 'pipe', 'pipe'],
			env: {
				...withoutTestRunner(installation.environment),
				N8N_USER_FOLDER: userFolder,
				N8N_PORT: String(port),
				N8N_LISTEN_ADDRESS: '127.0.0.1',
				N8N_RUNNERS_BROKER_PORT: String(broker),
				N8N_DIAGNOSTICS_ENABLED: 'false',
				N8N_VERSION_NOTIFICATIONS_ENABLED: 'false',
				N8N_PERSONALIZATION_ENABLED: 'false',
				N8N_TEMPLATES_ENABLED: 'false',
				N8N_HIRING_BANNER_ENABLED: 'false',
				N8N_ENCRYPTION_KEY: 'only-for-tests',
				N8N_SECURE_COOKIE: 'false',
				N8N_LOG_LEVEL: 'info',
				...options.environment,
			},
		});
		const instance = new N8nInstance(`http://127.0.0.1:${port}`, userFolder, child);
		const end = () => void instance.kill('SIGTERM');
		options.signal?.addEventListener('abort', end);
		try {
			await instance.waitForLine(READY_LINE[role], START_TIMEOUT_MS, onLog);
			if (role === 'main') await instance.signIn();
		} catch (error) {
			await instance.kill('SIGKILL');
			if (options.userFolder === undefined) rmSync(userFolder, { recursive: true, force: true });
			throw error;
		} finally {
			options.signal?.removeEventListener('abort', end);
		}
		return instance;
	}

	/** CPU time so far, in seconds, and the largest resident set so far, in MB. Linux only. */
	get resources(): { cpuSeconds: number; peakMb: number } {
		const read = (file: string) => readFileSync(`/proc/${this.child.pid}/${file}`, 'utf8');
		// After the name, which is in parentheses: state is field 3, utime and stime are 14 and 15, in 1/100 s.
		const fields = read('stat')
			.replace(/^.*\) /s, '')
			.split(' ');
		const peak = /VmHWM:\s+(\d+) kB/.exec(read('status'))?.[1];
		return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, peakMb: Number(peak) / 1_024 };
	}

	/** Ends n8n and forgets its data. */
	async close(): Promise<void> {
		await this.kill('SIGTERM');
		rmSync(this.userFolder, { recursive: true, force: true });
	}

	/** Ends the process; its data stays. SIGKILL is a crash. */
	async kill(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
		if (this.child.exitCode !== null || this.child.signalCode !== null) return;
		const ended = new Promise((resolve) => this.child.once('close', resolve));
		if (this.child.pid !== undefined) process.kill(-this.child.pid, signal);
		await ended;
	}

	private async waitForLine(
		pattern: RegExp,
		timeoutMs: number,
		onLog?: (line: string) => void,
	): Promise<void> {
		await new Promise<void>((resolve, reject) => {
			const give = (why: string) => {
				clearTimeout(timer);
				reject(new Error(`n8n did not start (${why}):\n${this.log.slice(-30).join('\n')}`));
			};
			const timer = setTimeout(() => give(`${timeoutMs / 1000} s are over`), timeoutMs);
			this.child.once('close', (code) => give(`it ended with ${code}`));
			const read = (chunk: Buffer) => {
				for (const line of chunk.toString().split('\n').filter(Boolean)) {
					this.log.push(line);
					onLog?.(line);
					if (pattern.test(line)) {
						clearTimeout(timer);
						resolve();
					}
				}
			};
			this.child.stdout?.on('data', read);
			this.child.stderr?.on('data', read);
		});
	}

	private async signIn(): Promise<void> {
		const setUp = await this.rest('POST', '/owner/setup', OWNER, true);
		if (setUp.status >= 400) {
			await this.rest('POST', '/login', {
				emailOrLdapLoginId: OWNER.email,
				email: OWNER.email,
				password: OWNER.password,
			});
		}
	}

	/** One call of n8n's internal REST API. Throws on an error unless `lenient`. */
	async rest(method: 'GET' | 'POST' | 'PATCH', pathname: string, body?: unknown, lenient = false) {
		const answer = await request(`${this.url}/rest${pathname}`, {
			method,
			headers: {
				...this.session,
				...(body === undefined ? {} : { 'content-type': 'application/json' }),
			},
			...omitUndefined({ body: body === undefined ? undefined : JSON.stringify(body) }),
		});
		const cookies = [answer.headers['set-cookie'] ?? []].flat();
		if (cookies.length > 0) this.cookie = cookies.map((cookie) => cookie.split(';')[0]).join('; ');
		const text = await answer.body.text();
		if (answer.statusCode >= 400 && !lenient)
			throw new Error(`${method} ${pathname}: ${answer.statusCode} ${text.slice(0, 500)}`);
		const parsed: unknown = text === '' ? {} : JSON.parse(text);
		const data = typeof parsed === 'object' && parsed !== null && 'data' in parsed ? parsed.data : parsed;
		return { status: answer.statusCode, data: data as Record<string, unknown> };
	}

	/** A stored file, by its id in an item's binary data. */
	async readFile(id: string): Promise<Buffer> {
		const { statusCode, body } = await request(
			`${this.url}/rest/binary-data?id=${encodeURIComponent(id)}&action=view`,
			{ headers: this.session },
		);
		const content = Buffer.from(await body.arrayBuffer());
		if (statusCode >= 400) throw new Error(`File ${id}: ${statusCode} ${content.toString().slice(0, 500)}`);
		return content;
	}

	private get session(): Record<string, string> {
		return { 'browser-id': this.browserId, ...(this.cookie === '' ? {} : { cookie: this.cookie }) };
	}

	async createCredential(apiToken: string, baseUrl: string): Promise<{ id: string; name: string }> {
		const credential = { name: 'RunComfy', type: 'runComfyApi', data: credentialData(apiToken, baseUrl) };
		const { data } = await this.rest('POST', '/credentials', credential);
		return { id: String(data.id), name: 'RunComfy' };
	}

	async updateCredential(
		id: string,
		apiToken: string,
		baseUrl: string,
	): Promise<{ id: string; name: string }> {
		const credential = { name: 'RunComfy', type: 'runComfyApi', data: credentialData(apiToken, baseUrl) };
		await this.rest('PATCH', `/credentials/${id}`, credential);
		return { id, name: 'RunComfy' };
	}

	/** Runs the credential's own test. */
	async testCredential(apiToken: string, baseUrl: string): Promise<{ status: string; message: string }> {
		// Older versions test only what has been saved.
		const { id } = await this.createCredential(apiToken, baseUrl);
		const credentials = {
			id,
			name: 'RunComfy',
			type: 'runComfyApi',
			data: credentialData(apiToken, baseUrl),
		};
		const { data } = await this.rest('POST', '/credentials/test', { credentials });
		return { status: String(data.status), message: String(data.message) };
	}

	async createWorkflow(workflow: WorkflowDefinition): Promise<string> {
		const { data } = await this.rest('POST', '/workflows', {
			settings: { executionOrder: 'v1' },
			...workflow,
			active: false,
		});
		return String(data.id);
	}

	/** Starts a workflow from its trigger, as the editor's button does. @returns the execution's id. */
	async execute(workflowId: string): Promise<string> {
		const { data: workflow } = await this.rest('GET', `/workflows/${workflowId}`);
		const nodes = workflow.nodes as INode[];
		const trigger = nodes.find(({ type }) => /trigger/i.test(type));
		const { data } = await this.rest('POST', `/workflows/${workflowId}/run`, {
			workflowData: workflow,
			triggerToStartFrom: { name: trigger?.name },
		});
		return String(data.executionId);
	}

	/** Makes a workflow run by itself, when its trigger says so: such executions are production executions. */
	async activate(workflowId: string): Promise<void> {
		const { data } = await this.rest('GET', `/workflows/${workflowId}`);
		const body = { versionId: data.versionId };
		const { status, data: answer } = await this.rest('POST', `/workflows/${workflowId}/activate`, body, true);
		if (status >= 400 && status !== 404) throw new Error(`Not activated: ${JSON.stringify(answer)}`);
		// Older versions know no such call.
		if (status === 404) await this.rest('PATCH', `/workflows/${workflowId}`, { ...body, active: true });
	}

	async deactivate(workflowId: string): Promise<void> {
		const { status } = await this.rest('POST', `/workflows/${workflowId}/deactivate`, {}, true);
		if (status === 404) await this.rest('PATCH', `/workflows/${workflowId}`, { active: false });
	}

	/** Starts a production execution of an active workflow that begins with a webhook. */
	async startByWebhook(webhookPath: string): Promise<void> {
		// An active workflow's webhook is there a moment later, and once more after a restart.
		await until(`the webhook ${webhookPath} answers`, async () => {
			const { statusCode, body } = await request(`${this.url}/webhook/${webhookPath}`);
			const text = await body.text();
			if (statusCode >= 400 && statusCode !== 404)
				throw new Error(`Webhook ${webhookPath}: ${statusCode} ${text.slice(0, 500)}`);
			return statusCode < 400;
		});
	}

	/** A workflow's latest executions, the oldest first. */
	async executionsOf(workflowId: string): Promise<Array<{ id: string; status: string }>> {
		const filter = encodeURIComponent(JSON.stringify({ workflowId }));
		const { data } = await this.rest('GET', `/executions?limit=100&filter=${filter}`);
		const results = data.results as Array<{ id: string; status: string }>;
		return results.map(({ id, status }) => ({ id, status })).reverse();
	}

	/** Waits until a workflow has had so many executions, and all have come to an end. */
	async allFinished(workflowId: string, count: number, timeoutMs = 60_000): Promise<StoredExecution[]> {
		for (const end = Date.now() + timeoutMs; ; await new Promise((resolve) => setTimeout(resolve, 500))) {
			const executions = await this.executionsOf(workflowId);
			const isOver = executions.every(({ status }) => !UNFINISHED.includes(status));
			if (isOver && executions.length >= count)
				return await Promise.all(executions.map(async ({ id }) => await this.finished(id)));
			if (Date.now() > end) throw new Error(`Not finished: ${JSON.stringify(executions)}`);
		}
	}

	async stop(executionId: string): Promise<void> {
		await this.rest('POST', `/executions/${executionId}/stop`);
	}

	async execution(executionId: string): Promise<StoredExecution> {
		const { data } = await this.rest('GET', `/executions/${executionId}`);
		const { parse } = await import('flatted');
		return {
			id: executionId,
			status: String(data.status),
			data: parse(String(data.data)) as IRunExecutionData,
		};
	}

	/** Waits until an execution has come to an end. */
	async finished(executionId: string, timeoutMs = 60_000): Promise<StoredExecution> {
		for (const end = Date.now() + timeoutMs; ; await new Promise((resolve) => setTimeout(resolve, 200))) {
			const execution = await this.execution(executionId);
			const { status, data } = execution;
			// Older versions write the status first and the data a moment later.
			const isWritten = data?.resultData !== undefined || !['success', 'error'].includes(status);
			if (!UNFINISHED.includes(status) && isWritten) return execution;
			if (Date.now() > end) throw new Error(`Execution ${executionId} is still ${execution.status}`);
		}
	}

	async run(workflow: WorkflowDefinition): Promise<StoredExecution> {
		return await this.finished(await this.execute(await this.createWorkflow(workflow)));
	}
}

/** The sandbox answers for the account as well; RunComfy does so at the other, default address. */
function credentialData(apiToken: string, baseUrl: string) {
	const { hostname, origin } = new URL(baseUrl);
	return {
		apiToken,
		useCustomUrls: true,
		baseUrl,
		...(hostname === '127.0.0.1' ? { platformBaseUrl: origin } : {}),
	};
}

/** n8n behaves differently when it believes to be under test itself. */
function withoutTestRunner(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
	return Object.fromEntries(
		Object.entries(environment).filter(([name]) => !/^(NODE_ENV|JEST_|NODE_OPTIONS)/.test(name)),
	);
}

/** The items of a node's output in a stored execution. */
export function storedItems({ data }: StoredExecution, node: string, output = 0): INodeExecutionData[] {
	return data?.resultData.runData[node]?.at(-1)?.data?.main?.[output] ?? [];
}
