import { fork, type ChildProcess } from 'node:child_process';
import path from 'node:path';

import { request } from 'undici';

import { MODEL_ID, SANDBOX_TOKEN, type SandboxOptions } from '../test/sandbox/sandbox';
import type { ContestantOrder, ContestantReport } from './contestantChild';
import { IMAGE_URL } from './workload';

/** Every contestant and the sandbox run in processes of their own: none is part of another's figures. */

export interface SandboxProcess {
	url: string;
	close(): void;
}

/** A job as the sandbox saw it; times in milliseconds since the epoch. */
export interface SeenJob {
	requestId: string;
	prompt: string;
	submittedAt: number;
	endsAt: number;
	deliveredAt?: number;
	looks: number;
	statusLooks: number;
}

/** Starts a script of this folder in a process of its own. `next` gives its next message, or throws when it ends without. */
export function startChild(
	script: string,
	...args: string[]
): { child: ChildProcess; next(): Promise<unknown> } {
	const child = fork(path.join(__dirname, script), args, { execArgv: [...process.execArgv, '--expose-gc'] });
	const next = async () =>
		await new Promise<unknown>((resolve, reject) => {
			child.once('message', resolve);
			child.once('exit', (code) =>
				reject(new Error(`${script} ${args.join(' ').slice(0, 80)} ended with ${code}`)),
			);
		});
	return { child, next };
}

export async function startSandbox(options: SandboxOptions = {}): Promise<SandboxProcess> {
	const { child, next } = startChild('sandboxChild.ts', JSON.stringify(options));
	const url = String(await next());
	return { url, close: () => void child.kill() };
}

/** What the sandbox saw of one contestant's run, in the order of the submits. */
export async function jobsOf({ url }: SandboxProcess, run: string): Promise<SeenJob[]> {
	const { body } = await request(`${url}/sandbox/jobs`);
	const jobs = (await body.json()) as SeenJob[];
	return jobs.filter(({ prompt }) => prompt.startsWith(`run ${run} `));
}

/** A request that is done as soon as it is submitted. @returns its id. */
export async function submitTo({ url }: SandboxProcess): Promise<string> {
	const { body } = await request(`${url}/v1/models/${MODEL_ID}`, {
		method: 'POST',
		headers: { authorization: `Bearer ${SANDBOX_TOKEN}`, 'content-type': 'application/json' },
		body: JSON.stringify({ image: IMAGE_URL, prompt: 'takes 0 ms' }),
	});
	const { request_id: id } = (await body.json()) as { request_id: string };
	return id;
}

/** A contestant that has loaded everything and waits for its start. */
export interface ReadyContestant {
	order: ContestantOrder;
	run(): Promise<ContestantReport>;
}

export async function prepareContestant(order: ContestantOrder): Promise<ReadyContestant> {
	const { child, next } = startChild('contestantChild.ts', JSON.stringify(order));
	await next();
	return {
		order,
		run: async () => {
			const report = next();
			child.send('go');
			return (await report) as ContestantReport;
		},
	};
}

export async function runContestant(order: ContestantOrder): Promise<ContestantReport> {
	return await (await prepareContestant(order)).run();
}
