import type { DownloadsOrder, DownloadsReport } from '../downloadsChild';
import { startChild, startSandbox, submitTo } from '../processes';
import { spreadOf, type Spread } from '../stats';

export interface DownloadsResult {
	files: number;
	bytesEach: number;
	nodeMegabytesPerSecond: Spread;
	undiciMegabytesPerSecond: Spread;
	/** The node's rate over undici's, round by round. */
	ratio: Spread;
}

/** The node and undici in turn, so that a slow minute of the machine meets both. */
export async function measureDownloads(
	files: number,
	bytesEach: number,
	rounds: number,
): Promise<DownloadsResult> {
	const sandbox = await startSandbox({ pictureBytes: bytesEach });
	const requestIds: string[] = [];
	for (let file = 0; file < files; file++) requestIds.push(await submitTo(sandbox));
	const rate = async (way: DownloadsOrder['way']) => {
		const order: DownloadsOrder = { way, baseUrl: sandbox.url, requestIds, bytesEach };
		const report = (await startChild('downloadsChild.ts', JSON.stringify(order)).next()) as DownloadsReport;
		return report.bytesPerSecond / 1_000_000;
	};
	const node: number[] = [];
	const undici: number[] = [];
	for (let round = 0; round < rounds; round++) {
		undici.push(await rate('undici'));
		node.push(await rate('node'));
	}
	sandbox.close();
	return {
		files,
		bytesEach,
		nodeMegabytesPerSecond: spreadOf(node),
		undiciMegabytesPerSecond: spreadOf(undici),
		ratio: spreadOf(node.map((value, round) => value / (undici[round] ?? NaN))),
	};
}
