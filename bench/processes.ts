import { fork } from 'node:child_process';
import path from 'node:path';

import { Sandbox } from '../test/sandbox/sandbox';
import type { Measurement, Report } from './child';
import { mean } from './stats';
import { durationOf, durationsOf, promptsOf } from './workload';

/** The sandbox runs in this process, and every variant in one of its own: none is part of another's figures. */
export async function startSandbox(pictureBytes = 0): Promise<Sandbox> {
	const runMs = (_: number, prompt: string) => durationOf(prompt);
	return await Sandbox.start({ pictures: 'plain', queueMs: 0, runMs, balanceUsd: 1_000_000, pictureBytes });
}

/** Polls and mean lateness (as a share of the mean duration) of one run's jobs. */
export function timingsOf(sandbox: Sandbox, run: string, durationsMs: number[]) {
	const jobs = sandbox.jobs.filter(({ input }) => String(input.prompt).startsWith(`run ${run} `));
	if (jobs.length !== durationsMs.length) throw new Error(`${run}: ${jobs.length} jobs`);
	const pollsPerJob = mean(jobs.map(({ polls, statusPolls }) => polls + statusPolls));
	const lateMs = mean(jobs.map(({ deliveredAt = NaN, endsAt }) => deliveredAt - endsAt));
	return { pollsPerJob, lateness: lateMs / mean(durationsMs) };
}

/** @returns their ids. */
export async function finishedRequests(sandbox: Sandbox, count: number): Promise<string[]> {
	const items = promptsOf('finished', new Array<number>(count).fill(0));
	await measure({ variant: 'floor', baseUrl: sandbox.url, items, concurrency: 1, warmUp: [] });
	return sandbox.jobs.map(({ requestId }) => requestId);
}

export const SHORT_JOBS = promptsOf('warm-up', durationsOf(20, 1, 1, 40));

/** Resolves when the variant has loaded everything. @returns what starts it. */
export async function prepare(measurement: Measurement): Promise<() => Promise<Report>> {
	const { variant, items, concurrency } = measurement;
	console.log(`${process.uptime().toFixed(0)} s  ${variant}: ${items.length} items, ${concurrency} at once`);
	const execArgv = [...process.execArgv, '--expose-gc'];
	const child = fork(path.join(__dirname, 'child.ts'), process.argv.slice(2), { execArgv });
	const answerTo = async (message: object): Promise<unknown> =>
		await new Promise((resolve, reject) => {
			child.once('message', resolve);
			child.once('exit', (code) => reject(new Error(`${variant}: exit code ${code}`)));
			child.send(message);
		});
	await answerTo(measurement);
	return async () => (await answerTo({})) as Report;
}

export async function measure(measurement: Measurement): Promise<Report> {
	const run = await prepare(measurement);
	return await run();
}
