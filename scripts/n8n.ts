import { execFileSync } from 'node:child_process';
import {
	createWriteStream,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { CACHE, installN8n, installPackage, NEWEST, OLDEST } from '../test/n8n/installation';
import { N8nInstance, OWNER, type WorkflowDefinition } from '../test/n8n/instance';
import { Sandbox, SANDBOX_TOKEN } from '../test/sandbox/sandbox';

/**
 * `npm run n8n`: whole n8n with this package installed as users have it, an owner, a credential and all examples; against
 * the sandbox, or against RunComfy when RUNCOMFY_API_TOKEN is set. Ctrl-C ends everything.
 */
const ROOT = path.dirname(__dirname);
const KEPT = path.join(CACHE, 'kept');
/** The sandbox and the photo take the next two. */
const LAST_PORT = 65_533;
const HELP = `npm run n8n -- [--keep] [--port 5678] [--version ${NEWEST}|${OLDEST}]

Starts n8n with the node, a credential and all examples, against the sandbox, which costs nothing; with
RUNCOMFY_API_TOKEN set, against RunComfy. The sandbox and a sample photo take the next two ports.
--keep keeps workflows and executions in ${KEPT}, and goes on with them the next time.`;

interface Options {
	port: number;
	version: string;
	keeps: boolean;
	/** Aborted by Ctrl-C. */
	signal: AbortSignal;
}

async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			keep: { type: 'boolean' },
			port: { type: 'string', default: process.env.PORT ?? '5678' },
			version: { type: 'string', default: process.env.N8N_VERSION ?? NEWEST },
			help: { type: 'boolean' },
		},
	});
	if (values.help === true) return console.log(HELP);
	const port = Number(values.port);
	if (!Number.isInteger(port) || port < 1 || port > LAST_PORT)
		throw new Error(`--port must be a number from 1 to ${LAST_PORT}`);
	const ending = new AbortController();
	for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ending.abort());
	const closings: Array<() => Promise<void> | void> = [];
	try {
		const options = {
			port,
			version: values.version,
			keeps: values.keep === true,
			signal: ending.signal,
		};
		for (const used of [port, port + 1, port + 2]) await checkPort(used);
		await start(options, closings);
		if (!ending.signal.aborted)
			await new Promise((resolve) => ending.signal.addEventListener('abort', resolve, { once: true }));
	} catch (error) {
		if (!ending.signal.aborted) throw error;
	} finally {
		for (const close of closings.reverse()) await close();
	}
}

async function start(options: Options, closings: Array<() => Promise<void> | void>): Promise<void> {
	const { port, keeps, signal } = options;
	const installation = await installN8n(options.version, console.log);
	console.log('Building the node');
	execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });

	const token = process.env.RUNCOMFY_API_TOKEN?.trim();
	let baseUrl = process.env.RUNCOMFY_BASE_URL ?? 'https://model-api.runcomfy.net';
	const photo = await servePhoto(port + 2);
	closings.push(() => void photo.close());
	if (!token) {
		const sandbox = await Sandbox.start({ port: port + 1, queueMs: 3_000, runMs: 5_000 });
		closings.push(async () => await sandbox.close());
		baseUrl = sandbox.url;
	}

	console.log(`Starting n8n ${installation.version}`);
	const isNew = !keeps || !existsSync(KEPT);
	const userFolder = keeps ? KEPT : mkdtempSync(path.join(tmpdir(), 'runcomfy-n8n-'));
	closings.push(() => {
		if (!keeps) rmSync(userFolder, { recursive: true, force: true });
	});
	mkdirSync(userFolder, { recursive: true });
	await installPackage(ROOT, userFolder);
	const logFile = path.join(userFolder, 'n8n.log');
	const log = createWriteStream(logFile);
	const onLog = (line: string) => void log.write(`${line}\n`);
	const n8n = await N8nInstance.start({ installation, root: ROOT, port, signal, userFolder, onLog });
	closings.push(async () => {
		console.log(
			keeps
				? `\nEnding n8n. Workflows and executions are kept in ${KEPT}: npm run n8n -- --keep goes on with them.`
				: `\nEnding n8n and deleting its workflows, executions and log (${userFolder}). With --keep they stay.`,
		);
		await n8n.kill('SIGTERM');
	});
	const credential = await prepareCredential(n8n, token ?? SANDBOX_TOKEN, baseUrl);
	if (isNew) await importExamples(n8n, credential, token ? undefined : photoUrl(port));
	console.log(`
n8n        ${n8n.url}
Login      ${OWNER.email}
Password   ${OWNER.password}
Log        ${logFile}
RunComfy   ${token ? `${baseUrl} (runs cost money)` : `sandbox at ${baseUrl} (calls no RunComfy server, costs nothing)`}${
		token
			? ''
			: `
Token      ${SANDBOX_TOKEN} (for a credential of your own: Use Custom URLs, both are ${baseUrl})
Photo      ${photoUrl(port)}`
	}
Workflows  all examples, with the credential “${credential.name}”
Press Ctrl-C to end n8n.`);
}

/** The credential that an earlier start has left, with this start's values; or a new one. */
async function prepareCredential(n8n: N8nInstance, token: string, baseUrl: string) {
	const { data } = await n8n.rest('GET', '/credentials');
	const kept = Object.values(data).find((one) => (one as { type?: string }).type === 'runComfyApi');
	if (kept === undefined) return await n8n.createCredential(token, baseUrl);
	return await n8n.updateCredential(String((kept as { id: string }).id), token, baseUrl);
}

async function importExamples(
	n8n: N8nInstance,
	credential: { id: string; name: string },
	photo: string | undefined,
): Promise<void> {
	const folder = path.join(ROOT, 'examples');
	for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
		const workflow = JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as WorkflowDefinition;
		for (const node of workflow.nodes) {
			if (node.credentials?.runComfyApi !== undefined) node.credentials.runComfyApi = credential;
			// The sandbox has no way to the internet's sample picture.
			const url = node.parameters.imageUrl;
			if (photo !== undefined && typeof url === 'string' && url.includes('playgrounds-storage-public'))
				node.parameters.imageUrl = photo;
		}
		await n8n.createWorkflow(workflow);
	}
}

const photoUrl = (port: number) => `http://127.0.0.1:${port + 2}/product.png`;

async function servePhoto(port: number): Promise<Server> {
	const product = readFileSync(path.join(ROOT, 'examples', 'product.png'));
	const server = createServer((_request, response) => response.end(product));
	await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
	return server;
}

/** @throws when another program uses the port. */
async function checkPort(port: number): Promise<void> {
	await new Promise<void>((resolve, reject) => {
		const server = createServer();
		server.once('error', () =>
			reject(new Error(`Port ${port} is in use. Choose another one: npm run n8n -- --port 6000`)),
		);
		server.listen(port, '127.0.0.1', () => server.close(() => resolve()));
	});
}

main().catch((error: unknown) => {
	console.error(error instanceof Error ? error.message : error);
	process.exitCode = 1;
});
