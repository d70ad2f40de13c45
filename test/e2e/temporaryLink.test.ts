import { createHmac } from 'node:crypto';

import sharp from 'sharp';
import { request } from 'undici';

import { installN8n, NEWEST } from '../n8n/installation';
import { N8nInstance, storedItems } from '../n8n/instance';
import { Sandbox, SANDBOX_TOKEN } from '../sandbox/sandbox';
import { until } from '../until';
import { example, INSTALL_TIMEOUT_MS, ROOT } from './n8nEnvironment';

const SECRET = 'only-for-tests';
const FORM_PATH = 'link-form';

/** A token of n8n for a file, with another time. */
function signed(payload: object): string {
	const [head, body] = [{ alg: 'HS256', typ: 'JWT' }, payload].map((part) =>
		Buffer.from(JSON.stringify(part)).toString('base64url'),
	);
	const signature = createHmac('sha256', SECRET).update(`${head}.${body}`).digest('base64url');
	return `${head}.${body}.${signature}`;
}

describe.each(['filesystem', 'database'])(
	`A temporary link to a file in n8n ${NEWEST}, in mode %s`,
	(mode) => {
		let n8n: N8nInstance;
		let sandbox: Sandbox;

		beforeAll(async () => {
			const installation = await installN8n(NEWEST, (line) => console.log(line));
			sandbox = await Sandbox.start({ pictures: 'plain', queueMs: 60_000, runMs: 60_000 });
			const environment = { N8N_DEFAULT_BINARY_DATA_MODE: mode, N8N_BINARY_DATA_SIGNING_SECRET: SECRET };
			n8n = await N8nInstance.start({ installation, root: ROOT, environment });
		}, INSTALL_TIMEOUT_MS);
		afterAll(async () => {
			await n8n.close();
			await sandbox.close();
		});

		it('gives the file of the example form without a login, until its time is over', async () => {
			const credential = await n8n.createCredential(SANDBOX_TOKEN, sandbox.url);
			const definition = example({ n8n, sandbox, credential }, 'form-upload.json');
			// Without the page that shows the image, and so waits for a browser.
			definition.nodes = definition.nodes.filter(({ name }) => name !== 'Show the image');
			delete definition.connections['Replace Background'];
			for (const node of definition.nodes) {
				if (node.name === 'Upload form') Object.assign(node, { webhookId: FORM_PATH });
				if (node.name === 'Replace Background')
					Object.assign(node.parameters, {
						downloadFiles: false,
						options: { sendFilesAs: 'temporaryUrl', timeout: 100 },
					});
			}
			const workflowId = await n8n.createWorkflow(definition);
			await n8n.activate(workflowId);
			const photo = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#c30' } })
				.png()
				.toBuffer();
			await until('the form is there', async () => {
				const { statusCode, body } = await request(`${n8n.url}/form/${FORM_PATH}`);
				await body.dump();
				return statusCode === 200;
			});
			const form = new FormData();
			form.append('field-0', new Blob([new Uint8Array(photo)], { type: 'image/png' }), 'photo.png');
			form.append('field-1', 'A beach');
			// Answered when the workflow has ended.
			const posted = fetch(`${n8n.url}/form/${FORM_PATH}`, { method: 'POST', body: form });
			await until('the request has arrived', () => sandbox.jobs.length === 1);
			const [job] = sandbox.jobs;
			const link = new URL(String(job?.input.image));
			// The sandbox repeats what was sent, as a model may do.
			const result = { status: 'succeeded', output: { image: `${sandbox.url}/a.png`, source: link.href } };

			const fetchWith = async (token: string) => {
				link.searchParams.set('token', token);
				const { statusCode, headers, body } = await request(link);
				return { statusCode, headers, bytes: Buffer.from(await body.arrayBuffer()) };
			};
			const token = link.searchParams.get('token') ?? '';
			expect(await fetchWith(token)).toMatchObject({
				statusCode: 200,
				headers: { 'content-type': 'image/png', 'content-length': String(photo.length) },
				bytes: photo,
			});
			const [head = '', body = '', signature = ''] = token.split('.');
			const payload = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<'iat' | 'exp', number>;
			expect(payload.exp - payload.iat).toBe(3_700);
			expect((await fetchWith(signed(payload))).statusCode).toBe(200);
			expect((await fetchWith(signed({ ...payload, exp: payload.iat - 1 }))).statusCode).toBe(400);
			const altered = Buffer.from(JSON.stringify({ ...payload, exp: payload.exp + 1 })).toString('base64url');
			expect((await fetchWith(`${head}.${altered}.${signature}`)).statusCode).toBe(400);

			sandbox.faults.add({ on: 'result', kind: 'answer', answer: { status: 200, body: result } });
			await (await posted).text();
			const [execution] = await n8n.allFinished(workflowId, 1);
			const [item] = execution === undefined ? [] : storedItems(execution, 'Replace Background');
			expect(item?.json.output).toMatchObject({ source: '[temporary link]' });
			expect(JSON.stringify([execution, n8n.log])).not.toContain(signature);
		});
	},
);
