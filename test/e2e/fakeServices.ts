import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { SMTPServer } from 'smtp-server';

/** Fakes on loopback of the services that the examples work with. */

const DAY = '2026-01-01T00:00:00.000Z';

/** As much of S3 as n8n's S3 node uses: list, put, copy, delete. Signatures are not checked. */
export class ObjectStorage {
	/** `/bucket/key` → bytes. */
	readonly objects = new Map<string, Buffer>();
	/** As a full or unreachable storage does. */
	refusesUploads = false;
	private readonly server: Server;

	constructor() {
		this.server = createServer((request, response) => {
			const chunks: Buffer[] = [];
			request.on('data', (chunk: Buffer) => chunks.push(chunk));
			request.on('end', () => {
				const url = new URL(request.url ?? '/', 'http://storage');
				const source = request.headers['x-amz-copy-source'];
				if (this.refusesUploads && request.method === 'PUT') {
					response.writeHead(507).end();
					return;
				}
				const answer = this.answer(request.method ?? 'GET', url, Buffer.concat(chunks), source);
				response.writeHead(200, { 'content-type': 'application/xml' });
				response.end(answer);
			});
		});
	}

	async start(): Promise<string> {
		await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
		return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
	}

	stop(): void {
		this.server.close();
		this.server.closeAllConnections();
	}

	private answer(method: string, url: URL, body: Buffer, copySource: string | string[] | undefined): string {
		const name = decodeURIComponent(url.pathname);
		if (url.searchParams.has('location')) return '<LocationConstraint>us-east-1</LocationConstraint>';
		if (method === 'GET') return this.list(name, url.searchParams.get('prefix') ?? '');
		if (method === 'DELETE') this.objects.delete(name);
		if (method === 'PUT' && copySource !== undefined) {
			this.objects.set(name, this.objects.get(decodeURIComponent(String(copySource))) ?? Buffer.alloc(0));
			return '<CopyObjectResult><ETag>"copy"</ETag></CopyObjectResult>';
		}
		if (method === 'PUT') this.objects.set(name, body);
		return '';
	}

	private list(bucket: string, prefix: string): string {
		const folder = bucket.endsWith('/') ? bucket : `${bucket}/`;
		const keys = [...this.objects.keys()]
			.filter((name) => name.startsWith(folder))
			.map((name) => name.slice(folder.length))
			.filter((key) => key.startsWith(prefix));
		const contents = keys.map(
			(key) =>
				`<Contents><Key>${key}</Key><LastModified>${DAY}</LastModified><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>`,
		);
		return `<ListBucketResult><IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`;
	}
}

/** A mail server that keeps what it is given. */
export class MailBox {
	readonly messages: string[] = [];
	private readonly server = new SMTPServer({
		authOptional: true,
		disabledCommands: ['STARTTLS'],
		onData: (stream, _session, done) => {
			const chunks: Buffer[] = [];
			stream.on('data', (chunk: Buffer) => chunks.push(chunk));
			stream.on('end', () => {
				this.messages.push(Buffer.concat(chunks).toString());
				done();
			});
		},
	});

	async start(): Promise<number> {
		await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
		return (this.server.server.address() as AddressInfo).port;
	}

	stop(): void {
		this.server.close();
	}
}

/** An agent's chat model, scripted: first a call of the tool, then a text. */
export class ScriptedChatModel {
	readonly requests: Array<{ messages: Array<{ role: string; content: unknown }>; tools?: unknown[] }> = [];
	private server?: Server;

	constructor(private readonly toolArguments: Record<string, string>) {}

	async start(): Promise<string> {
		this.server = createServer((request, response) => {
			const chunks: Buffer[] = [];
			request.on('data', (chunk: Buffer) => chunks.push(chunk));
			request.on('end', () => {
				response.setHeader('content-type', 'application/json');
				response.end(JSON.stringify(this.answer(Buffer.concat(chunks).toString())));
			});
		});
		await new Promise<void>((resolve) => this.server?.listen(0, '127.0.0.1', resolve));
		return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
	}

	stop(): void {
		this.server?.close();
	}

	private answer(body: string): unknown {
		const request = JSON.parse(body) as (typeof this.requests)[number] & {
			tools?: Array<{ function: { name: string } }>;
		};
		this.requests.push(request);
		const toolAnswer = request.messages.find(({ role }) => role === 'tool');
		const message =
			toolAnswer === undefined
				? {
						role: 'assistant',
						content: null,
						tool_calls: [
							{
								id: 'call_1',
								type: 'function',
								function: {
									name: request.tools?.[0]?.function.name,
									arguments: JSON.stringify(this.toolArguments),
								},
							},
						],
					}
				: { role: 'assistant', content: `Here it is: ${String(toolAnswer.content)}` };
		return {
			id: 'chat',
			object: 'chat.completion',
			created: 1,
			model: 'scripted',
			choices: [{ index: 0, finish_reason: toolAnswer === undefined ? 'tool_calls' : 'stop', message }],
			usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
		};
	}
}
