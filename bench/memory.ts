import { finishedRequests, measure, startSandbox } from './processes';

/** `npm run bench:memory`: what downloading costs in memory. Fails when the goal is missed. */
const IMAGES = 40;
const IMAGE_BYTES = 25e6;
const GOAL_BYTES = 150e6;

async function main(): Promise<void> {
	const sandbox = await startSandbox(IMAGE_BYTES);
	const items = await finishedRequests(sandbox, IMAGES);
	const task = { baseUrl: sandbox.url, items, concurrency: 10, warmUp: items.slice(0, 1) };
	const { downloadedBytes, rssGrowthBytes } = await measure({ variant: 'downloads by this node', ...task });
	await sandbox.close();
	const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
	console.log(
		`${IMAGES} images of ${mb(IMAGE_BYTES)}, binary data on disk: resident set +${mb(rssGrowthBytes)},`,
	);
	const share = ((100 * rssGrowthBytes) / downloadedBytes).toFixed(1);
	console.log(`${share} % of the bytes downloaded (goal: below ${mb(GOAL_BYTES)})`);
	if (rssGrowthBytes >= GOAL_BYTES || downloadedBytes !== IMAGES * IMAGE_BYTES) process.exitCode = 1;
}

void main();
