import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

import { installN8n, NEWEST } from '../test/n8n/installation';
import { N8nInstance, OWNER, type WorkflowDefinition } from '../test/n8n/instance';
import { Sandbox, SANDBOX_TOKEN } from '../test/sandbox/sandbox';

/**
 * `npm run n8n`: whole n8n with this package installed as users have it, an owner, a credential and all examples; against
 * the sandbox, or against RunComfy when RUNCOMFY_API_TOKEN is set. Ctrl-C ends everything. `N8N_VERSION` chooses another
 * of the versions that test/n8n/installation.ts knows.
 */
const ROOT = path.dirname(__dirname);
const PORT = Number(process.env.PORT ?? 5678);

type Closing = () => Promise<void>;

async function main(): Promise<void> {
	const closings: Closing[] = [];
	let closed: Promise<void> | undefined;
	const closeAll = async () => {
		closed ??= (async () => {
			for (const close of closings.reverse()) await close();
		})();
		await closed;
	};
	const end = () => void closeAll().then(() => process.exit());
	process.once('SIGINT', end);
	process.once('SIGTERM', end);
	try {
		await start(closings);
	} catch (error) {
		await closeAll();
		throw error;
	}
}

async function start(closings: Closing[]): Promise<void> {
	const say = (line: string) => console.log(line);
	say('Building the node');
	execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
	const installation = await installN8n(process.env.N8N_VERSION ?? NEWEST, say);

	const token = process.env.RUNCOMFY_API_TOKEN?.trim();
	let baseUrl = process.env.RUNCOMFY_BASE_URL ?? 'https://model-api.runcomfy.net';
	let productUrl: string | undefined;
	if (!token) {
		const sandbox = await Sandbox.start({ queueMs: 3_000, runMs: 5_000 });
		const product = await serveProduct();
		closings.push(
			async () => await sandbox.close(),
			async () => void product.close(),
		);
		baseUrl = sandbox.url;
		productUrl = `http://127.0.0.1:${(product.address() as AddressInfo).port}/product.png`;
	}

	say(`Starting n8n ${installation.version}`);
	const n8n = await N8nInstance.start({ installation, root: ROOT, port: PORT });
	closings.push(async () => await n8n.close());
	const credential = await n8n.createCredential(token ?? SANDBOX_TOKEN, baseUrl);
	const files = readdirSync(path.join(ROOT, 'examples')).filter((name) => name.endsWith('.json'));
	for (const file of files) {
		const workflow = JSON.parse(
			readFileSync(path.join(ROOT, 'examples', file), 'utf8'),
		) as WorkflowDefinition;
		for (const node of workflow.nodes) {
			if (node.credentials?.runComfyApi !== undefined) node.credentials.runComfyApi = credential;
			// The sandbox has no way to the internet's sample picture.
			const url = node.parameters.imageUrl;
			if (productUrl !== undefined && typeof url === 'string' && url.includes('playgrounds-storage-public')) {
				node.parameters.imageUrl = productUrl;
			}
		}
		await n8n.createWorkflow(workflow);
	}
	say(`
n8n        ${n8n.url}
Login      ${OWNER.email}
Password   ${OWNER.password}
RunComfy   ${token ? `${baseUrl} (runs cost money)` : `sandbox at ${baseUrl} (calls no RunComfy server, costs nothing)`}
Workflows  ${files.length} examples are imported, with the credential “${credential.name}”
Press Ctrl-C to end everything.`);
}

async function serveProduct(): Promise<Server> {
	const product = readFileSync(path.join(ROOT, 'examples', 'product.png'));
	const server = createServer((_request, response) => response.end(product));
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	return server;
}

main().catch((error: unknown) => {
	console.error(error instanceof Error ? error.message : error);
	process.exitCode = 1;
});
