import { NEWEST, installN8n } from '../n8n/installation';
import { N8nInstance, storedItems } from '../n8n/instance';
import { until } from '../until';
import { RUNCOMFY } from '../workflow';
import {
	closeN8nEnvironment,
	INSTALL_TIMEOUT_MS,
	openN8nEnvironment,
	ROOT,
	workflow,
	type N8nEnvironment,
} from './n8nEnvironment';

/** n8n's own timeout, its retry of a failed execution, and a crash. */
describe(`Timeout, retry and crash in n8n ${NEWEST}`, () => {
	let env: N8nEnvironment;

	beforeAll(async () => {
		env = await openN8nEnvironment(NEWEST, {
			queueMs: (_n, prompt) => (prompt.includes('for long') ? 60_000 : prompt.includes('slow') ? 4_000 : 0),
		});
	}, INSTALL_TIMEOUT_MS);
	beforeEach(() => env.sandbox.reset());
	afterAll(async () => await closeN8nEnvironment(env));

	it('n8n’s own timeout works like Stop: what is queued is cancelled', async () => {
		const { n8n, sandbox } = env;
		const definition = workflow(env, 2, { prompt: '=queued for long {{ $json.n }}' });
		const execution = await n8n.run({
			...definition,
			settings: { executionOrder: 'v1', executionTimeout: 2 },
		});
		expect(execution.status).toBe('canceled');
		await until('both are cancelled', () => sandbox.stats.cancelled === 2, 6_000);
		expect(sandbox.stats.submits).toBe(2);
	});

	it('“Retry execution” resumes what the failed execution has submitted', async () => {
		const { n8n, sandbox } = env;
		const failed = await n8n.run(
			workflow(env, 1, { prompt: '=slow scene {{ $json.n }}', options: { timeout: 3 } }),
		);
		expect(failed.status).toBe('error');
		expect(failed.data?.resultData.error?.message).toContain(sandbox.jobs[0]?.requestId);
		const { data } = await n8n.rest('POST', `/executions/${failed.id}/retry`, { loadWorkflow: false });
		const retried = await n8n.finished(String(data.id ?? Number(failed.id) + 1));
		expect(retried.status).toBe('success');
		expect(storedItems(retried, RUNCOMFY)[0]?.json.requestId).toBe(sandbox.jobs[0]?.requestId);
		expect(sandbox.stats.submits).toBe(1);
	});

	it('after a crash (kill -9) the log has the request ids, and Get Result fetches the images', async () => {
		const { sandbox } = env;
		const log = env.n8n.log;
		await env.n8n.execute(
			await env.n8n.createWorkflow(workflow(env, 3, { prompt: '=slow scene {{ $json.n }}' })),
		);
		await until('all are submitted', () => sandbox.stats.accepted === 3);
		// Accepted at the sandbox is not yet known to n8n: the answers may still be on their way.
		await until('the log has them', () =>
			sandbox.jobs.every(({ requestId }) => log.some((line) => line.includes(requestId))),
		);
		const { userFolder } = env.n8n;
		await env.n8n.kill('SIGKILL');

		const ids = log
			.flatMap((line) => /RunComfy request (\S+) submitted for item \d/.exec(line)?.[1] ?? [])
			.slice(-3);
		expect([...ids].sort()).toEqual(sandbox.jobs.map(({ requestId }) => requestId).sort());

		const installation = await installN8n(NEWEST, () => {});
		env.n8n = await N8nInstance.start({ installation, root: ROOT, userFolder });
		const execution = await env.n8n.run(
			workflow(env, 3, {
				resource: 'request',
				operation: 'getResult',
				requestId: `={{ ${JSON.stringify(ids)}[$json.n] }}`,
				downloadFiles: true,
			}),
		);
		expect(execution.status).toBe('success');
		expect(storedItems(execution, RUNCOMFY).map(({ json }) => json.requestId)).toEqual(ids);
		expect(sandbox.stats.submits).toBe(3);
	});
});
