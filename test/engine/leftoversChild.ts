import { items, Workbench } from './workbench';

/**
 * Presses Stop in every phase, in a process of its own, and then does nothing more: whether a timer or a socket is left
 * shows in when the process ends by itself. Prints what it saw as JSON.
 */
const warnings: string[] = [];
const rejections: string[] = [];
process.on('warning', ({ name, message }) => warnings.push(`${name}: ${message}`));
process.on('unhandledRejection', (reason) => rejections.push(String(reason)));

type Phase = (bench: Workbench) => Promise<void>;
const pause = async (ms: number) => await new Promise((resolve) => setTimeout(resolve, ms));

const PHASES: Record<string, Phase> = {
	waiting: async (bench) => {
		const execution = bench.start({ options: { pollInterval: 60, maxConcurrency: 100 } });
		await bench.until('all are submitted', () => bench.sandbox.stats.accepted === 30);
		await pause(50);
		await bench.stop(execution);
	},
	submitting: async (bench) => {
		bench.sandbox.faults.add({ on: 'submit', kind: 'slow', delayMs: 300 });
		const execution = bench.start({ options: { maxConcurrency: 30 } });
		await bench.until('submits are in flight', () => bench.sandbox.stats.accepted === 30);
		await bench.stop(execution);
	},
	looking: async (bench) => {
		bench.sandbox.faults.add({ on: 'result', kind: 'hangBefore' });
		const execution = bench.start({ options: { maxConcurrency: 30 } });
		await bench.until('all are submitted', () => bench.sandbox.stats.accepted === 30);
		await pause(400);
		await bench.stop(execution);
	},
	throttled: async (bench) => {
		bench.sandbox.faults.add({ on: 'submit', kind: 'tooMany', retryAfter: 60 });
		const execution = bench.start({ options: { maxConcurrency: 30 } });
		await bench.until('it was refused', () => bench.sandbox.stats.submits > 0);
		await pause(100);
		await bench.stop(execution);
	},
	backingOff: async (bench) => {
		bench.sandbox.faults.add({ on: 'result', kind: 'serverError' });
		const execution = bench.start({ options: { maxConcurrency: 30 } });
		await bench.until('all have failed', () => bench.sandbox.stats.submits === 30);
		await pause(1_500);
		await bench.stop(execution);
	},
	downloading: async (bench) => {
		bench.sandbox.faults.add({ on: 'output', kind: 'hangBefore' });
		const execution = bench.start({ prompt: 'quick', downloadFiles: true, options: { maxConcurrency: 30 } });
		await bench.until('downloads hang', () => bench.sandbox.stats.downloads >= 4);
		await bench.stop(execution);
	},
};

async function main(): Promise<void> {
	for (const phase of Object.values(PHASES)) {
		const bench = await Workbench.open({
			items: items(30),
			sandbox: { queueMs: (_n, prompt) => (prompt === 'quick' ? 0 : 60_000), runMs: 0 },
		});
		await phase(bench);
		await bench.close();
	}
	const overAt = performance.now();
	process.once('exit', () => {
		const lingeredMs = performance.now() - overAt;
		console.log(JSON.stringify({ phases: Object.keys(PHASES), warnings, rejections, lingeredMs }));
	});
}

void main();
