import { Container } from '@n8n/di';
import { BinaryDataService, FileLocation } from 'n8n-core';
import type { INodeExecutionData, IRun } from 'n8n-workflow';

import { systemRuntime } from '../../nodes/RunComfy/host/runtime';
import { TEXT_TO_IMAGE } from '../sandbox/catalog';
import { DEPLOYMENT_ID, DEPLOYMENTS } from '../sandbox/deployments';
import { until } from '../until';
import { failure, items, outputItems, TestEnvironment, type TestEnvironmentOptions } from './testEnvironment';

const REUSE = { reuseResults: 24 };
const BY_ITEM = { prompt: '={{ "scene " + $json.n }}' };

/** Executions one after the other, with the static data that n8n carries from one to the next. */
describe('Reuse Results', () => {
	let env: TestEnvironment;

	afterEach(async () => await env.close());

	const open = async (options: TestEnvironmentOptions = {}) => {
		env = await TestEnvironment.open(options);
	};

	const run = async (options: object = {}, fields: object = BY_ITEM) =>
		await env.run({ ...fields, options: { ...REUSE, ...options } });

	const ids = (execution: IRun) => outputItems(execution).map(({ json }) => json.requestId);
	const reused = (execution: IRun) => outputItems(execution).map(({ json }) => json.reused);

	it('fetches in the second execution what the first one got, with its seed, its files, and no second payment', async () => {
		await open({ items: items(3) });
		const first = await run();
		const second = await run({}, { ...BY_ITEM, downloadFiles: true });
		expect(env.sandbox.stats.accepted).toBe(3);
		expect(ids(second)).toEqual(ids(first));
		expect(reused(first)).toEqual([undefined, undefined, undefined]);
		expect(reused(second)).toEqual([true, true, true]);
		expect(outputItems(second).map(({ json }) => json.seed)).toEqual(
			outputItems(first).map(({ json }) => json.seed),
		);
		expect(outputItems(second).every(({ binary }) => binary?.data !== undefined)).toBe(true);
		expect(env.sandbox.jobs.every(({ polls }) => polls <= 3)).toBe(true);
		const line =
			'3 items reused requests from an earlier execution (Reuse Results): nothing was submitted for them.';
		expect(env.log.filter(({ message }) => message.includes(line))).toHaveLength(1);
		expect(env.log.some(({ message }) => /That saved \$0\.\d+/.test(message))).toBe(true);
	});

	it('submits as ever without the option, also when an earlier execution had it', async () => {
		await open();
		await run();
		await env.run(BY_ITEM);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('gives two items with the same input the two results that were paid for, in order, and submits a third', async () => {
		await open({ items: items(2) });
		const same = { prompt: 'A beach' };
		const first = await run({}, same);
		expect(new Set(ids(first)).size).toBe(2);
		const second = await run({}, same);
		expect([...ids(second)].sort()).toEqual([...ids(first)].sort());
		const { staticData } = env.engine;
		const { sandbox } = env;
		await env.close();
		await open({ items: items(3), sandbox: {} });
		expect(sandbox.stats.accepted).toBe(2);
		// Another RunComfy, which does not know them: everything is submitted again.
		env.engine.staticData = staticData;
		const third = await run({}, same);
		expect(third.status).toBe('success');
		expect(env.sandbox.stats.accepted).toBe(3);
		expect((await run({}, same)).status).toBe('success');
		expect(env.sandbox.stats.accepted).toBe(3);
	});

	it.each([
		['another prompt', { prompt: 'Another' }, {}],
		['another rendering speed', { prompt: 'A beach', renderingSpeed: 'TURBO' }, {}],
		['another image URL', { prompt: 'A beach', imageUrl: 'https://example.com/other.png' }, {}],
		['a chosen seed', { prompt: 'A beach' }, { seed: 5 }],
	])('submits %s', async (_, fields, options) => {
		await open();
		await run({}, { prompt: 'A beach' });
		await run(options, fields);
		await run(options, fields);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('knows a file by its content, not by its name or place', async () => {
		const png = (last: number): INodeExecutionData => ({
			json: {},
			binary: {
				data: {
					data: Buffer.from([
						0x89,
						0x50,
						0x4e,
						0x47,
						0x0d,
						0x0a,
						0x1a,
						0x0a,
						...new Array<number>(40).fill(1),
						last,
					]).toString('base64'),
					mimeType: 'image/png',
					fileName: `${Math.random()}.png`,
				},
			},
		});
		const source: INodeExecutionData[] = [png(1)];
		await open({ items: source });
		const fields = { imageSource: 'binary', prompt: 'A beach' };
		await run({}, fields);
		source[0] = png(1);
		await run({}, fields);
		expect(env.sandbox.stats.accepted).toBe(1);
		source[0] = png(2);
		await run({}, fields);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it.each(['failed', 'cancelled', 'noUrl'] as const)('submits again what has %s at RunComfy', async (job) => {
		await open({ sandbox: { runMs: 1_500 } });
		env.sandbox.faults.add({ job, times: 1 });
		// The timeout leaves it running.
		await run({ timeout: 1 });
		await new Promise((resolve) => setTimeout(resolve, 1_000));
		const second = await run();
		expect(second.status).toBe('success');
		expect(reused(second)).toEqual([undefined]);
		expect(env.sandbox.stats.accepted).toBe(2);
		expect(reused(await run())).toEqual([true]);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	const oneErrorThen = (...faults: Parameters<TestEnvironment['sandbox']['faults']['add']>) =>
		env.sandbox.faults.add({ on: 'result', kind: 'serverError', times: 1 }, ...faults);

	it.each(['noUrl', undefined] as const)(
		'submits again what is gone, or %s, also where the first poll meets a transient error',
		async (job) => {
			let laterMs = 0;
			const clock = { ...systemRuntime.clock, timeOfDay: () => Date.now() + laterMs };
			await open({ sandbox: { runMs: 1_500 }, runtime: { clock } });
			if (job !== undefined) env.sandbox.faults.add({ job, times: 1 });
			await run({ timeout: 1 });
			const id = env.sandbox.jobs[0]?.requestId ?? '';
			await new Promise((resolve) => setTimeout(resolve, 1_000));
			laterMs = 3_600_000;
			if (job === undefined) oneErrorThen({ on: 'result', kind: 'notFound', requestId: id });
			else oneErrorThen();
			const second = await run({}, { ...BY_ITEM, waitForCompletion: job !== undefined });
			expect(second.status).toBe('success');
			expect(ids(second)).not.toContain(id);
			expect(env.sandbox.stats.accepted).toBe(2);
		},
	);

	it('reports what it reuses without waiting also where the first poll meets a transient error', async () => {
		await open();
		const first = await run();
		oneErrorThen();
		const second = await run({}, { ...BY_ITEM, waitForCompletion: false });
		expect(outputItems(second)[0]?.json).toMatchObject({ requestId: ids(first)[0], status: 'succeeded' });
		expect(env.log.some(({ message }) => message.includes('1 item reused a request'))).toBe(true);
	});

	it('submits again what has no files any more, but not at once', async () => {
		let laterMs = 0;
		const clock = { ...systemRuntime.clock, timeOfDay: () => Date.now() + laterMs };
		await open({ runtime: { clock } });
		const download = { ...BY_ITEM, downloadFiles: true };
		const first = await run({ reuseResults: 48 }, download);
		env.sandbox.faults.add({ on: 'output', kind: 'notFound', requestId: String(ids(first)[0]) });
		laterMs = 23 * 3_600_000;
		expect(failure(await run({ reuseResults: 48 }, download)).message).toContain('could not be downloaded');
		expect(env.sandbox.stats.accepted).toBe(1);
		laterMs = 25 * 3_600_000;
		const second = await run({ reuseResults: 48 }, download);
		expect(outputItems(second)[0]?.binary?.data).toBeDefined();
		expect(reused(second)).toEqual([undefined]);
		expect(env.sandbox.stats.accepted).toBe(2);
		expect(ids(await run({ reuseResults: 48 }, download))).toEqual(ids(second));
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('tells inputs as JSON, to which no seed is added, from fields with a random seed', async () => {
		await open();
		const model = {
			...{ resource: 'model', operation: 'run' },
			modelId: { __rl: true, mode: 'id', value: TEXT_TO_IMAGE },
		};
		const byFields = {
			...model,
			inputs: { mappingMode: 'defineBelow', value: { prompt: 'A lighthouse' } },
		};
		const asJson = { ...model, inputMode: 'json', inputsJson: '{"prompt": "A lighthouse"}' };
		await run({}, byFields);
		expect(reused(await run({}, asJson))).toEqual([undefined]);
		expect(reused(await run({}, byFields))).toEqual([true]);
		expect(reused(await run({}, asJson))).toEqual([true]);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('tells numbers apart that an expression returns as objects', async () => {
		await open();
		const withScale = (scale: number) => ({
			...{ resource: 'model', operation: 'run', inputMode: 'json' },
			modelId: { __rl: true, mode: 'id', value: TEXT_TO_IMAGE },
			inputsJson: `={{ { prompt: "A lighthouse", guidance_scale: new Number(${scale}) } }}`,
		});
		await run({}, withScale(5));
		expect(reused(await run({}, withScale(6)))).toEqual([undefined]);
		expect(reused(await run({}, withScale(5)))).toEqual([true]);
	});

	it('submits nothing while a file that would identify the request cannot be read', async () => {
		const list: INodeExecutionData[] = [];
		await open({ items: list });
		const service = Container.get(BinaryDataService);
		const place = FileLocation.ofExecution('w', 'e');
		const png = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(60, 1)]);
		const data = await service.store(place, png, { data: '', mimeType: 'image/png', fileName: 'a.png' });
		list.push({ json: {}, binary: { data } });
		const fields = { imageSource: 'binary' };
		const first = await run({}, fields);
		const spy = jest.spyOn(service, 'getAsStream').mockRejectedValueOnce(new Error('503 Slow Down'));
		expect(failure(await run({}, fields)).message).toContain('503 Slow Down');
		spy.mockRestore();
		expect(ids(await run({}, fields))).toEqual(ids(first));
		expect(env.sandbox.stats.accepted).toBe(1);
	});

	it('submits nothing in a retry that ends with the error of an item, also where a result is gone', async () => {
		const list = items(2).slice(1);
		await open({ items: list, sandbox: { runMs: (n) => (n === 1 ? 1_300 : 50) } });
		const prompt = `={{ $execution.customData.get("isLater") && $json.n === 2 ? "" : "scene " + $json.n }}`;
		const options = { ...REUSE, maxConcurrency: 1, timeout: 1, pollInterval: 0.2 };
		await env.run({ prompt, options });
		const [first] = env.sandbox.jobs;
		const failed = { status: 200, body: { status: 'failed' } };
		env.sandbox.faults.add({
			on: 'result',
			kind: 'answer',
			requestId: first?.requestId ?? '',
			answer: failed,
		});
		list.splice(0, 1, ...items(3));
		const execution = env.start(
			{ prompt, options },
			{ retryOnFail: true, maxTries: 2, waitBetweenTries: 10 },
		);
		await until('item 0 is submitted', () => env.sandbox.stats.accepted === 2);
		execution.data.resultData.metadata = { isLater: 'true' };
		expect(failure(await execution.done).message).toContain('“Prompt” must not be empty');
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('says when there are more requests than it remembers', async () => {
		await open();
		const warned = () => env.log.filter(({ message }) => message.includes('remembers 2,000 requests'));
		await run();
		expect(warned()).toHaveLength(0);
		const data = env.engine.staticData['node:RunComfy'] as Record<string, string>;
		const [entry] = JSON.parse(data.requests ?? '[]') as unknown[][];
		const many = Array.from({ length: 2_000 }, (_, n) => [`f${n}`, `r${n}`, ...(entry ?? []).slice(2)]);
		data.requests = JSON.stringify(many);
		await run();
		expect(warned()).toHaveLength(1);
	});

	it('submits again what fails only after it was resumed', async () => {
		await open({ sandbox: { runMs: 2_500 } });
		env.sandbox.faults.add({ job: 'failed', times: 1 });
		await run({ timeout: 1 });
		const second = await run();
		expect(second.status).toBe('success');
		expect(reused(second)).toEqual([undefined]);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('resumes what an execution left running after its timeout', async () => {
		await open({ items: items(2), sandbox: { runMs: 2_500 } });
		const first = await run({ timeout: 1 });
		expect(first.status).toBe('error');
		const second = await run();
		expect(second.status).toBe('success');
		expect(reused(second)).toEqual([true, true]);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('never uses in a loop what the same execution has submitted, and gives its turns the results in order', async () => {
		await open({ loops: 3 });
		const turns = (execution: IRun) =>
			[0, 1, 2].map((turn) => outputItems(execution, 'RunComfy', 0, turn)[0]?.json.requestId);
		const first = await run({}, { prompt: 'A beach' });
		expect(env.sandbox.stats.accepted).toBe(3);
		const second = await run({}, { prompt: 'A beach' });
		expect(env.sandbox.stats.accepted).toBe(3);
		expect(turns(second)).toEqual(turns(first));
		expect(new Set(turns(second)).size).toBe(3);
	});

	it('submits nothing in a retry (Retry On Fail) of a node that reuses', async () => {
		await open({ items: items(2), settings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 } });
		await run();
		// A result cannot be fetched at first.
		env.sandbox.faults.add({ on: 'result', kind: 'errorCode', errorCode: 400001, times: 1 });
		const second = await run();
		expect(second.status).toBe('success');
		expect(env.tries.length).toBe(3);
		expect(reused(second)).toEqual([true, true]);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('gives each request to one item also in “Retry execution”, which brings its own requests', async () => {
		await open({ items: items(2), sandbox: { runMs: 1_500 } });
		const same = { prompt: 'A beach' };
		// Item 0 times out, and item 1 is not submitted.
		const failed = await run({ timeout: 1, maxConcurrency: 1 }, same);
		expect(env.sandbox.stats.accepted).toBe(1);
		const retried = await env.retry(failed, { ...same, options: { ...REUSE, maxConcurrency: 1 } }).done;
		expect(ids(retried)).toEqual(env.sandbox.jobs.map(({ requestId }) => requestId));
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('gives no iteration of a loop in “Retry execution” the request of an earlier iteration', async () => {
		await open({ loops: 3 });
		env.sandbox.faults.add({ on: 'submit', kind: 'errorCode', errorCode: 400001, promptIncludes: 'third' });
		// The same input for RunComfy, but the last submit is refused.
		const fields = { prompt: '={{ $runIndex === 2 && $execution.id === "1" ? "third" : "same" }}' };
		const failed = await run({}, fields);
		expect(failed.status).toBe('error');
		const retried = await env.retry(failed, { ...fields, options: REUSE }).done;
		const found = [0, 1, 2].map((turn) => outputItems(retried, 'RunComfy', 0, turn)[0]?.json.requestId);
		expect(new Set(found).size).toBe(3);
		expect(env.sandbox.stats.accepted).toBe(3);
	});

	it('reuses in “Retry execution” a request of an item whose field was rewritten to the same value', async () => {
		await open({ sandbox: { runMs: 1_500 } });
		const failed = await run({ timeout: 1 }, { prompt: '={{ "a beach" }}' });
		expect(failed.status).toBe('error');
		const retried = await env.retry(failed, { prompt: 'a beach', options: { ...REUSE, timeout: 20 } }).done;
		expect(reused(retried)).toEqual([true]);
		expect(env.sandbox.stats.accepted).toBe(1);
	});

	it('submits again what RunComfy no longer knows, also after the clock was set back', async () => {
		let jumpMs = 0;
		await open({ runtime: { clock: { ...systemRuntime.clock, timeOfDay: () => Date.now() + jumpMs } } });
		const first = await run({}, { prompt: 'same' });
		env.sandbox.faults.add({ on: 'result', kind: 'notFound', requestId: String(ids(first)[0]) });
		jumpMs = -3_600_000;
		const second = await run({}, { prompt: 'same' });
		expect(second.status).toBe('success');
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('does not mind the order of keys', async () => {
		await open();
		const withOverrides = (inputs: string) => ({
			...{ resource: 'deployment', operation: 'run', inputMode: 'json' },
			deploymentId: { mode: 'id', value: DEPLOYMENT_ID.textToImage },
			overridesJson: `{"3": {"inputs": ${inputs}}}`,
		});
		await run({}, withOverrides('{"steps": 5, "cfg": 4}'));
		const second = await run({}, withOverrides('{"cfg": 4, "steps": 5}'));
		expect(reused(second)).toEqual([true]);
		expect(env.sandbox.stats.accepted).toBe(1);
	});

	it('uses the next result when a request fails that it has resumed', async () => {
		const list = items(2);
		await open({ items: list, sandbox: { runMs: (n) => (n === 0 ? 2_500 : 100) } });
		env.sandbox.faults.add({ job: 'failed', times: 1 });
		const same = { prompt: 'A beach' };
		await env.run(
			{ ...same, options: { ...REUSE, timeout: 1, maxConcurrency: 1 } },
			{ onError: 'continueRegularOutput' },
		);
		expect(env.sandbox.stats.accepted).toBe(2);
		list.pop();
		const second = await run({}, same);
		expect(ids(second)).toEqual([env.sandbox.jobs[1]?.requestId]);
		expect(reused(second)).toEqual([true]);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('submits a deployment with the seed of its workflow when earlier results have random ones', async () => {
		await open();
		const deployment = (options: object) => ({
			resource: 'deployment',
			operation: 'run',
			deploymentId: { mode: 'id', value: DEPLOYMENT_ID.textToImage },
			inputs: { mappingMode: 'defineBelow', value: { '6.text': 'A beach' } },
			options: { pollInterval: 0.2, ...REUSE, ...options },
		});
		await env.run(deployment({}));
		expect(reused(await env.run(deployment({})))).toEqual([true]);
		expect(reused(await env.run(deployment({ randomizeSeeds: false })))).toEqual([undefined]);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('submits to a deployment again after a redeployment, though its workflow is the same', async () => {
		await open();
		const deployment = {
			...{ resource: 'deployment', operation: 'run' },
			deploymentId: { mode: 'id', value: DEPLOYMENT_ID.textToImage },
			inputs: { mappingMode: 'defineBelow', value: { '6.text': 'A beach' } },
		};
		await run({ pollInterval: 0.2 }, deployment);
		const [deployed] = DEPLOYMENTS;
		if (deployed === undefined) throw new Error('No deployment');
		const version = jest.replaceProperty(deployed, 'workflow_version', 'v2');
		expect(reused(await run({ pollInterval: 0.2 }, deployment))).toEqual([undefined]);
		version.restore();
		expect(reused(await run({ pollInterval: 0.2 }, deployment))).toEqual([true]);
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('submits nothing with a spending limit, without waiting, and without a price, when results are gone', async () => {
		let jumpMs = 0;
		const clock = { ...(await import('../../nodes/RunComfy/host/runtime')).systemRuntime.clock };
		await open({
			items: items(2),
			runtime: { clock: { ...clock, timeOfDay: () => Date.now() + jumpMs } },
		});
		await run();
		const body = { model_id: 'ideogram/ideogram-v3/replace-background' };
		env.sandbox.faults.add(
			{ on: 'model', kind: 'answer', answer: { status: 200, body } },
			{ on: 'result', kind: 'notFound' },
		);
		jumpMs = 60_000;
		const second = await run({ spendingLimit: 1 }, { ...BY_ITEM, waitForCompletion: false });
		const { message, description } = failure(second);
		expect(message).toContain('cannot be kept');
		expect(description).not.toContain('still running');
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	describe('when an item could not be submitted now', () => {
		const deployment = {
			...{ resource: 'deployment', operation: 'run' },
			deploymentId: { __rl: true, mode: 'id', value: DEPLOYMENT_ID.textToImage },
			inputs: { mappingMode: 'defineBelow', value: { '6.text': 'x' } },
		};
		const isDisabled = {
			...{ on: 'deployment' as const, kind: 'answer' as const },
			answer: { status: 200, body: { id: DEPLOYMENT_ID.textToImage, is_enabled: false } },
		};

		const asJson = {
			...{ resource: 'deployment', operation: 'run', inputMode: 'json' },
			deploymentId: deployment.deploymentId,
			overridesJson: '{"6": {"inputs": {"text": "x"}}}',
		};

		it.each([
			[
				'cannot be read',
				{ status: 403, body: { error_code: 403003 } },
				'needs the workflow of the deployment',
			],
			[
				'is not reported',
				{ status: 200, body: { id: DEPLOYMENT_ID.textToImage, is_enabled: true } },
				'“Reuse Results (Hours)” cannot be used, because RunComfy reports no workflow',
			],
		])('nothing is submitted to a deployment as JSON when its workflow %s', async (_, answer, words) => {
			await open();
			const parameters = { ...asJson, options: { ...REUSE, pollInterval: 0.2 } };
			const first = await env.run(parameters);
			env.sandbox.faults.add({ on: 'deployment', kind: 'answer', answer });
			const { message, description } = failure(await env.run(parameters));
			expect(`${message} ${description}`).toContain(words);
			expect(env.sandbox.stats.accepted).toBe(1);
			env.sandbox.faults.clear();
			expect(ids(await env.run(parameters))).toEqual(ids(first));
			expect(env.sandbox.stats.accepted).toBe(1);
		});

		it('the price is not needed where all items have a request', async () => {
			await open({ items: items(2) });
			const first = await run({ spendingLimit: 1 });
			env.sandbox.faults.add({ on: 'model', kind: 'notFound' });
			const second = await run({ spendingLimit: 1 });
			expect(ids(second)).toEqual(ids(first));
			expect(env.sandbox.stats.accepted).toBe(2);
			const { message, itemIndex } = failure(await run({ spendingLimit: 1 }, { prompt: 'Another' }));
			expect(message).toContain('RunComfy has no model');
			expect(itemIndex).toBe(0);
		});

		it('the price is not needed in a retry that resumes a request of an earlier execution', async () => {
			await open({ sandbox: { runMs: 2_500 } });
			const parameters = { ...BY_ITEM, options: { ...REUSE, spendingLimit: 1, timeout: 1 } };
			await env.run(parameters);
			const execution = env.start(parameters, { retryOnFail: true, maxTries: 2, waitBetweenTries: 10 });
			await until('it is used', () => env.log.some(({ message }) => message.includes('is used for item 0')));
			env.sandbox.faults.add({ on: 'model', kind: 'notFound' });
			expect(ids(await execution.done)).toEqual([env.sandbox.jobs[0]?.requestId]);
			expect(env.sandbox.stats.accepted).toBe(1);
		});

		it.each([1, 2])('a retry resumes the request of an earlier execution (%s items)', async (count) => {
			await open({ items: items(count), sandbox: { runMs: 2_500 } });
			const options = { ...REUSE, pollInterval: 0.2, timeout: 1, maxConcurrency: 1 };
			await env.run({ ...deployment, options });
			const [job] = env.sandbox.jobs;
			const settings = { retryOnFail: true, maxTries: 2, waitBetweenTries: 10 };
			const execution = env.start({ ...deployment, options }, settings);
			await until('it is used', () => env.log.some(({ message }) => message.includes('is used for item 0')));
			env.sandbox.faults.add(isDisabled);
			const again = await execution.done;
			expect(env.sandbox.stats.accepted).toBe(1);
			if (count === 1) return expect(ids(again)).toEqual([job?.requestId]);
			const { message, description, itemIndex } = failure(again);
			expect(message).toContain('is disabled');
			expect(itemIndex).toBe(1);
			expect(description).toContain(job?.requestId);
		});
	});

	it('costs nothing of the spending limit', async () => {
		await open({ items: items(3) });
		await run();
		const second = await run({ spendingLimit: 0.01 });
		expect(second.status).toBe('success');
		expect(reused(second)).toEqual([true, true, true]);
		expect(env.log.some(({ message }) => message.includes('Spent $0.00 on 0 requests'))).toBe(true);
		// What is new still counts, before anything is submitted.
		const third = await run({ spendingLimit: 0.01 }, { prompt: 'Something new' });
		expect(failure(third).message).toContain('Nothing was submitted: 3 items cost');
		expect(env.sandbox.stats.accepted).toBe(3);
	});

	it('does not tell a spending limit what other requests will cost', async () => {
		const list: INodeExecutionData[] = [{ json: { n: 1 } }];
		await open({ items: list });
		const priced = {
			...{ resource: 'model', operation: 'run', inputMode: 'json' },
			modelId: { __rl: true, mode: 'id', value: 'google/nano-banana-2-lite/edit' },
			inputsJson:
				'={{ {"prompt": "P" + $itemIndex, "image_urls": ["https://example.com/a.png"], "num_images": $json.n} }}',
		};
		await run({}, priced);
		list.push(...[4, 4, 4, 4, 4].map((n) => ({ json: { n } })));
		const options = { ...REUSE, spendingLimit: 0.2 };
		await env.run({ ...priced, options }, { onError: 'continueRegularOutput' });
		const costs = env.sandbox.jobs.slice(1).map(({ costUsd }) => costUsd);
		expect(costs.length).toBeGreaterThan(0);
		// One at a time, until the first has told what they cost.
		expect(costs.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(0.2 + 0.16);
	});

	it('reports what it reuses also without waiting', async () => {
		await open();
		await run();
		const second = await run({}, { ...BY_ITEM, waitForCompletion: false });
		expect(outputItems(second)[0]?.json).toMatchObject({ status: 'succeeded', reused: true });
		expect(env.sandbox.stats.accepted).toBe(1);
	});

	it('after Stop, does not cancel a result that has finished, and cancels what it resumed and is still queued', async () => {
		await open({ items: items(2), sandbox: { queueMs: (n) => (n === 0 ? 0 : 60_000), runMs: 100 } });
		await run({ timeout: 2, maxConcurrency: 1 }, BY_ITEM);
		expect(env.sandbox.stats.accepted).toBe(2);
		const execution = env.start({ ...BY_ITEM, options: REUSE });
		await new Promise((resolve) => setTimeout(resolve, 1_500));
		await env.stop(execution);
		const [finished, queued] = env.sandbox.jobs;
		expect(finished?.cancels).toBe(0);
		expect(queued?.cancels).toBe(1);
		expect(env.sandbox.stateOf(queued?.requestId ?? '')).toBe('cancelled');
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('is not kept by a manual execution', async () => {
		await open();
		await env.engine.start(env.workflow({ ...BY_ITEM, options: REUSE }), 'manual').done;
		await run();
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it('forgets what is older than the hours', async () => {
		let jumpMs = 0;
		const clock = { ...(await import('../../nodes/RunComfy/host/runtime')).systemRuntime.clock };
		await open({ runtime: { clock: { ...clock, timeOfDay: () => Date.now() + jumpMs } } });
		await run({ reuseResults: 2 });
		jumpMs = 1.9 * 3_600_000;
		await run({ reuseResults: 2 });
		expect(env.sandbox.stats.accepted).toBe(1);
		jumpMs = 2.1 * 3_600_000;
		await run({ reuseResults: 2 });
		expect(env.sandbox.stats.accepted).toBe(2);
	});

	it.each([
		['text', 'garbage'],
		['other JSON', '{"a":[1,2]}'],
		['a number', 5],
		['an object', { deep: { deeper: [] } }],
	])('runs with %s in the static data', async (_, garbage) => {
		await open();
		env.engine.staticData = { 'node:RunComfy': { requests: garbage, jobTimes: garbage } };
		expect((await run()).status).toBe('success');
		env.engine.staticData = { 'node:RunComfy': garbage };
		expect((await run()).status).toBe('success');
	});
});

it('Job times of an execution spare polls in the next one, from its first item on', async () => {
	const env = await TestEnvironment.open({ sandbox: { runMs: 4_000 } });
	for (let execution = 0; execution < 2; execution++) {
		await env.run({ prompt: `Scene ${execution}`, options: { pollInterval: 0.5 } });
	}
	// By time, not by number: on a busy machine polls come late, but never early.
	const [first = 0, second = 0] = env.sandbox.jobs.map(
		({ firstPollAt = 0, submittedAt }) => firstPollAt - submittedAt,
	);
	// While nothing is known, the first poll is made after at most two intervals.
	expect(first).toBeGreaterThan(0);
	expect(second).toBeGreaterThan(1_700);
	await env.close();
});
