import { DnsResolver } from '@n8n/backend-network';
import { Container } from '@n8n/di';

import { DEPLOYMENT_ID } from '../sandbox/deployments';
import { until } from '../until';
import { items, TestEnvironment } from './testEnvironment';

/** Stop: the button in the editor, `cancel()` on the engine. */
describe('Stop', () => {
	let env: TestEnvironment;

	const callsOf = () => {
		const { submits, resultPolls, statusPolls, downloads } = env.sandbox.stats;
		return { submits, resultPolls, statusPolls, downloads };
	};

	/** No new request may be sent after Stop. */
	const expectSilence = async () => {
		const before = callsOf();
		await new Promise((resolve) => setTimeout(resolve, 300));
		expect(callsOf()).toEqual(before);
	};

	it('ends the wait at once, and cancels each queued request once', async () => {
		env = await TestEnvironment.open({ items: items(20), sandbox: { queueMs: 60_000 } });
		const execution = env.start({ options: { maxConcurrency: 20, pollInterval: 60 } });
		await until('all are submitted', () => env.sandbox.stats.accepted === 20);
		// Twenty real cancels over the wire are part of it; a poll would come after 12 s.
		expect(await env.stop(execution)).toBeLessThan(4_000);
		expect(env.sandbox.stats).toMatchObject({ cancels: 20, cancelled: 20 });
		expect(env.sandbox.jobs.every(({ cancels }) => cancels === 1)).toBe(true);
		expect(env.stopReports).toHaveLength(1);
		for (const { requestId } of env.sandbox.jobs) expect(env.stopReports[0]).toContain(requestId);
		await expectSilence();
	});

	it('does not cancel a job that is known to run, and reports that it still runs', async () => {
		env = await TestEnvironment.open({ sandbox: { queueMs: 0, runMs: 60_000 } });
		const execution = env.start();
		await until('a poll has seen it run', () => env.sandbox.stats.resultPolls >= 2);
		await env.stop(execution);
		expect(env.sandbox.stats.cancels).toBe(0);
		expect(env.stopReports[0]).toContain(
			`Still running at RunComfy: ${env.sandbox.jobs[0]?.requestId} (item 0, running)`,
		);
	});

	it('reports when a job could no longer be cancelled', async () => {
		env = await TestEnvironment.open({ sandbox: { queueMs: 60_000, runMs: 60_000 } });
		const execution = env.start({ options: { pollInterval: 60 } });
		await until('it is submitted', () => env.log.some(({ message }) => message.includes('submitted')));
		for (const job of env.sandbox.jobs) job.runsAt = 0;
		await env.stop(execution);
		expect(env.sandbox.stats).toMatchObject({ cancels: 1, cancelled: 0 });
		expect(env.stopReports[0]).toContain('Could not be cancelled because already running or finished');
	});

	it('does not cancel when the option is off', async () => {
		env = await TestEnvironment.open({ items: items(3), sandbox: { queueMs: 60_000 } });
		const execution = env.start({ options: { cancelOnStop: false } });
		await until('all are submitted', () => env.sandbox.stats.accepted === 3);
		await env.stop(execution);
		expect(env.sandbox.stats.cancels).toBe(0);
		expect(env.stopReports[0]).toMatch(
			/Still running at RunComfy: \S+ \(item 0, .*\), \S+ \(item 1, .*\), \S+ \(item 2, .*\)\.$/,
		);
		for (const { requestId } of env.sandbox.jobs) expect(env.stopReports[0]).toContain(requestId);
	});

	it('waits for the response of a submit in flight, so that the job can be cancelled', async () => {
		env = await TestEnvironment.open({ items: items(3), sandbox: { queueMs: 60_000 } });
		env.sandbox.faults.add({ on: 'submit', kind: 'slow', delayMs: 200 });
		const execution = env.start({ options: { maxConcurrency: 1 } });
		await until('the submit is in flight', () => env.sandbox.stats.accepted === 1);
		await env.stop(execution);
		expect(env.sandbox.stats).toMatchObject({ submits: 1, cancelled: 1 });
		await expectSilence();
	});

	it('submits nothing when it comes while n8n decrypts the credential for the submits', async () => {
		let reads = 0;
		const options = {
			items: items(10),
			async beforeDecrypt() {
				// One for the node's own check of the credential, and one for each submit.
				if (++reads === 11) execution.stop();
				await new Promise((resolve) => setTimeout(resolve, reads > 1 ? 50 : 0));
			},
		};
		env = await TestEnvironment.open(options);
		const execution = env.start();
		expect((await execution.done).status).toBe('canceled');
		await Promise.allSettled(env.tries);
		expect(reads).toBe(11);
		expect(env.sandbox.stats).toMatchObject({ submits: 0, cancels: 0 });
		expect(env.stopReports).toEqual(['RunComfy: stopped. Nothing had been submitted.']);
	});

	it('aborts a poll that hangs', async () => {
		env = await TestEnvironment.open({ sandbox: { queueMs: 60_000 } });
		env.sandbox.faults.add({ on: 'result', kind: 'hangBefore' });
		const execution = env.start();
		await until('the poll hangs', () => env.log.some(({ message }) => message.includes('submitted')));
		await new Promise((resolve) => setTimeout(resolve, 150));
		expect(await env.stop(execution)).toBeLessThan(1_000);
		expect(env.sandbox.stats.cancelled).toBe(1);
	});

	it('ends a download', async () => {
		env = await TestEnvironment.open();
		env.sandbox.faults.add({ on: 'output', kind: 'hangBefore' });
		const execution = env.start({ downloadFiles: true });
		await until('the download hangs', () => env.sandbox.stats.downloads === 1);
		expect(await env.stop(execution)).toBeLessThan(1_000);
		expect(env.stopReports[0]).toContain(`Finished and paid for: ${env.sandbox.jobs[0]?.requestId}`);
		expect(env.sandbox.stats.cancels).toBe(0);
	});

	it('ends a download whose server’s name is being looked up', async () => {
		env = await TestEnvironment.open({ sandbox: { runMs: 0 } });
		const image = 'https://files.slow.example/x.png';
		const answer = { status: 200, body: { status: 'completed', output: { image } } };
		env.sandbox.faults.add({ on: 'result', kind: 'answer', answer });
		let asked = 0;
		const lookup = jest.spyOn(Container.get(DnsResolver), 'lookup').mockImplementation(async () => {
			asked++;
			await new Promise((resolve) => setTimeout(resolve, 2_000));
			throw new Error('no such name');
		});
		const execution = env.start({ downloadFiles: true });
		await until('the name is looked up', () => asked === 1);
		expect(await env.stop(execution)).toBeLessThan(1_000);
		expect(env.stopReports[0]).toContain('Finished and paid for');
		lookup.mockRestore();
	});

	it('cancels what a retry would have resumed, when it comes while a failed try ends', async () => {
		env = await TestEnvironment.open({
			items: items(3),
			sandbox: {
				queueMs: (_n, prompt) => (prompt.includes('scene 2') ? 60_000 : 0),
				runMs: (n) => (n < 3 ? 60_000 : 0),
			},
			runtime: { stopGraceMs: 1_000 },
		});
		env.sandbox.faults.add({ job: 'failed', promptIncludes: 'scene 0' });
		const execution = env.start(
			{
				...{ resource: 'deployment', operation: 'run', inputMode: 'json' },
				deploymentId: { __rl: true, mode: 'id', value: DEPLOYMENT_ID.textToImage },
				overridesJson: '={{ JSON.stringify({ 6: { inputs: { text: "scene " + $json.n } } }) }}',
				options: { pollInterval: 0.2 },
			},
			{ retryOnFail: true, maxTries: 2, waitBetweenTries: 10 },
		);
		await until(
			'all are known',
			() => env.sandbox.jobs.length === 3 && env.sandbox.jobs.every(({ polls }) => polls > 1),
		);
		const jobOf = (text: string) => {
			const job = env.sandbox.jobs.find(({ prompt }) => prompt.includes(text));
			if (job === undefined) throw new Error('No job');
			return job;
		};
		env.sandbox.faults.add({ on: 'cancel', kind: 'hangBefore', requestId: jobOf('scene 2').requestId });
		env.endJobs('scene 0');
		await until('the last try has submitted again', () => env.sandbox.stats.accepted === 4);
		await until('that has failed, too', () => (env.sandbox.jobs.at(-1)?.polls ?? 0) > 0);
		await new Promise((resolve) => setTimeout(resolve, 100));
		await env.stop(execution);
		expect(env.sandbox.stateOf(jobOf('scene 1').requestId)).toBe('cancelled');
	});

	it('starts nothing in a retry after it, which repeats the report and logs nothing', async () => {
		env = await TestEnvironment.open({
			items: items(2),
			sandbox: { queueMs: 60_000 },
			settings: { retryOnFail: true, maxTries: 2, waitBetweenTries: 10 },
		});
		const execution = env.start();
		await until('both are submitted', () => env.sandbox.stats.accepted === 2);
		await env.stop(execution);
		await expectSilence();
		expect(env.sandbox.stats).toMatchObject({ submits: 2, cancels: 2 });
		expect(env.tries).toHaveLength(2);
		const [first, second] = await Promise.allSettled(env.tries);
		for (const one of [first, second])
			expect(
				one?.status === 'rejected' && (one.reason as Error & { description: string }).description,
			).toMatch(/^Cancelled: \S+, \S+\.$/);
		expect(env.stopReports).toHaveLength(1);
		expect((await execution.done).status).toBe('canceled');
	});

	it('does not cancel a request that Get Result waits for', async () => {
		env = await TestEnvironment.open({ sandbox: { queueMs: 60_000 } });
		await env.run({ waitForCompletion: false });
		const execution = env.start({
			resource: 'request',
			operation: 'getResult',
			requestId: env.sandbox.jobs[0]?.requestId,
		});
		await until('it has polled', () => env.sandbox.stats.resultPolls >= 1);
		await env.stop(execution);
		expect(env.sandbox.stats.cancels).toBe(0);
	});
});

/** What n8n makes of a stopped node: its statistics and its error workflow read it. */
describe('After Stop, n8n records the execution', () => {
	it.each([false, true])('as canceled, with Retry On Fail %s', async (retryOnFail) => {
		const env = await TestEnvironment.open({
			items: items(2),
			sandbox: { queueMs: 60_000 },
			settings: { retryOnFail, maxTries: 2, waitBetweenTries: 10 },
		});
		const execution = env.start();
		await until('both are submitted', () => env.sandbox.stats.accepted === 2);
		await env.stop(execution);
		const { status, data } = await execution.done;
		expect(status).toBe('canceled');
		await until('n8n has recorded the error', () => data.resultData.error !== undefined);
		const { error } = data.resultData;
		expect(error?.message).toBe('Stopped: the execution was canceled');
		const ids = env.sandbox.jobs.map(({ requestId }) => requestId);
		for (const id of ids) expect(String(error?.description)).toContain(id);
	});
});

it('An error in which RunComfy writes “canceled” is no stopped execution for n8n', async () => {
	const env = await TestEnvironment.open();
	const body = { error_code: 422001, message: 'Your plan was canceled.' };
	env.sandbox.faults.add({ on: 'submit', kind: 'answer', answer: { status: 422, body } });
	const { status, data } = await env.start().done;
	expect(data.resultData.error?.message).toContain('Your plan was cancelled.');
	expect(status).toBe('error');
});
