import { rm } from 'node:fs/promises';

import { Container } from '@n8n/di';
import { BinaryDataService, FileLocation } from 'n8n-core';
import type { IRun } from 'n8n-workflow';
import sharp from 'sharp';

import { TEXT_TO_IMAGE } from '../sandbox/catalog';
import { DEPLOYMENT_ID } from '../sandbox/deployments';
import { until } from '../until';
import { failure, items, outputItems, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

const RETRY = { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 };
const SHORT_CALLS = { callTimeouts: { submitMs: 300, pollMs: 300, cancelMs: 1_000 } };

/** Retry On Fail runs the whole node again, and nothing is submitted again. */
describe('Retry On Fail', () => {
	let env: TestEnvironment;

	const open = async (options: TestEnvironmentOptions = {}) => {
		env = await TestEnvironment.open({ settings: RETRY, ...options });
		return env;
	};

	it('resumes what was submitted, and does not poll again what is finished', async () => {
		// Item 1 is slower than its timeout in the first two tries; item 0 is finished in the first one.
		await open({ items: items(2), sandbox: { queueMs: 0, runMs: (n) => (n === 0 ? 0 : 60_000) } });
		const { done } = env.start({
			prompt: '={{ "scene " + $json.n }}',
			options: { timeout: 1, maxConcurrency: 1 },
		});
		await until('the third try', () => env.tries.length === 3);
		env.endJobs();
		const run = await done;
		expect(run.status).toBe('success');
		expect(env.tries).toHaveLength(3);
		expect(env.sandbox.stats.submits).toBe(2);
		const [first, second] = env.sandbox.jobs;
		expect(outputItems(run).map(({ json }) => json.requestId)).toEqual([first?.requestId, second?.requestId]);
		expect(outputItems(run).map(({ json }) => json.seed)).toEqual([first?.input.seed, second?.input.seed]);
		expect(first?.polls ?? 0).toBeLessThanOrEqual(2);
	});

	it('resumes in a retry although the seed, the prompt and the image differ in every try', async () => {
		await open({ items: items(2), sandbox: { runMs: 60_000 } });
		const { done } = env.start({
			imageUrl: '={{ "https://example.com/" + Math.random() + ".png" }}',
			prompt: '={{ "at " + $now.toMillis() + Math.random() }}',
			options: { timeout: 1, seed: '={{ Math.floor(Math.random() * 2147483647) }}' },
		});
		await until('the second try', () => env.tries.length === 2);
		env.endJobs();
		const run = await done;
		expect(run.status).toBe('success');
		expect(env.sandbox.stats.submits).toBe(2);
		expect(outputItems(run).map(({ json }) => json.seed)).toEqual(
			env.sandbox.jobs.map(({ input }) => input.seed),
		);
	});

	it('submits nothing, also not for a failed request, in a retry that ends with the error of an item', async () => {
		await open({
			items: items(2),
			settings: { ...RETRY, maxTries: 2 },
			sandbox: { runMs: 60_000 },
		});
		env.sandbox.faults.add({ job: 'failed', times: 1 });
		const execution = env.start({
			prompt: '={{ $execution.customData.get("isLater") && $json.n === 1 ? "" : "scene " + $json.n }}',
			options: { timeout: 1, maxConcurrency: 1, pollInterval: 0.2 },
		});
		await until('item 0 is submitted', () => env.sandbox.stats.accepted === 1);
		execution.data.resultData.metadata = { isLater: 'true' };
		await until('the second try', () => env.tries.length === 2);
		env.endJobs();
		const { message, description } = failure(await execution.done);
		expect(message).toContain('“Prompt” must not be empty');
		expect(description).toContain(env.sandbox.jobs[0]?.requestId);
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it('submits again what had no output, and has failed since', async () => {
		await open({ sandbox: { runMs: 0 } });
		const result = (body: object) =>
			({ on: 'result', kind: 'answer', times: 1, answer: { status: 200, body } }) as const;
		env.sandbox.faults.add(
			result({ status: 'completed', output: {} }),
			result({ status: 'failed', error: 'archived' }),
		);
		const run = await env.run();
		expect(run.status).toBe('success');
		expect(env.sandbox.stats.submits).toBe(2);
	});

	it('submits again after a clear refusal, and after RunComfy has reported the job failed', async () => {
		await open();
		env.sandbox.faults.add({ on: 'submit', kind: 'errorCode', times: 1 }, { job: 'failed', times: 1 });
		const run = await env.run();
		expect(run.status).toBe('success');
		expect(env.tries).toHaveLength(3);
		expect(env.sandbox.stats).toMatchObject({ submits: 3, accepted: 2 });
		expect(outputItems(run)[0]?.json.requestId).toBe(env.sandbox.jobs[1]?.requestId);
	});

	it('cancels what is queued when an item fails, and submits in the retry only what was cancelled or failed', async () => {
		await open({
			items: items(4),
			sandbox: {
				queueMs: (n, prompt) => (n < 4 && /[23]/.test(prompt) ? 60_000 : 0),
				runMs: (n) => (n < 4 ? 60_000 : 0),
			},
		});
		env.sandbox.faults.add({ job: 'failed', times: 1, promptIncludes: 'scene 0' });
		const execution = env.start({ prompt: '={{ "scene " + $json.n }}' });
		const isPolled = () => env.sandbox.jobs.length === 4 && env.sandbox.jobs.every(({ polls }) => polls > 1);
		await until('1 is known to run, 2 and 3 to be queued', isPolled);
		env.endJobs('scene 0');
		await until('the others are submitted again', () => env.sandbox.stats.accepted === 7);
		env.endJobs('scene 1');
		const run = await execution.done;
		expect(run.status).toBe('success');
		expect(env.tries).toHaveLength(2);
		// Four, then again the failed one and the two cancelled ones. The running one was resumed.
		expect(env.sandbox.stats).toMatchObject({ accepted: 7, cancels: 2, cancelled: 2 });
		const running = env.sandbox.jobs.find(({ input }) => input.prompt === 'scene 1');
		expect(outputItems(run)[1]?.json.requestId).toBe(running?.requestId);
	});

	it('only downloads again after a failed download', async () => {
		await open();
		env.sandbox.faults.add({ on: 'output', kind: 'webPage', times: 1 });
		const run = await env.run({ downloadFiles: true });
		expect(run.status).toBe('success');
		expect(env.sandbox.stats).toMatchObject({ submits: 1, downloads: 2 });
		expect(env.sandbox.jobs[0]?.polls).toBeLessThanOrEqual(2);
	});

	it('returns the same requests when it does not wait', async () => {
		await open({ items: items(2), runtime: SHORT_CALLS });
		env.sandbox.faults.add({ on: 'submit', kind: 'errorCode', times: 1, promptIncludes: 'scene 1' });
		const run = await env.run({
			prompt: '={{ "scene " + $json.n }}',
			waitForCompletion: false,
			options: { maxConcurrency: 1, cancelOnStop: false },
		});
		expect(run.status).toBe('success');
		expect(env.sandbox.stats).toMatchObject({ submits: 3, accepted: 2 });
	});

	it('submits again only what failed, when an error item makes n8n run the node again', async () => {
		await open({ items: items(2), settings: { ...RETRY, onError: 'continueErrorOutput' } });
		env.sandbox.faults.add({ job: 'failed', promptIncludes: 'scene 0' });
		const run = await env.run({ prompt: '={{ "scene " + $json.n }}' });
		expect(env.tries).toHaveLength(3);
		expect(env.sandbox.jobs.filter(({ input }) => input.prompt === 'scene 1')).toHaveLength(1);
		expect(outputItems(run)).toHaveLength(1);
		expect(outputItems(run, 'RunComfy', 1)).toHaveLength(1);
	});

	describe('when the model can no longer be read', () => {
		const runOf = (modelId: object, options: object = {}) => ({
			resource: 'model',
			operation: 'run',
			modelId: { __rl: true, ...modelId },
			inputs: { mappingMode: 'defineBelow', value: { prompt: '={{ "scene " + $json.n }}' } },
			options: { timeout: 1, maxConcurrency: 1, ...options },
		});
		const byId = { mode: 'id', value: TEXT_TO_IMAGE };
		const byUrl = {
			mode: 'url',
			value: 'https://www.runcomfy.com/models/blackforestlabs/flux-2-flash',
		};
		const UNREADABLE = {
			kind: 'answer' as const,
			answer: { status: 403, body: { error_code: 403003 } },
		};
		const runUntilUnreadable = async (parameters: Record<string, unknown>) => {
			const execution = env.start(parameters);
			await until('the first item is submitted', () => env.sandbox.stats.accepted === 1);
			env.sandbox.faults.add({ on: 'model', ...UNREADABLE }, { on: 'models', ...UNREADABLE });
			await env.tries[0]?.catch(() => undefined);
			env.endJobs();
			return await execution.done;
		};

		it.each([
			['by ID', runOf(byId)],
			['by URL, within a spending limit', runOf(byUrl, { spendingLimit: 1 })],
			['by URL, as JSON', { ...runOf(byUrl), inputMode: 'json', inputsJson: '{"prompt": "a scene"}' }],
		])('resumes what was submitted (%s)', async (_, parameters) => {
			await open({ sandbox: { runMs: 60_000 } });
			const run = await runUntilUnreadable(parameters);
			expect(run.status).toBe('success');
			expect(env.tries).toHaveLength(2);
			expect(env.sandbox.stats.submits).toBe(1);
			const [job] = env.sandbox.jobs;
			expect(outputItems(run)[0]?.json).toMatchObject({
				requestId: job?.requestId,
				status: 'succeeded',
				...(job?.input.seed === undefined ? {} : { seed: job.input.seed }),
			});
		});

		it('submits nothing else, and the error names what was resumed', async () => {
			await open({ items: items(2), sandbox: { runMs: 60_000 } });
			const run = await runUntilUnreadable(runOf(byId, { spendingLimit: 1 }));
			const { message, description, itemIndex } = failure(run);
			expect(itemIndex).toBe(1);
			expect(message).toContain(`The model “${TEXT_TO_IMAGE}” could not be read`);
			expect(description).toContain(`Finished and paid for: ${env.sandbox.jobs[0]?.requestId}`);
			expect(env.sandbox.stats.submits).toBe(1);
		});
	});

	describe('when the fields of an item are wrong by then', () => {
		const byId = (value: string) => ({ __rl: true, mode: 'id', value });
		/** An expression with another value in the retry. */
		const changing = (first: string, later: string) =>
			`={{ $execution.customData.get("isLater") ? ${later} : ${first} }}`;
		const runAndChange = async (
			parameters: Record<string, unknown>,
			{ accepted = 1, change = () => {} }: { accepted?: number; change?: () => void | Promise<void> } = {},
		) => {
			const execution = env.start(parameters);
			await until('the first try has submitted', () => env.sandbox.stats.accepted === accepted);
			execution.data.resultData.metadata = { isLater: 'true' };
			await until('the second try', () => env.tries.length === 2);
			env.endJobs();
			await change();
			return await execution.done;
		};

		it.each([
			['the prompt is empty', { prompt: changing('"a"', '""') }, {}],
			['the prompt cannot be evaluated', { prompt: changing('"a"', '$json.no.such') }, {}],
			['an option of the run is wrong', {}, { maxConcurrency: changing('5', '0') }],
			['the options cannot be evaluated', {}, { timeout: changing('1', '$json.no.such') }],
		])('resumes what was submitted, and downloads it: %s', async (_, fields, options) => {
			await open({ sandbox: { runMs: 1_500 }, settings: { ...RETRY, maxTries: 2 } });
			const parameters = { ...fields, downloadFiles: true, options: { timeout: 1, ...options } };
			const run = await runAndChange(parameters);
			expect(run.status).toBe('success');
			expect(env.tries).toHaveLength(2);
			expect(env.sandbox.stats.submits).toBe(1);
			const [item] = outputItems(run);
			const [job] = env.sandbox.jobs;
			expect(item?.json).toMatchObject({ requestId: job?.requestId, seed: job?.input.seed });
			expect(item?.binary).toHaveProperty('data');
		});

		const { textToImage, everyKindOfFile } = DEPLOYMENT_ID;
		it.each<[string, Record<string, unknown>]>([
			['the model is no longer chosen', { modelId: byId(changing(`"${TEXT_TO_IMAGE}"`, '""')) }],
			['the deployment is no longer chosen', { deploymentId: byId(changing(`"${textToImage}"`, '""')) }],
			[
				'another deployment is chosen',
				{ deploymentId: byId(changing(`"${textToImage}"`, `"${everyKindOfFile}"`)) },
			],
		])('resumes what was submitted where it was submitted, though %s', async (_, chosen) => {
			await open({ sandbox: { runMs: 1_500 } });
			const isModel = 'modelId' in chosen;
			const run = await runAndChange({
				...{ resource: isModel ? 'model' : 'deployment', operation: 'run', ...chosen },
				inputs: { mappingMode: 'defineBelow', value: isModel ? { prompt: 'a' } : {} },
				options: { timeout: 1, pollInterval: 0.2 },
			});
			expect(run.status).toBe('success');
			expect(env.sandbox.stats.submits).toBe(1);
			const [job] = env.sandbox.jobs;
			expect(outputItems(run)[0]?.json).toMatchObject({
				requestId: job?.requestId,
				...(isModel ? {} : { deploymentId: textToImage }),
			});
		});

		it('resumes what was submitted, though the input file is gone', async () => {
			const list = items(1);
			await open({ items: list, sandbox: { runMs: 1_500 } });
			const image = { width: 8, height: 8, channels: 3, background: 'red' } as const;
			const stored = await Container.get(BinaryDataService).store(
				FileLocation.ofExecution('w', 'e'),
				await sharp({ create: image }).png().toBuffer(),
				{ data: '', mimeType: 'image/png', fileName: 'in.png' },
			);
			list[0] = { json: {}, binary: { photo: stored } };
			const change = async () => await rm(env.engine.storagePath, { recursive: true, force: true });
			const fields = { imageSource: 'binary', binaryPropertyName: 'photo', options: { timeout: 1 } };
			const run = await runAndChange(fields, { change });
			expect(run.status).toBe('success');
			expect(env.sandbox.stats.submits).toBe(1);
			expect(outputItems(run)[0]?.json.requestId).toBe(env.sandbox.jobs[0]?.requestId);
		});

		it('submits nothing else when an item has no request, and the error names what was resumed', async () => {
			await open({ items: items(3), sandbox: { runMs: 1_500 }, settings: { ...RETRY, maxTries: 2 } });
			// The first try ends with the timeout of item 0. In the second, item 1 could be submitted.
			const prompt = changing('"scene"', '$json.n === 2 ? "" : "scene"');
			const run = await runAndChange({ prompt, options: { timeout: 1, maxConcurrency: 1 } });
			const { message, description, itemIndex } = failure(run);
			expect(message).toContain('Prompt');
			expect(itemIndex).toBe(2);
			expect(description).toContain(`Finished and paid for: ${env.sandbox.jobs[0]?.requestId}`);
			expect(env.sandbox.stats.submits).toBe(1);
		});

		it('nothing is submitted for the others, and what has been submitted is waited for first', async () => {
			await open({ items: items(2), sandbox: { runMs: 2_000 }, settings: {} });
			const parameters = {
				...{ resource: 'deployment', operation: 'run', deploymentId: byId(DEPLOYMENT_ID.textToImage) },
				inputs: { mappingMode: 'defineBelow', value: {} },
				options: {
					pollInterval: 0.2,
					timeout: changing('1', '$json.n === 1 ? "x" : 60'),
					maxConcurrency: changing('1', '2'),
				},
			};
			const failed = await env.run(parameters);
			failed.data.resultData.metadata = { isLater: 'true' };
			const { message, description, itemIndex } = failure(await env.retry(failed, parameters).done);
			expect(message).toContain('Timeout');
			expect(itemIndex).toBe(1);
			expect(description).toContain(`Finished and paid for: ${env.sandbox.jobs[0]?.requestId}`);
			expect(env.sandbox.stats).toMatchObject({ submits: 1, cancels: 0 });
		});

		it('only the item fails that has no request, when the node continues on errors', async () => {
			await open({
				...{ items: items(2), sandbox: { runMs: 1_500 } },
				settings: { ...RETRY, maxTries: 2, onError: 'continueErrorOutput' },
			});
			env.sandbox.faults.add({
				on: 'submit',
				kind: 'errorCode',
				errorCode: 400001,
				promptIncludes: 'scene 1',
			});
			const prompt = changing('"scene " + $json.n', '""');
			const run = await runAndChange({ prompt, options: { timeout: 1 } });
			expect(outputItems(run).map(({ json }) => json.requestId)).toEqual([env.sandbox.jobs[0]?.requestId]);
			expect(outputItems(run, 'RunComfy', 1)[0]?.json).toMatchObject({
				error: { message: expect.stringContaining('Prompt') as string },
			});
		});
	});

	it('writes nothing outside of its execution: n8n would put it over what triggers have stored since', async () => {
		await open({ items: items(3) });
		env.engine.staticData = { 'node:Trigger': { lastItem: 7 } };
		expect((await env.run({})).status).toBe('success');
		expect(env.engine.savedStaticData).toBe(0);
	});

	it('reports the state it knows of what it resumes, when “Retry execution” does not wait', async () => {
		await open({ sandbox: { runMs: 60_000 }, settings: {} });
		const failed: IRun = await env.run({ options: { timeout: 1 } });
		const retried = await env.retry(failed, { waitForCompletion: false }).done;
		const { requestId } = env.sandbox.jobs[0] ?? {};
		expect(outputItems(retried)[0]?.json).toMatchObject({ requestId, status: 'in_progress' });
		expect(env.sandbox.stats.submits).toBe(1);
	});
});
