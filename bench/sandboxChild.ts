import { Sandbox, type SandboxOptions } from '../test/sandbox/sandbox';
import { durationOf } from './workload';

/** The sandbox in a process of its own, so that its work is no part of a contestant's figures. Argument: options as JSON. */
async function main(): Promise<void> {
	const options = JSON.parse(process.argv[2] ?? '{}') as SandboxOptions;
	const sandbox = await Sandbox.start({
		pictures: 'plain',
		queueMs: 0,
		runMs: (_, prompt) => durationOf(prompt),
		balanceUsd: 1_000_000,
		...options,
	});
	process.once('disconnect', () => process.exit(0));
	process.send?.(sandbox.url);
}

void main();
