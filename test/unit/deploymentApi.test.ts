import { readCancel, readPoll } from '../../nodes/RunComfy/api/answers';
import {
	DEPLOYMENT_READER,
	deploymentEndpoint,
	deploymentIdOf,
	deploymentRequests,
	readBalance,
	readDeployment,
	readDeployments,
	requestApisOf,
} from '../../nodes/RunComfy/api/deploymentApi';
import { type ApiAnswer, NoAnswerError } from '../../nodes/RunComfy/api/call';
import { answer, httpOf, ok, tooMany } from './fakeApi';
import { VirtualClock } from './virtualClock';

const ENTRY = {
	...{ id: 'd1', name: 'Product photo', hardware: ['AMPERE_48'], workflow_version: 'v3', is_enabled: false },
};

describe('Reading deployments', () => {
	it.each<[string, unknown, unknown]>([
		['a bare list', [ENTRY], ['d1']],
		['a wrapped list', { deployments: [ENTRY] }, ['d1']],
		['entries that are none', [null, 7, {}, { id: '../x' }, ENTRY], ['d1']],
		['an empty list', [], []],
		['no list', { deployments: 'x' }, undefined],
		['a text', '<html>', undefined],
	])('%s', (_name, body, ids) =>
		expect(readDeployments(body)?.map(({ deploymentId }) => deploymentId)).toEqual(ids),
	);

	it('leaves out what is missing or of another shape', () => {
		const odd = { name: ' ', hardware: 'A', workflow_version: 7, is_enabled: 'yes', payload: [] };
		const read = { deploymentId: 'd1', name: 'd1', hardware: ['A'], workflowVersion: '7' };
		expect(readDeployment({ id: 'd1', ...odd })).toEqual(read);
	});

	it.each<[unknown, unknown]>([
		[{ 6: {} }, { 6: {} }],
		['{"6": {}}', { 6: {} }],
		['{"6"', undefined],
		[[], undefined],
		// Nested so deeply that it could not be written again.
		[`{"6": {"x": ${'['.repeat(50_000)}${']'.repeat(50_000)}}}`, undefined],
	])('reads the workflow (%#)', (graph, expected) => {
		const payload = { workflow_api_json: graph, object_info_url: 'https://files.test/x.json' };
		const read = readDeployment({ ...ENTRY, payload });
		expect(read?.graph).toEqual(expected);
		expect(read?.objectInfoUrl).toBe('https://files.test/x.json');
	});

	it.each([
		[
			{ balance_usd: 12.5, currency: 'USD' },
			{ balance: 12.5, currency: 'USD' },
		],
		[{ balance_usd: 0 }, { balance: 0, currency: 'USD' }],
		[{ balance_usd: '12' }, undefined],
		['', undefined],
	])('reads the balance in %j', (body, expected) => expect(readBalance(body)).toEqual(expected));
});

describe('Answers of a deployment', () => {
	it.each<[object, unknown]>([
		[{ outputs: { 9: { text: 'x' } }, output: 'y' }, { 9: { text: 'x' } }],
		[{ outputs: { 9: { images: [] } }, output: 'y' }, 'y'],
		[{ output: { images: ['y'] } }, { images: ['y'] }],
		[{ outputs: {} }, {}],
		[{}, undefined],
	])('hold results under outputs, or else output: %j', (body, output) => {
		const answer = { status: 200, body: { status: 'succeeded', ...body } };
		expect(readPoll(answer, 'r', DEPLOYMENT_READER)).toMatchObject({ value: { result: { output } } });
	});

	const error = { message: 'CUDA out of memory' };
	it.each<[object, string]>([
		[{ status: 'in_queue', queue_position: 2 }, 'queued'],
		[{ status: 'in_progress' }, 'running'],
		[{ status: 'completed' }, 'finished'],
		[{ status: 'succeeded', outputs: { 9: {} } }, 'finished'],
		[{ status: 'completed', error: null, outputs: {} }, 'finished'],
		[{ status: 'completed', error, outputs: {} }, 'failed'],
		[{ status: 'completed', error, outputs: null }, 'failed'],
		[{ status: 'completed', error, outputs: { 9: {} } }, 'failed'],
		[{ status: 'completed', error, outputs: { 9: { images: [] } } }, 'failed'],
		[{ status: 'completed', error, outputs: { 9: { images: [], text: '' } } }, 'failed'],
		[{ status: 'completed', error, outputs: { 9: { images: [{}] } } }, 'finished'],
		[{ status: 'completed', error: 'a warning', outputs: { 9: { text: ['x'] } } }, 'finished'],
		[{ status: 'failed', error: [{ error: 'x' }] }, 'failed'],
		[{ status: 'cancelled' }, 'cancelled'],
		[{ status: 'odd' }, 'unknown'],
	])('%j is %s', (body, phase) =>
		expect(readPoll(ok(body), 'r', DEPLOYMENT_READER)).toMatchObject({ kind: 'ok', value: { phase } }),
	);

	it('keeps outputs and dates', () => {
		const body = { status: 'succeeded', outputs: { 9: {} }, created_at: 'a', finished_at: 'b' };
		const result = { requestId: 'r', output: { 9: {} }, createdAt: 'a', finishedAt: 'b' };
		expect(readPoll(ok(body), 'r', DEPLOYMENT_READER)).toMatchObject({ value: { result } });
	});

	it.each<[ApiAnswer, object]>([
		[ok({ outcome: 'cancelled' }), { kind: 'ok', value: 'cancelled' }],
		[answer(202, { outcome: 'Canceled' }), { kind: 'ok', value: 'cancelled' }],
		[ok({ outcome: 'not_cancellable', status: 'completed' }), { kind: 'ok', value: 'not_cancellable' }],
		[answer(202, { status: 'cancellation_requested' }), { kind: 'ok', value: 'cancellation_requested' }],
		[answer(202, { status: 'Canceled' }), { kind: 'ok', value: 'cancelled' }],
		[ok({ status: 'in_progress' }), { kind: 'transient' }],
		[answer(404, { error_code: 404001 }), { kind: 'refused', problem: { isNotFound: true } }],
		[answer(500, { outcome: 'cancelled' }), { kind: 'transient' }],
	])('a cancel answered with %j', (given, expected) =>
		expect(readCancel(given, 'r', DEPLOYMENT_READER)).toMatchObject(expected),
	);
});

describe('The requests of a deployment', () => {
	const calls: string[] = [];
	/** A poll for the result, with these answers. */
	const poll = async (result: ApiAnswer, status: ApiAnswer | NoAnswerError) => {
		calls.length = 0;
		const http = httpOf(async ({ url }) => {
			calls.push(url.split('/').pop() ?? '');
			const given = url.endsWith('/result') ? result : status;
			if (given instanceof NoAnswerError) throw given;
			return given;
		}, new VirtualClock());
		return await deploymentRequests(http, 'd1').getResult('r');
	};
	const QUEUED = ok({ status: 'in_queue', queue_position: 1 });
	const NOT_FOUND = answer(404, { error_code: 404001 });

	it.each<[string, ApiAnswer]>([
		['not ready', answer(400, { error_code: 400005 })],
		['not found', NOT_FOUND],
		['empty', ok('')],
		['without a state', ok({ outputs: null })],
		['refused for its state', answer(409, { message: 'not finished' })],
		['of an unknown state', ok({ status: 'odd' })],
	])('asks for the status where the result is %s', async (_name, result) => {
		expect(await poll(result, QUEUED)).toMatchObject({ value: { phase: 'queued' } });
		expect(calls).toEqual(['result', 'status']);
	});

	it.each<[string, ApiAnswer, object]>([
		['the state', QUEUED, { value: { phase: 'queued' } }],
		['a refusal of the token', answer(401, { error_code: 401001 }), { kind: 'refused' }],
		['a server error', answer(500, {}), { kind: 'transient' }],
		['too many requests', tooMany(), { kind: 'transient' }],
	])('does not ask again after %s', async (_name, result, expected) => {
		expect(await poll(result, QUEUED)).toMatchObject(expected);
		expect(calls).toEqual(['result']);
	});

	const isNotFound = { kind: 'refused', problem: { isNotFound: true } };
	it.each<[string, ApiAnswer | NoAnswerError, object]>([
		['says that it runs', ok({ status: 'in_progress' }), { kind: 'ok' }],
		['says that it is not found', NOT_FOUND, isNotFound],
		['says that it is completed: of no use without a result', ok({ status: 'completed' }), isNotFound],
		['fails', answer(503, 'busy'), { kind: 'transient' }],
		['is refused for now', tooMany(3), { kind: 'transient', tooMany: true, retryAfterMs: 3_000 }],
		['is lost', new NoAnswerError('lost'), { kind: 'transient' }],
	])('are not found by their result, and the status %s', async (_, status, expected) =>
		expect(await poll(NOT_FOUND, status)).toMatchObject(expected),
	);

	const http = httpOf(
		async ({ url }) => ok({ outcome: url.includes('/deployments/d1/') ? 'cancelled' : 'not_cancellable' }),
		new VirtualClock(),
	);
	const { id, endedProblem } = deploymentEndpoint(http, 'd1');

	it('are found again by the ID that the ledger keeps', async () => {
		const apiOf = requestApisOf(http);
		expect([deploymentIdOf(id), deploymentIdOf('a/b')]).toEqual(['d1', undefined]);
		expect([apiOf(id).cancelsRunning, apiOf('a/b').cancelsRunning]).toEqual([true, false]);
		expect(await apiOf(id).cancel('r')).toMatchObject({ value: 'cancelled' });
		expect(await apiOf('a/b').cancel('r')).toMatchObject({ value: 'not_cancellable' });
	});

	it('are said to be on the page of the deployment, where an outcome is not known', () =>
		expect(deploymentRequests(http, 'd1').requestsPage).toBe('the requests of this deployment on RunComfy'));

	it('fail with the node that ComfyUI names', () => {
		const error = { node_id: '3', node_type: 'KSampler', exception_message: 'Out of memory' };
		expect(endedProblem('r', { status: 'failed', phase: 'failed', error }).message).toBe(
			'RunComfy request r failed in node 3 (KSampler): “Out of memory”',
		);
		expect(endedProblem('r', { status: 'canceled', phase: 'cancelled' }).message).toBe(
			'RunComfy request r was cancelled',
		);
	});
});
