import { until } from '../until';
import { items, TestEnvironment } from './testEnvironment';

/**
 * Presses Stop in every phase, in a process of its own, and then does nothing more: whether a timer or a socket is left
 * shows in when the process ends by itself. Prints what it saw as JSON.
 */
const warnings: string[] = [];
const rejections: string[] = [];
process.on('warning', ({ name, message }) => warnings.push(`${name}: ${message}`));
process.on('unhandledRejection', (reason) => rejections.push(String(reason)));

type Phase = (env: TestEnvironment) => Promise<void>;
const pause = async (ms: number) => await new Promise((resolve) => setTimeout(resolve, ms));

const PHASES: Record<string, Phase> = {
	waiting: async (env) => {
		const execution = env.start({ options: { pollInterval: 60, maxConcurrency: 100 } });
		await until('all are submitted', () => env.sandbox.stats.accepted === 30);
		await pause(50);
		await env.stop(execution);
	},
	submitting: async (env) => {
		env.sandbox.faults.add({ on: 'submit', kind: 'slow', delayMs: 300 });
		const execution = env.start({ options: { maxConcurrency: 30 } });
		await until('submits are in flight', () => env.sandbox.stats.accepted === 30);
		await env.stop(execution);
	},
	polling: async (env) => {
		env.sandbox.faults.add({ on: 'result', kind: 'hangBefore' });
		const execution = env.start({ options: { maxConcurrency: 30 } });
		await until('all are submitted', () => env.sandbox.stats.accepted === 30);
		await pause(400);
		await env.stop(execution);
	},
	throttled: async (env) => {
		env.sandbox.faults.add({ on: 'submit', kind: 'tooMany', retryAfter: 60 });
		const execution = env.start({ options: { maxConcurrency: 30 } });
		await until('it was refused', () => env.sandbox.stats.submits > 0);
		await pause(100);
		await env.stop(execution);
	},
	backingOff: async (env) => {
		env.sandbox.faults.add({ on: 'result', kind: 'serverError' });
		const execution = env.start({ options: { maxConcurrency: 30 } });
		await until('all have failed', () => env.sandbox.stats.submits === 30);
		await pause(1_500);
		await env.stop(execution);
	},
	downloading: async (env) => {
		env.sandbox.faults.add({ on: 'output', kind: 'hangBefore' });
		const execution = env.start({ prompt: 'quick', downloadFiles: true, options: { maxConcurrency: 30 } });
		await until('downloads hang', () => env.sandbox.stats.downloads >= 4);
		await env.stop(execution);
	},
};

async function main(): Promise<void> {
	const run = async (phase: Phase) => {
		const env = await TestEnvironment.create({
			items: items(30),
			speed: 1,
			sandbox: { queueMs: (_n, prompt) => (prompt === 'quick' ? 0 : 60_000), runMs: 0 },
		});
		await phase(env);
		await env.close();
	};
	await Promise.all(Object.values(PHASES).map(run));
	const overAt = performance.now();
	process.once('exit', () => {
		const lingeredMs = performance.now() - overAt;
		console.log(JSON.stringify({ phases: Object.keys(PHASES), warnings, rejections, lingeredMs }));
	});
}

void main();
