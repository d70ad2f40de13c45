import { createServer, type Server } from 'node:http';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { INode, INodeExecutionData } from 'n8n-workflow';
import { request } from 'undici';

import { omitUndefined } from '../nodes/RunComfy/util/values';
import { loadCompiled } from '../test/engine/compiled';
import { Engine, type EngineWorkflow } from '../test/engine/engine';
import { passThrough, source } from '../test/engine/fakeNodes';
import { Sandbox, SANDBOX_TOKEN } from '../test/sandbox/sandbox';
import { RUNCOMFY_TYPE } from '../test/workflow';

/**
 * `npm run demo`: the example workflow on n8n's real engine with the compiled node; against the sandbox, or against
 * RunComfy when RUNCOMFY_API_TOKEN is set. Leaves the new image in demo-output/.
 */
const ROOT = path.dirname(__dirname);
const OUTPUT = path.join(ROOT, 'demo-output');
const POLL_EVERY_MS = 400;
const HELP = `npm run demo -- [--image <file or https address>] [--prompt <the new scene>]
             [--speed balanced|quality|turbo] [--palette Ember|Fresh|Jungle|Magic|Melon|Mosaic|Pastel|Ultramarine]

Runs the example workflow against the sandbox, which costs nothing; with RUNCOMFY_API_TOKEN set, against RunComfy.
The new image is in demo-output/.`;

interface Target {
	baseUrl: string;
	apiToken: string;
	/** What the workflow gets when the user names no image. */
	defaultImage: string;
	close(): Promise<void>;
}

async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			image: { type: 'string' },
			prompt: { type: 'string' },
			palette: { type: 'string' },
			speed: { type: 'string' },
			help: { type: 'boolean' },
		},
	});
	if (values.help === true) return console.log(HELP);
	const workflow = JSON.parse(
		await readFile(path.join(ROOT, 'examples', 'replace-background.json'), 'utf8'),
	) as EngineWorkflow;
	const node = workflow.nodes.find(({ type }) => type === RUNCOMFY_TYPE);
	if (node === undefined) throw new Error('The example workflow has no RunComfy node');

	const target = await openTarget(String(node.parameters.imageUrl));
	let input: OpenedImage | undefined;
	try {
		input = await openImage(values.image ?? target.defaultImage);
		Object.assign(node.parameters, {
			...input.parameters,
			...omitUndefined({
				prompt: values.prompt,
				colorPalette: values.palette,
				renderingSpeed: values.speed?.toUpperCase(),
			}),
		});
		console.log(`Image      ${values.image ?? target.defaultImage}`);
		console.log(`Prompt     ${String(node.parameters.prompt)}`);
		await runWorkflow(workflow, node, target, input.item);
	} finally {
		await input?.close();
		await target.close();
	}
}

async function openTarget(exampleUrl: string): Promise<Target> {
	const apiToken = process.env.RUNCOMFY_API_TOKEN?.trim();
	if (apiToken) {
		const baseUrl = process.env.RUNCOMFY_BASE_URL ?? 'https://model-api.runcomfy.net';
		console.log(`RunComfy   ${baseUrl} (this run costs money)`);
		return { baseUrl, apiToken, defaultImage: exampleUrl, close: async () => {} };
	}
	const sandbox = await Sandbox.start({ queueMs: 1_200, runMs: 2_500 });
	console.log(
		`Sandbox    ${sandbox.url} (calls no RunComfy server, costs nothing; set RUNCOMFY_API_TOKEN for the real one)`,
	);
	return {
		baseUrl: sandbox.url,
		apiToken: SANDBOX_TOKEN,
		defaultImage: path.join(ROOT, 'examples', 'product.png'),
		close: async () => await sandbox.close(),
	};
}

interface OpenedImage {
	parameters: Record<string, string>;
	item: INodeExecutionData;
	close(): Promise<void>;
}

/** A web address is passed on as it is. A file is served on loopback for the sandbox, and sent along to RunComfy. */
async function openImage(image: string): Promise<OpenedImage> {
	if (/^https?:/i.test(image)) {
		return { parameters: { imageSource: 'url', imageUrl: image }, item: { json: {} }, close: async () => {} };
	}
	const bytes = await readFile(path.resolve(image)).catch(() => {
		throw new Error(`There is no file ${path.resolve(image)}. See npm run demo -- --help`);
	});
	if (process.env.RUNCOMFY_API_TOKEN?.trim()) {
		const mimeType = `image/${path.extname(image).slice(1).replace('jpg', 'jpeg')}`;
		return {
			parameters: { imageSource: 'binary', binaryPropertyName: 'data' },
			item: {
				json: {},
				binary: { data: { mimeType, data: bytes.toString('base64'), fileName: path.basename(image) } },
			},
			close: async () => {},
		};
	}
	const server = createServer((_request, response) => response.end(bytes));
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${encodeURIComponent(path.basename(image))}`;
	return {
		parameters: { imageSource: 'url', imageUrl: url },
		item: { json: {} },
		close: async () => await end(server),
	};
}

async function end(server: Server): Promise<void> {
	const closed = new Promise((resolve) => server.close(resolve));
	server.closeAllConnections();
	await closed;
}

async function runWorkflow(
	workflow: EngineWorkflow,
	node: INode,
	target: Target,
	item: INodeExecutionData,
): Promise<void> {
	const watching = new AbortController();
	const { RunComfy, RunComfyApi } = await loadCompiled();
	const engine = await Engine.create({
		nodes: {
			[RUNCOMFY_TYPE]: new RunComfy(),
			'n8n-nodes-base.manualTrigger': source([item]),
			'n8n-nodes-base.stickyNote': passThrough,
		},
		credentialType: new RunComfyApi(),
		credential: { apiToken: target.apiToken, useCustomUrls: true, baseUrl: target.baseUrl },
		log: (level, message) => {
			const requestId = /^RunComfy request (\S+) submitted/.exec(message)?.[1];
			if (requestId !== undefined) void watch(target, requestId, watching.signal);
			if (level === 'warn') console.log(`           ${message}`);
		},
	});
	const run = await engine.run(workflow);
	watching.abort();
	const failure = run.data.resultData.error;
	if (failure !== undefined) {
		console.error(`Failed     ${failure.message}\n           ${failure.description ?? ''}`);
		process.exitCode = 1;
		return;
	}
	const output = run.data.resultData.runData[node.name]?.[0]?.data?.main?.[0]?.[0];
	if (output === undefined) throw new Error('The node gave no output item');
	console.log('Finished   the output item is');
	console.log(JSON.stringify(output.json, null, 2));
	await mkdir(OUTPUT, { recursive: true });
	const file = path.join(OUTPUT, output.binary?.data?.fileName ?? 'image.png');
	await writeFile(file, await engine.readBinary(output, 'data'));
	console.log(`Image      ${path.relative(process.cwd(), file)}`);
}

/** Prints a request's progress. These polls are the demo's own and free; the node does not need them. */
async function watch({ baseUrl, apiToken }: Target, requestId: string, signal: AbortSignal): Promise<void> {
	console.log(`Submitted  request ${requestId}`);
	let shown = '';
	while (!signal.aborted) {
		const { body } = await request(`${baseUrl}/v1/requests/${requestId}/status`, {
			headers: { authorization: `Bearer ${apiToken}` },
		});
		const { status, queue_position: position } = (await body.json()) as {
			status?: string;
			queue_position?: number;
		};
		const line =
			status === 'in_queue'
				? `Queued     ${position === undefined || position === 0 ? 'next in line' : `${position} ahead`}`
				: status === 'in_progress'
					? 'Running    in progress'
					: '';
		if (line !== shown && line !== '' && !signal.aborted) console.log(line);
		shown = line;
		if (status !== 'in_queue' && status !== 'in_progress') return;
		await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
	}
}

main().catch((error: unknown) => {
	console.error(error instanceof Error ? error.message : error);
	process.exitCode = 1;
});
