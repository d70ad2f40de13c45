import { items, Workbench } from './workbench';

/** Stop: the button in the editor, `cancel()` on the engine. */
describe('Stop', () => {
	let bench: Workbench;

	afterEach(async () => await bench.close());

	const callsOf = () => {
		const { submits, resultLooks, statusLooks, downloads } = bench.sandbox.stats;
		return { submits, resultLooks, statusLooks, downloads };
	};

	/** Nothing new may be asked for after Stop. */
	const expectSilence = async () => {
		const before = callsOf();
		await new Promise((resolve) => setTimeout(resolve, 700));
		expect(callsOf()).toEqual(before);
	};

	it('ends the wait at once and cancels, once each, what is queued', async () => {
		bench = await Workbench.open({ items: items(20), sandbox: { queueMs: 60_000 } });
		const execution = bench.start({ options: { maxConcurrency: 20, pollInterval: 30 } });
		await bench.until('all are submitted', () => bench.sandbox.stats.accepted === 20);
		await new Promise((resolve) => setTimeout(resolve, 100));
		const took = await bench.stop(execution);
		// Twenty real cancels over the wire are part of it.
		expect(took).toBeLessThan(1_000);
		expect(bench.sandbox.stats).toMatchObject({ cancels: 20, cancelled: 20 });
		expect(bench.sandbox.jobs.every(({ cancels }) => cancels === 1)).toBe(true);
		expect(bench.stopReports).toHaveLength(1);
		for (const { requestId } of bench.sandbox.jobs) expect(bench.stopReports[0]).toContain(requestId);
		await expectSilence();
	});

	it('sends no cancel for a job that is known to run, and says that it still runs', async () => {
		bench = await Workbench.open({ sandbox: { queueMs: 0, runMs: 60_000 } });
		const execution = bench.start();
		await bench.until('a look has seen it run', () => bench.sandbox.stats.resultLooks >= 1);
		await new Promise((resolve) => setTimeout(resolve, 50));
		await bench.stop(execution);
		expect(bench.sandbox.stats.cancels).toBe(0);
		expect(bench.stopReports[0]).toContain(
			`Still running at RunComfy: ${bench.sandbox.jobs[0]?.requestId} (item 0, running)`,
		);
	});

	it('tells truthfully when a job could not be cancelled any more', async () => {
		bench = await Workbench.open({ sandbox: { queueMs: 100, runMs: 60_000 } });
		const execution = bench.start({ options: { pollInterval: 30 } });
		await bench.until(
			'it runs',
			() => bench.sandbox.stateOf(bench.sandbox.jobs[0]?.requestId ?? '') === 'in_progress',
		);
		await bench.stop(execution);
		expect(bench.sandbox.stats).toMatchObject({ cancels: 1, cancelled: 0 });
		expect(bench.stopReports[0]).toContain('Could not be cancelled because already running or finished');
	});

	it('does not cancel when the user has switched that off', async () => {
		bench = await Workbench.open({ items: items(3), sandbox: { queueMs: 60_000 } });
		const execution = bench.start({ options: { cancelOnStop: false } });
		await bench.until('all are submitted', () => bench.sandbox.stats.accepted === 3);
		await bench.stop(execution);
		expect(bench.sandbox.stats.cancels).toBe(0);
		expect(bench.stopReports[0]).toMatch(
			/Still running at RunComfy: \S+ \(item 0, .*\), \S+ \(item 1, .*\), \S+ \(item 2, .*\)\.$/,
		);
		for (const { requestId } of bench.sandbox.jobs) expect(bench.stopReports[0]).toContain(requestId);
	});

	it('waits for the reply of a submit that is in flight, so that the job can be cancelled', async () => {
		bench = await Workbench.open({ items: items(3), sandbox: { queueMs: 60_000 } });
		bench.sandbox.faults.add({ on: 'submit', kind: 'slow', delayMs: 600 });
		const execution = bench.start({ options: { maxConcurrency: 1 } });
		await bench.until('the submit is in flight', () => bench.sandbox.stats.accepted === 1);
		const took = await bench.stop(execution);
		expect(took).toBeGreaterThan(300);
		expect(bench.sandbox.stats).toMatchObject({ submits: 1, cancelled: 1 });
		await expectSilence();
	});

	it('gives up on such a reply after the grace time, and says that the outcome is unknown', async () => {
		bench = await Workbench.open({ sandbox: { queueMs: 60_000 }, runtime: { stopGraceMs: 300 } });
		bench.sandbox.faults.add({ on: 'submit', kind: 'hangAfter' });
		const execution = bench.start();
		await bench.until('the submit is in flight', () => bench.sandbox.stats.accepted === 1);
		const took = await bench.stop(execution);
		expect(took).toBeLessThan(600);
		expect(bench.stopReports[0]).toBe(
			'RunComfy: stopped. It is not known whether RunComfy accepted the request of item: 0.',
		);
	});

	it('breaks off a look that hangs', async () => {
		bench = await Workbench.open({ sandbox: { queueMs: 60_000 } });
		bench.sandbox.faults.add({ on: 'result', kind: 'hangBefore' });
		const execution = bench.start();
		await bench.until('the look hangs', () => bench.log.some(({ message }) => message.includes('submitted')));
		await new Promise((resolve) => setTimeout(resolve, 350));
		expect(await bench.stop(execution)).toBeLessThan(300);
		expect(bench.sandbox.stats.cancelled).toBe(1);
	});

	it('ends a backoff after faults', async () => {
		bench = await Workbench.open({ sandbox: { queueMs: 60_000 } });
		bench.sandbox.faults.add({ on: 'result', kind: 'serverError' });
		const execution = bench.start();
		await bench.until(
			'looks have failed',
			() => bench.log.filter(({ message }) => message.includes('HTTP 500')).length >= 2,
		);
		expect(await bench.stop(execution)).toBeLessThan(300);
		expect(bench.sandbox.stats.cancelled).toBe(1);
	});

	it('ends the pause after “too many requests”, with nothing submitted', async () => {
		bench = await Workbench.open({ items: items(5) });
		bench.sandbox.faults.add({ on: 'submit', kind: 'tooMany', retryAfter: 50 });
		const execution = bench.start();
		await bench.until('it was refused', () => bench.sandbox.stats.submits >= 1);
		await new Promise((resolve) => setTimeout(resolve, 100));
		expect(await bench.stop(execution)).toBeLessThan(200);
		expect(bench.sandbox.stats.accepted).toBe(0);
		expect(bench.stopReports).toEqual(['RunComfy: stopped. Nothing had been submitted.']);
		await expectSilence();
	});

	it('ends a download', async () => {
		bench = await Workbench.open();
		bench.sandbox.faults.add({ on: 'output', kind: 'hangBefore' });
		const execution = bench.start({ downloadFiles: true });
		await bench.until('the download hangs', () => bench.sandbox.stats.downloads === 1);
		expect(await bench.stop(execution)).toBeLessThan(300);
		expect(bench.stopReports[0]).toContain(`Finished and paid for: ${bench.sandbox.jobs[0]?.requestId}`);
		expect(bench.sandbox.stats.cancels).toBe(0);
	});

	it('is not held up by a slow cancel for longer than the grace period', async () => {
		bench = await Workbench.open({
			sandbox: { queueMs: 60_000 },
			runtime: { stopGraceMs: 500 },
		});
		bench.sandbox.faults.add({ on: 'cancel', kind: 'slow', delayMs: 3_000 });
		const execution = bench.start();
		await bench.until('it is submitted', () => bench.sandbox.stats.accepted === 1);
		await new Promise((resolve) => setTimeout(resolve, 50));
		expect(await bench.stop(execution)).toBeLessThan(1_800);
		expect(bench.stopReports[0]).toContain('Not known whether cancelled');
	});

	it('starts nothing when a retry comes after it, which reports the same once more, and logs nothing', async () => {
		bench = await Workbench.open({
			items: items(2),
			sandbox: { queueMs: 60_000 },
			settings: { retryOnFail: true, maxTries: 2, waitBetweenTries: 50 },
		});
		const execution = bench.start();
		await bench.until('both are submitted', () => bench.sandbox.stats.accepted === 2);
		await bench.stop(execution);
		await expectSilence();
		expect(bench.sandbox.stats).toMatchObject({ submits: 2, cancels: 2 });
		expect(bench.tries).toHaveLength(2);
		const [first, second] = await Promise.allSettled(bench.tries);
		for (const one of [first, second])
			expect(
				one?.status === 'rejected' && (one.reason as Error & { description: string }).description,
			).toMatch(/^Cancelled while queued: \S+, \S+\.$/);
		expect(bench.stopReports).toHaveLength(1);
		expect((await execution.done).status).toBe('canceled');
	});

	it('leaves alone what Get Result only waits for', async () => {
		bench = await Workbench.open({ sandbox: { queueMs: 60_000 } });
		await bench.run({ waitForCompletion: false });
		const execution = bench.start({
			resource: 'request',
			operation: 'getResult',
			requestId: bench.sandbox.jobs[0]?.requestId,
		});
		await bench.until('it looks', () => bench.sandbox.stats.resultLooks >= 1);
		await bench.stop(execution);
		expect(bench.sandbox.stats.cancels).toBe(0);
	});
});
