import { RunComfy } from '../nodes/RunComfy/RunComfy.node.js';
import { RunComfyApi } from '../credentials/RunComfyApi.credentials';
import { Engine } from '../test/engine/engine';
import { SANDBOX_TOKEN } from '../test/sandbox/sandbox';
import { RUNCOMFY_TYPE } from '../test/workflow';
import { source } from '../test/engine/fakeNodes';

/** Sends files of the items, in a process of its own; says how much memory the jobs hold while they wait. At most ten, all at once. */
const [baseUrl = '', count = '6', fileBytes = '6000000'] = process.argv.slice(2);
const PNG = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

export interface UploadsReport {
	/** Heap and buffers beyond what was there before the node ran, while all jobs wait. */
	heldBytes: number;
	/** The highest resident set beyond that before the node ran. */
	peakBytes: number;
}

function usedBytes(): number {
	globalThis.gc?.();
	const { heapUsed, external } = process.memoryUsage();
	return heapUsed + external;
}

async function main(): Promise<void> {
	const files = source([]);
	files.execute = async function () {
		const store = async () =>
			await this.helpers.prepareBinaryData(Buffer.concat([PNG, Buffer.alloc(Number(fileBytes))]), 'a.png');
		const items = [];
		for (let n = 0; n < Number(count); n++) items.push({ json: { n }, binary: { data: await store() } });
		return [items];
	};
	const engine = await Engine.create({
		nodes: { source: files, [RUNCOMFY_TYPE]: new RunComfy() },
		credentialType: new RunComfyApi(),
		credential: { apiToken: SANDBOX_TOKEN, useCustomUrls: true, baseUrl },
		binaryMode: 'filesystem',
		log: (_level, message) => {
			if (message.includes('submitted for item')) submitted++;
		},
	});
	const common = { typeVersion: 1, position: [0, 0] as [number, number] };
	const parameters = {
		imageSource: 'binary',
		prompt: 'A beach',
		options: { pollInterval: 1, cancelOnStop: false },
	};
	const credentials = { runComfyApi: { id: '1', name: 'RunComfy' } };
	let submitted = 0;
	const before = usedBytes();
	const rssBefore = process.memoryUsage.rss();
	let rssPeak = rssBefore;
	const execution = engine.start({
		nodes: [
			{ id: '1', name: 'Start', type: 'source', parameters: {}, ...common },
			{ id: '2', name: 'Node', type: RUNCOMFY_TYPE, parameters, credentials, ...common },
		],
		connections: { Start: { main: [[{ node: 'Node', type: 'main', index: 0 }]] } },
	});
	let hasEnded = false;
	void execution.done.then(() => (hasEnded = true));
	while (submitted < Number(count)) {
		if (hasEnded) throw new Error('The node has ended before all files were sent.');
		await new Promise((resolve) => setTimeout(resolve, 10));
		rssPeak = Math.max(rssPeak, process.memoryUsage.rss());
	}
	// A poll or two later, what the submits have left is garbage.
	await new Promise((resolve) => setTimeout(resolve, 1_500));
	const report: UploadsReport = {
		heldBytes: usedBytes() - before,
		peakBytes: rssPeak - rssBefore,
	};
	execution.stop();
	process.send?.(report, () => process.exit(0));
}

void main();
