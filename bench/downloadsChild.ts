import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { stream } from 'undici';

import { loadCompiled } from '../test/engine/compiled';
import { prepareEngine } from './engineTask';

/** Downloads the results of finished requests and reports how fast. Argument: the order as JSON. */
export interface DownloadsOrder {
	way: 'node' | 'undici';
	baseUrl: string;
	requestIds: string[];
	bytesEach: number;
}

export interface DownloadsReport {
	bytesPerSecond: number;
}

/** As many as the node downloads at once. */
const AT_ONCE = 4;

type Download = (requestIds: string[]) => Promise<number>;

async function byNode({ baseUrl }: DownloadsOrder): Promise<Download> {
	const { RunComfy } = await loadCompiled();
	return async (requestIds) => {
		const run = await prepareEngine(baseUrl, {
			node: new RunComfy(),
			parameters: {
				resource: 'request',
				operation: 'getResult',
				requestId: '={{ $json.requestId }}',
				downloadImages: true,
				options: { maxImageSize: 350 },
			},
			items: requestIds.map((requestId) => ({ json: { requestId } })),
		});
		return (await run()).reduce((sum, { binary }) => sum + (binary?.data?.bytes ?? 0), 0);
	};
}

async function byUndici({ baseUrl }: DownloadsOrder): Promise<Download> {
	return async (requestIds) => {
		const folder = await mkdtemp(path.join(tmpdir(), 'runcomfy-bench-'));
		const left = [...requestIds];
		let bytes = 0;
		const worker = async () => {
			for (let id = left.shift(); id !== undefined; id = left.shift()) {
				const file = createWriteStream(path.join(folder, id));
				await stream(`${baseUrl}/outputs/${id}/replaced-background.png`, { method: 'GET' }, () => file);
				bytes += file.bytesWritten;
			}
		};
		await Promise.all(Array.from({ length: AT_ONCE }, worker));
		await rm(folder, { recursive: true });
		return bytes;
	};
}

async function main(): Promise<void> {
	const order = JSON.parse(process.argv[2] ?? '{}') as DownloadsOrder;
	const download = await (order.way === 'node' ? byNode(order) : byUndici(order));
	await download(order.requestIds.slice(0, 2));
	const from = performance.now();
	const bytes = await download(order.requestIds);
	const seconds = (performance.now() - from) / 1000;
	if (bytes !== order.requestIds.length * order.bytesEach) throw new Error(`${bytes} bytes came`);
	const report: DownloadsReport = { bytesPerSecond: bytes / seconds };
	process.send?.(report, () => process.exit(0));
}

main().catch((error: unknown) => {
	console.error(error);
	process.exit(1);
});
