import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, type BlockList, createServer } from 'node:net';

import type { INodeExecutionData } from 'n8n-workflow';
import sharp from 'sharp';

import { findPrivateAddress } from '../../nodes/RunComfy/files/privateAddress';
import { TEXT_TO_IMAGE } from '../sandbox/catalog';
import { TINY_PICTURE } from '../sandbox/files';
import { failure, outputItems, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

const BINARY = { imageSource: 'binary' };

async function picture(format: 'png' | 'jpeg' | 'webp' | 'gif', size = 32): Promise<Buffer> {
	return await sharp({ create: { width: size, height: size, channels: 3, background: '#cc3300' } })
		.toFormat(format)
		.toBuffer();
}

/** An item with a file in n8n's memory, which is how other nodes may hand it on in every mode. */
function withFile(bytes: Buffer, mimeType = 'image/png', field = 'data'): INodeExecutionData {
	return { json: {}, binary: { [field]: { data: bytes.toString('base64'), mimeType, fileName: 'in.png' } } };
}

let env: TestEnvironment;
const open = async (options: TestEnvironmentOptions = {}) => {
	env = await TestEnvironment.open({ ...options, runtime: { random: () => 0, ...options.runtime } });
};

/** Nothing but whole files may lie in n8n's store. */
function storedFiles(): string[] {
	try {
		return readdirSync(env.engine.storagePath, { recursive: true, withFileTypes: true })
			.filter((entry) => entry.isFile() && entry.parentPath.includes('binary_data'))
			.map((entry) => entry.name);
	} catch {
		return [];
	}
}

describe.each(['default', 'filesystem'] as const)(
	'Files, with n8n’s binary data in mode “%s”',
	(binaryMode) => {
		it('takes a file that an earlier node has stored', async () => {
			// The first RunComfy run downloads, so that the file lies where n8n keeps files; the loop brings it back in.
			await open({ binaryMode });
			const downloaded = outputItems(await env.run({ downloadFiles: true }))[0];
			const stored = await env.engine.readBinary(downloaded ?? { json: {} }, 'data');
			if (binaryMode === 'filesystem') expect(downloaded?.binary?.data?.id).toContain('filesystem');
			const { sandbox } = env;
			await open({ binaryMode, items: [downloaded ?? { json: {} }] });
			await env.run(BINARY);
			expect(env.sandbox.jobs[0]?.input.image).toBe(`data:image/png;base64,${stored.toString('base64')}`);
			expect(sandbox.stats.tokensAtOutputs).toBe(0);
		});

		it('downloads every image, and names it by the type that was received', async () => {
			await open({ binaryMode });
			env.sandbox.faults.add({ job: 'manyImages' });
			const run = await env.run({
				downloadFiles: true,
				binaryPropertyOutput: 'photo',
				options: { fileName: 'summer' },
			});
			const item = outputItems(run)[0];
			expect(Object.keys(item?.binary ?? {})).toEqual(['photo', 'photo_1', 'photo_2']);
			expect(item?.binary?.photo).toMatchObject({
				fileName: 'summer.png',
				mimeType: 'image/png',
				fileExtension: 'png',
			});
			expect(item?.binary?.photo_2?.fileName).toBe('summer_2.png');
			expect(item?.json.images).toHaveLength(3);
			const bytes = await env.engine.readBinary(item ?? { json: {} }, 'photo_1');
			expect((await sharp(bytes).metadata()).format).toBe('png');
			expect(env.sandbox.stats.tokensAtOutputs).toBe(0);
		});

		it('streams a large file', async () => {
			await open({ binaryMode, sandbox: { pictureBytes: 12_000_000 } });
			const item = outputItems(await env.run({ downloadFiles: true }))[0];
			expect((await env.engine.readBinary(item ?? { json: {} }, 'data')).length).toBe(12_000_000);
		});
	},
);

describe('Files', () => {
	it.each(['png', 'jpeg', 'webp'] as const)(
		'sends a %s as a data URI, by its bytes and not by its claimed type',
		async (format) => {
			const bytes = await picture(format);
			await open({ items: [withFile(bytes, 'application/octet-stream')] });
			const run = await env.run(BINARY);
			expect(run.status).toBe('success');
			expect(env.sandbox.jobs[0]?.input.image).toBe(
				`data:image/${format};base64,${bytes.toString('base64')}`,
			);
		},
	);

	it('refuses, before anything is sent, a file that is not JPEG, PNG or WebP', async () => {
		for (const bytes of [await picture('gif'), Buffer.from('%PDF-1.7 …'), Buffer.from('<html></html>')]) {
			await open({ items: [withFile(bytes)] });
			const { message } = failure(await env.run(BINARY));
			expect(message).toBe(
				'“Input Data Field Name” points to a file that is not a JPEG, PNG, or WebP image (“data”)',
			);
			expect(env.sandbox.stats.submits).toBe(0);
		}
	});

	it.each([{ data: '' }, { data: '==' }, { data: ' \n' }, { data: '', bytes: 5 }])(
		'refuses an empty file, whatever is said of it: %j',
		async (binary) => {
			await open({
				items: [{ json: {}, binary: { data: { mimeType: 'x/y', fileName: 'a.xyz', ...binary } } }],
			});
			const modelId = { mode: 'id', value: TEXT_TO_IMAGE };
			const inputs = { mappingMode: 'defineBelow', value: { prompt: 'data' } };
			const run = await env.run({ resource: 'model', operation: 'run', modelId, inputs });
			expect(failure(run).message).toContain('points to an empty file');
			expect(env.sandbox.stats.submits).toBe(0);
		},
	);

	it('does not send a type that is none', async () => {
		const mimeType = 'text/html,<b>\r\nx: y';
		await open({ items: [{ json: {}, binary: { data: { data: 'AAAA', mimeType } } }] });
		const modelId = { mode: 'id', value: TEXT_TO_IMAGE };
		const inputs = { mappingMode: 'defineBelow', value: { prompt: 'data' } };
		await env.run({ resource: 'model', operation: 'run', modelId, inputs });
		expect(env.sandbox.jobs[0]?.input.prompt).toBe('data:application/octet-stream;base64,AAAA');
	});

	it('refuses one that is too large', async () => {
		await open({ items: [withFile(Buffer.concat([await picture('png'), Buffer.alloc(1_200_000)]))] });
		expect(failure(await env.run({ ...BINARY, options: { maxFileSize: 1 } })).message).toContain(
			'points to a file of 1.2 MB (“data”), more than the 1 MB of the option “Max File Size (MB)”',
		);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it.each(['filesystem:gone/1', 's3:gone', 'nonsense'])(
		'names the field and the file where n8n’s storage does not have it (%s)',
		async (id) => {
			await open({ items: [{ json: {}, binary: { data: { id, data: 'x', mimeType: 'image/png' } } }] });
			const { message, description } = failure(await env.run(BINARY));
			expect(message).toContain('“Input Data Field Name” points to a file that n8n cannot read (“data”): ');
			expect(description).toContain('Nothing was submitted');
			expect(env.sandbox.stats.submits).toBe(0);
		},
	);

	it('refuses what is too large for a data URI, and says what to do', async () => {
		await open({ items: [withFile(Buffer.concat([await picture('png'), Buffer.alloc(6_400_000)]))] });
		const { message, description } = failure(await env.run(BINARY));
		expect(message).toContain('a file of 6.4 MB (“data”), more than the 6 MiB that RunComfy takes');
		expect(description).toContain('“Send Files As” to “Temporary Link to This n8n”');
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('refuses a temporary link where n8n keeps files in memory', async () => {
		await open({ items: [withFile(await picture('png'))] });
		const run = await env.run({ ...BINARY, options: { sendFilesAs: 'temporaryUrl' } });
		const { message, description } = failure(run);
		expect(message).toBe(
			'“Send Files As” cannot be “Temporary Link to This n8n” for the file “data”: n8n keeps it in memory',
		);
		expect(description).toContain('or choose “Data URI”. Nothing was submitted in this run.');
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('refuses contents that are not base64', async () => {
		const broken = withFile(await picture('png'));
		Object.assign(broken.binary?.data ?? {}, { data: 'iVBORw0KGgo, and more' });
		await open({ items: [broken] });
		expect(failure(await env.run(BINARY)).message).toContain('whose contents are not base64 (“data”)');
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('lists the files that the item has when the named one is missing', async () => {
		const photo = withFile(await picture('png'), 'image/png', 'photo');
		await open({ items: [photo] });
		const { message, description } = failure(await env.run(BINARY));
		expect(message).toBe('“Input Data Field Name” names no file of this item (“data”)');
		expect(description).toBe('This item has: “photo”.');
		await open();
		expect(failure(await env.run(BINARY)).description).toBe('This item has no files.');
	});

	it('gives advice when RunComfy refuses a file', async () => {
		await open({ items: [withFile(await picture('png'))] });
		env.sandbox.faults.add({ on: 'submit', kind: 'errorCode', errorCode: 422001 });
		const { message, description } = failure(await env.run(BINARY));
		expect(message).toContain('Nothing was submitted');
		expect(description).toContain('A file was sent as a data URI, which the model may not accept');
		expect(description).toContain('“Temporary Link to This n8n”');
	});

	it.each([
		[
			'redirectPrivate',
			'the address it was redirected to points to this computer or a private network (10.0.0.1)',
		],
		['redirectLoop', 'it was redirected more than 3 times'],
		['webPage', 'the file server sent a web page, an error text, or a program instead of the file'],
		['empty', 'the file is empty'],
		['endless', 'the file is larger than the 1 MB of the option “Max File Size (MB)”'],
		['noContent', 'the file server answered with HTTP 204'],
	] as const)(
		'refuses a hostile output (%s), keeps nothing of it, and reports the request and its URLs',
		async (kind, words) => {
			await open();
			const before = storedFiles();
			env.sandbox.faults.add({ on: 'output', kind });
			const { message, description } = failure(
				await env.run({ downloadFiles: true, options: { maxFileSize: 1 } }),
			);
			const job = env.sandbox.jobs[0];
			expect(message).toContain(words);
			expect(message).toContain(`RunComfy request ${job?.requestId} finished`);
			expect(message).toContain(`${env.sandbox.url}/outputs/${job?.requestId}/`);
			expect(description).toContain('“Get Result”');
			expect(env.sandbox.stats.tokensAtOutputs).toBe(0);
			expect(storedFiles()).toEqual(before);
		},
	);

	it.each(['compressed', 'truncatedGzip'] as const)(
		'refuses what n8n has decompressed, because it may be truncated (%s)',
		async (kind) => {
			await open({ binaryMode: 'filesystem', sandbox: { pictureBytes: 300_000 } });
			const before = storedFiles();
			env.sandbox.faults.add({ on: 'output', kind });
			const { message } = failure(await env.run({ downloadFiles: true }));
			expect(storedFiles()).toEqual(before);
			expect(message).toMatch(/could not be downloaded: \d+ bytes arrived instead of \d+/);
			expect(env.sandbox.stats.downloads).toBe(1);
		},
	);

	it('stores a file that is shorter than any file type’s first bytes', async () => {
		await open();
		env.sandbox.faults.add({ on: 'output', kind: 'tiny' });
		const item = outputItems(await env.run({ downloadFiles: true }))[0];
		expect(item?.binary?.data).toMatchObject({ mimeType: 'image/gif', fileExtension: 'gif' });
		expect(await env.engine.readBinary(item ?? { json: {} }, 'data')).toEqual(TINY_PICTURE);
	});

	it('returns the files that come where another fails, and says which and why', async () => {
		await open();
		env.sandbox.faults.add({ job: 'manyImages' });
		env.sandbox.faults.add({ on: 'output', kind: 'notFound', times: 1 });
		const run = await env.run({ downloadFiles: true });
		const [item] = outputItems(run);
		expect(Object.keys(item?.binary ?? {})).toEqual(['data', 'data_1']);
		expect(item?.json.images).toHaveLength(3);
		const failed = {
			url: expect.stringContaining('/replaced-background') as string,
			reason: 'the file server answered with HTTP 404',
		};
		expect(item?.json.failedFiles).toEqual([failed]);
		const [task] = run.data.resultData.runData.RunComfy ?? [];
		expect(JSON.stringify(task?.hints)).toContain('1 of 3 files of RunComfy request');
	});

	it('keeps a file whose contents are of no known type', async () => {
		await open();
		env.sandbox.faults.add({ on: 'output', kind: 'notImage' });
		const [item] = outputItems(await env.run({ downloadFiles: true }));
		expect(item?.binary?.data).toMatchObject({
			fileName: 'replaced-background.png',
			mimeType: 'application/octet-stream',
		});
	});

	it('names all files in the error when none comes', async () => {
		await open();
		const before = storedFiles();
		env.sandbox.faults.add({ job: 'manyImages' });
		env.sandbox.faults.add({ on: 'output', kind: 'notFound' });
		const { message, description } = failure(await env.run({ downloadFiles: true }));
		const job = env.sandbox.jobs[0];
		const urls = ['', '-2', '-3'].map(
			(n) => `${env.sandbox.url}/outputs/${job?.requestId}/replaced-background${n}.png`,
		);
		for (const url of urls) expect(`${message} ${description}`).toContain(url);
		expect(message).toContain(`RunComfy request ${job?.requestId} finished`);
		expect(message).toContain('HTTP 404');
		expect(storedFiles()).toEqual(before);
		expect(env.sandbox.stats.downloads).toBe(3);
	});

	it.each(['badGateway', 'lostBefore', 'short', 'redirectOnce'] as const)(
		'recovers from a transient error of a download (%s), and keeps nothing partial',
		async (kind) => {
			await open();
			const before = storedFiles().length;
			env.sandbox.faults.add({ on: 'output', kind, times: 1 });
			const run = await env.run({ downloadFiles: true });
			expect(run.status).toBe('success');
			// A file and its metadata.
			expect(storedFiles().length - before).toBe(2);
		},
	);

	it('refuses a file shorter than its announced size, and a server that stops sending', async () => {
		await open({ runtime: { downloadIdleMs: 200 } });
		env.sandbox.faults.add({ on: 'output', kind: 'short' });
		const before = storedFiles();
		expect(failure(await env.run({ downloadFiles: true })).message).toContain(
			'the connection was lost before the file was complete',
		);
		env.sandbox.faults.clear();
		env.sandbox.faults.add({ on: 'output', kind: 'hangBefore' });
		expect(failure(await env.run({ downloadFiles: true })).message).toContain(
			'the file server stopped sending data',
		);
		expect(storedFiles()).toEqual(before);
	});

	it.each(['end', 'resetAndDestroy'] as const)(
		'does not take a file for whole that ends early without a length (%s)',
		async (how) => {
			await open();
			const bytes = await picture('png', 512);
			let calls = 0;
			const server = createServer((socket) => {
				socket.on('error', () => {});
				socket.once('data', () => {
					const sent = calls++ === 0 ? bytes.subarray(0, bytes.length - 20) : bytes;
					socket.write('HTTP/1.1 200 OK\r\ncontent-type: image/png\r\nconnection: close\r\n\r\n');
					socket.write(sent, () => setTimeout(() => socket[calls === 1 ? how : 'end'](), 20));
				});
			}).listen(0, '127.0.0.1');
			await once(server, 'listening');
			const image = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.png`;
			const answer = { status: 200, body: { status: 'succeeded', output: { image } } };
			env.sandbox.faults.add({ on: 'result', kind: 'answer', answer });
			const [item] = outputItems(await env.run({ downloadFiles: true }));
			server.close();
			expect(calls).toBe(2);
			expect(await env.engine.readBinary(item ?? { json: {} }, 'data')).toEqual(bytes);
		},
	);

	it('judges where a name leads with n8n’s own lookup, and lets n8n’s operator allow it', async () => {
		await open();
		const { helpers } = env.editorContext({});
		const allowed = helpers.getSecureEgressFilter('enforced') as object as { allowedIps: BlockList };
		for (const address of ['10.0.0.1', '100.64.0.1', '2002::1']) {
			expect(await findPrivateAddress(helpers, address)).toContain('leads to a private network');
			allowed.allowedIps.addAddress(address, address.includes(':') ? 'ipv6' : 'ipv4');
			expect(await findPrivateAddress(helpers, address)).toBeUndefined();
		}
		expect(await findPrivateAddress(helpers, '8.8.8.8')).toBeUndefined();
	});

	it('sends nothing for this machine through a proxy of n8n’s environment', async () => {
		await open();
		process.env.HTTP_PROXY = 'http://127.0.0.1:1';
		const run = await env.run({ downloadFiles: true });
		delete process.env.HTTP_PROXY;
		expect(outputItems(run)[0]?.binary?.data?.mimeType).toBe('image/png');
	});

	it('refuses at once a file whose announced size is too large', async () => {
		await open({ sandbox: { pictureBytes: 3_000_000 } });
		expect(failure(await env.run({ downloadFiles: true, options: { maxFileSize: 2 } })).message).toContain(
			'larger than the 2 MB',
		);
	});
});
