import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { until } from '../until';
import { failure, items, outputItems, TestEnvironment } from './testEnvironment';

describe('Replace Background on n8n’s engine', () => {
	let env: TestEnvironment;

	it('returns one finished item for each input item, in order, with its expressions evaluated', async () => {
		env = await TestEnvironment.open({
			items: items(3),
			// The first item takes longest, so that order is not an accident.
			sandbox: { runMs: (_n, prompt) => 600 - Number(prompt.slice(-1)) * 250 },
		});
		const run = await env.run({ prompt: '=Scene {{ $json.n }}', options: { seed: '={{ $json.n + 7 }}' } });
		expect(run.status).toBe('success');
		const output = outputItems(run);
		expect(output.map(({ json }) => json.seed)).toEqual([7, 8, 9]);
		expect(output.map(({ pairedItem }) => pairedItem)).toEqual([{ item: 0 }, { item: 1 }, { item: 2 }]);
		for (const { json } of output) {
			const job = env.sandbox.jobs.find(({ requestId }) => requestId === json.requestId);
			expect(job?.input.prompt).toBe(`Scene ${Number(json.seed) - 7}`);
			expect(job?.input.seed).toBe(json.seed);
			expect(Object.keys(json).sort()).toEqual(
				['cost', 'createdAt', 'finishedAt', 'image', 'images', 'requestId', 'seed', 'status', 'url'].sort(),
			);
			expect(json).toMatchObject({ status: 'succeeded', cost: 0.06 });
		}
	});

	it('has a random seed and the file’s own name where these options are added and left empty', async () => {
		env = await TestEnvironment.open({ items: items(2) });
		const output = outputItems(await env.run({ downloadFiles: true, options: { seed: '', fileName: '' } }));
		expect(output.map(({ binary }) => binary?.data?.fileName)).toEqual(
			Array(2).fill('replaced-background.png'),
		);
		const [first, second] = env.sandbox.jobs.map(({ input }) => input.seed);
		expect(first).not.toBe(second);
		expect(output.map(({ json }) => json.seed).sort()).toEqual([first, second].sort());
	});

	it('sends fields by their API names, and only those that are set', async () => {
		env = await TestEnvironment.open();
		await env.run({
			renderingSpeed: 'TURBO',
			magicPrompt: 'OFF',
			colorPalette: 'custom',
			paletteColors: {
				color: [
					{ hex: '#FF8800', weight: 0.3 },
					{ hex: '00ff00', weight: 1 },
				],
			},
			style: 'Design',
			options: { seed: 5, includeCost: false },
		});
		expect(env.sandbox.jobs[0]?.input).toEqual({
			image: 'https://example.com/product.png',
			prompt: 'A beach',
			rendering_speed: 'TURBO',
			magic_prompt: 'OFF',
			color_palette: {
				members: [
					{ color_hex: '#ff8800', color_weight: 0.3 },
					{ color_hex: '#00ff00', color_weight: 1 },
				],
			},
			style: { style_type: 'Design' },
			seed: 5,
		});
	});

	it('omits palette and style by default, picks a random seed for each item, and sends JSON unchanged', async () => {
		env = await TestEnvironment.open({ items: items(2) });
		await env.run({});
		const [first, second] = env.sandbox.jobs.map(({ input }) => input);
		expect(Object.keys(first ?? {}).sort()).toEqual([
			'image',
			'magic_prompt',
			'prompt',
			'rendering_speed',
			'seed',
		]);
		expect(first?.seed).not.toBe(second?.seed);
		await env.run({
			colorPalette: 'json',
			paletteJson: '{"name":"Neon"}',
			style: 'json',
			styleJson: { style_type: 'X' },
		});
		expect(env.sandbox.jobs[2]?.input).toMatchObject({
			color_palette: { name: 'Neon' },
			style: { style_type: 'X' },
		});
	});

	it('returns the request at once when it does not wait', async () => {
		env = await TestEnvironment.open({ sandbox: { queueMs: 60_000 } });
		const output = outputItems(await env.run({ waitForCompletion: false, options: { seed: 3 } }));
		expect(output[0]?.json).toEqual({
			requestId: env.sandbox.jobs[0]?.requestId,
			status: 'in_queue',
			seed: 3,
		});
		expect(env.sandbox.stats.resultPolls).toBe(0);
	});

	it('gives up at the timeout without cancelling, and says how to fetch the image later', async () => {
		env = await TestEnvironment.open({ sandbox: { queueMs: 60_000 } });
		const requestIdOf = () => env.sandbox.jobs[0]?.requestId ?? '';
		const { message, description, itemIndex } = failure(await env.run({ options: { timeout: 1 } }));
		expect(message).toBe(`RunComfy request ${requestIdOf()} was not finished after 1 seconds`);
		expect(description).toContain('“Get Result”');
		expect(description).toContain('It was not cancelled, and may still finish.');
		expect(itemIndex).toBe(0);
		expect(env.sandbox.stats.cancels).toBe(0);
	});

	it.each([
		['failed', 'failed: “The model could not find a subject in the image.”'],
		['cancelled', 'was cancelled'],
		['unknownStatus', 'reports a status that this node does not know: “archived”'],
		['noUrl', 'finished, but its result holds no URL of an image'],
	] as const)('names the request when the job ends as %s, and submits nothing else', async (job, words) => {
		env = await TestEnvironment.open();
		env.sandbox.faults.add({ job });
		const { message } = failure(await env.run());
		expect(message).toBe(`RunComfy request ${env.sandbox.jobs[0]?.requestId} ${words}`);
		expect(env.sandbox.stats.submits).toBe(1);
	});

	it('recovers from every transient error of a poll', async () => {
		const kinds = ['badGateway', 'lostAfter', 'truncated', 'notReady', 'hangBefore', 'errorCode'] as const;
		env = await TestEnvironment.open({
			items: kinds.map((kind) => ({ json: { kind } })),
			runtime: { callTimeouts: { submitMs: 5_000, pollMs: 300, cancelMs: 300 } },
		});
		for (const kind of kinds) {
			env.sandbox.faults.add({
				on: 'result',
				kind,
				times: 2,
				promptIncludes: kind,
				errorCode: 500001,
				retryAfter: 0,
			});
		}
		const run = await env.run({ prompt: '={{ $json.kind }}' });
		expect(run.status).toBe('success');
		expect(outputItems(run)).toHaveLength(kinds.length);
		expect(env.sandbox.stats.submits).toBe(kinds.length);
	});

	it('reports a wrong token, and sends nothing else', async () => {
		env = await TestEnvironment.open({ credential: { apiToken: 'another-token' } });
		const { message, description } = failure(await env.run());
		expect(message).toContain('RunComfy did not accept the API token');
		expect(description).toContain('https://www.runcomfy.com/profile');
		expect(env.sandbox.stats).toMatchObject({ refusedTokens: 1, submits: 0 });
	});

	it('never shows the token, even when the server echoes it', async () => {
		env = await TestEnvironment.open();
		env.sandbox.faults.add({ on: 'submit', kind: 'echoToken' });
		const run = await env.run();
		expect(failure(run).message).toContain('Token [token] may not do this.');
		expect(JSON.stringify([run.data, env.log])).not.toContain('sandbox-token');
	});

	it('follows no redirect with the token', async () => {
		const visits: unknown[] = [];
		const elsewhere = createServer((request, response) => {
			visits.push(request.headers.authorization);
			response.end(
				'{"request_id":"stolen","status":"succeeded","output":{"image":"https://evil.example/a.png"}}',
			);
		});
		await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
		const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`;
		env = await TestEnvironment.open({ sandbox: { queueMs: 60_000 } });
		env.sandbox.faults.add({ on: 'submit', kind: 'redirectAway', location, times: 1 });
		expect(failure(await env.run()).message).toContain('HTTP 307');
		env.sandbox.faults.add({ on: 'result', kind: 'redirectAway', location });
		expect(failure(await env.run()).message).toContain('HTTP 307');
		elsewhere.close();
		expect(visits).toEqual([]);
	});

	it('reports an empty balance', async () => {
		env = await TestEnvironment.open({ sandbox: { balanceUsd: 0 } });
		expect(failure(await env.run()).message).toBe(
			'Nothing was submitted: your RunComfy balance is empty: “Insufficient balance.”',
		);
	});

	it('accepts any request id that can be part of a URL: special characters, or a number', async () => {
		env = await TestEnvironment.open({
			items: items(3),
			sandbox: { requestId: (n) => ['a/b?c=d&e#f', 4711, 'ünï cöde.…'][n] ?? 'x' },
		});
		const run = await env.run({ options: { maxConcurrency: 1 } });
		expect(run.data.resultData.error?.message).toBeUndefined();
		expect(outputItems(run).map(({ json }) => json.requestId)).toEqual(['a/b?c=d&e#f', '4711', 'ünï cöde.…']);
	});

	it.each([
		['forward by 90 s', 90_000],
		['back by 20 s', -20_000],
	])('is unaffected when the system clock jumps %s', async (_what, jumpMs) => {
		env = await TestEnvironment.open({ sandbox: { runMs: 60_000 } });
		const execution = env.start({ options: { timeout: 60 } });
		await until('it is polled', () => (env.sandbox.jobs[0]?.polls ?? 0) > 0);
		const realNow = Date.now.bind(Date);
		const jumped = jest.spyOn(Date, 'now').mockImplementation(() => realNow() + jumpMs);
		const [job] = env.sandbox.jobs;
		const polls = job?.polls ?? 0;
		await until('it is polled again', () => (job?.polls ?? 0) > polls + 1);
		env.endJobs();
		expect(outputItems(await execution.done)[0]?.json.requestId).toBe(job?.requestId);
		jumped.mockRestore();
	});
});
