import { loadCompiled } from '../test/engine/compiled';
import { Engine, RUNCOMFY_TYPE, type EngineWorkflow } from '../test/engine/engine';
import { passThrough, source } from '../test/engine/standIns';
import type { MemoryReport } from './memory';

/** The measured process: n8n's engine with the compiled node, downloading. Arguments: URL, token, images, concurrency. */
const [baseUrl = '', apiToken = '', images = '1', concurrency = '1'] = process.argv.slice(2);
const SAMPLE_MS = 20;

function workflow(): EngineWorkflow {
	const node = (name: string, type: string, more = {}) => ({
		id: name,
		name,
		type,
		typeVersion: 1,
		position: [0, 0] as [number, number],
		parameters: {},
		...more,
	});
	return {
		nodes: [
			node('Start', 'source'),
			node('RunComfy', RUNCOMFY_TYPE, {
				parameters: {
					imageUrl: 'https://example.com/a.png',
					prompt: 'A beach',
					downloadImages: true,
					options: { maxConcurrency: Number(concurrency), pollInterval: 0.2 },
				},
				credentials: { runComfyApi: { id: '1', name: 'RunComfy' } },
			}),
		],
		connections: { Start: { main: [[{ node: 'RunComfy', type: 'main', index: 0 }]] } },
	};
}

async function download(count: number): Promise<number> {
	const { RunComfy, RunComfyApi } = await loadCompiled();
	const engine = await Engine.create({
		nodes: {
			source: source(Array.from({ length: count }, () => ({ json: {} }))),
			passThrough,
			[RUNCOMFY_TYPE]: new RunComfy(),
		},
		credentialType: new RunComfyApi(),
		credential: { apiToken, baseUrl },
		binaryMode: 'filesystem',
	});
	const run = await engine.run(workflow());
	if (run.data.resultData.error !== undefined) throw run.data.resultData.error;
	const rows = run.data.resultData.runData.RunComfy?.[0]?.data?.main?.[0] ?? [];
	return rows.reduce((sum, { binary }) => sum + (binary?.data?.bytes ?? 0), 0);
}

async function main(): Promise<void> {
	await download(1);
	globalThis.gc?.();
	const beforeBytes = process.memoryUsage.rss();
	let peakBytes = beforeBytes;
	const sampler = setInterval(() => {
		peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
	}, SAMPLE_MS);
	const from = performance.now();
	const storedBytes = await download(Number(images));
	const seconds = (performance.now() - from) / 1000;
	clearInterval(sampler);
	const report: MemoryReport = { beforeBytes, peakBytes, storedBytes, seconds };
	process.send?.(report, () => process.exit(0));
}

void main();
