import type { VariantName } from '../child';
import { quick } from '../options';
import { finishedRequests, measure, startSandbox } from '../processes';
import { spreadsOf } from '../stats';

const FILES = quick ? 2 : 40;
const BYTES_EACH = quick ? 1e6 : 25e6;

/** How fast the node downloads files into n8n's binary data on disk, beside undici into plain files. */
export async function measureDownloads() {
	const sandbox = await startSandbox(BYTES_EACH);
	const items = await finishedRequests(sandbox, FILES);
	// As many at once as the node downloads.
	const task = { baseUrl: sandbox.url, items, concurrency: 4, warmUp: items.slice(0, 2) };
	const rateOf = async (variant: VariantName): Promise<number> => {
		const { downloadedBytes, wallMs } = await measure({ variant, ...task });
		if (downloadedBytes !== FILES * BYTES_EACH) throw new Error(`${variant}: ${downloadedBytes} bytes`);
		return downloadedBytes / wallMs / 1000;
	};
	const rounds = [];
	// In turn, so that a slow minute of the machine meets both.
	for (let round = 0; round < (quick ? 1 : 3); round++) {
		const undiciMegabytesPerSecond = await rateOf('downloads by undici');
		const nodeMegabytesPerSecond = await rateOf('downloads by this node');
		const ratio = nodeMegabytesPerSecond / undiciMegabytesPerSecond;
		rounds.push({ nodeMegabytesPerSecond, undiciMegabytesPerSecond, ratio });
	}
	await sandbox.close();
	return { files: FILES, bytesEach: BYTES_EACH, ...spreadsOf(rounds) };
}
