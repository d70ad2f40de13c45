import { RunComfyClient } from '../../nodes/RunComfy/api/client';
import {
	DEPLOYMENT_CODES,
	readDeployment,
	readDeploymentCancel,
	readDeploymentPoll,
	readDeployments,
} from '../../nodes/RunComfy/api/deployments';
import { explainAnswer } from '../../nodes/RunComfy/api/problems';
import { readSubmit } from '../../nodes/RunComfy/api/responses';
import type { ApiAnswer } from '../../nodes/RunComfy/api/transport';
import { deploymentEndpoint, deploymentIdOf, endedProblem } from '../../nodes/RunComfy/deployments/endpoint';
import { modelRequests } from '../../nodes/RunComfy/models/endpoint';
import { requestApisOf } from '../../nodes/RunComfy/operations/shared/endpoints';

const answer = (status: number, body: unknown): ApiAnswer => ({ status, headers: {}, body });
const ENTRY = {
	id: 'd1',
	name: 'Product photo',
	hardware: ['AMPERE_48'],
	workflow_version: 'v3',
	is_enabled: false,
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
		expect(
			readDeployment({
				id: 'd1',
				name: ' ',
				hardware: 'A',
				workflow_version: 7,
				is_enabled: 'yes',
				payload: [],
			}),
		).toEqual({
			deploymentId: 'd1',
			name: 'd1',
			hardware: ['A'],
			workflowVersion: '7',
		});
	});

	it.each<[unknown, unknown]>([
		[{ 6: {} }, { 6: {} }],
		['{"6": {}}', { 6: {} }],
		['{"6"', undefined],
		[[], undefined],
	])('reads the workflow %j', (graph, expected) => {
		const payload = { workflow_api_json: graph, object_info_url: 'https://files.test/x.json' };
		const read = readDeployment({ ...ENTRY, payload });
		expect(read?.graph).toEqual(expected);
		expect(read?.objectInfoUrl).toBe('https://files.test/x.json');
	});
});

describe('Answers of a deployment', () => {
	it.each<[unknown, string]>([
		[{ status: 'in_queue', queue_position: 2 }, 'queued'],
		[{ status: 'in_progress' }, 'running'],
		[{ status: 'completed' }, 'finished'],
		[{ status: 'succeeded', outputs: { 9: {} } }, 'finished'],
		[{ status: 'completed', error: { message: 'x' }, outputs: {} }, 'failed'],
		[{ status: 'completed', error: null, outputs: {} }, 'finished'],
		[{ status: 'completed', error: { message: 'a warning' }, outputs: { 9: { text: ['x'] } } }, 'finished'],
		[{ status: 'failed', error: [{ error: 'x' }] }, 'failed'],
		[{ status: 'cancelled' }, 'cancelled'],
		[{ status: 'canceled' }, 'cancelled'],
		[{ status: 'odd' }, 'unknown'],
	])('%j is %s', (body, phase) =>
		expect(readDeploymentPoll(answer(200, body), 'r', 0)).toMatchObject({ kind: 'state', phase }),
	);

	it('keeps outputs and dates', () => {
		const body = { status: 'succeeded', outputs: { 9: {} }, created_at: 'a', finished_at: 'b' };
		expect(readDeploymentPoll(answer(200, body), 'r', 0)).toMatchObject({
			result: { requestId: 'r', output: { 9: {} }, createdAt: 'a', finishedAt: 'b' },
		});
	});

	it.each<[ApiAnswer, object]>([
		[answer(200, { outcome: 'cancelled' }), { kind: 'outcome', outcome: 'cancelled' }],
		[answer(202, { outcome: 'canceled' }), { kind: 'outcome', outcome: 'cancelled' }],
		[
			answer(200, { outcome: 'not_cancellable', status: 'completed' }),
			{ kind: 'outcome', outcome: 'not_cancellable' },
		],
		[
			answer(202, { status: 'cancellation_requested' }),
			{ kind: 'outcome', outcome: 'cancellation_requested' },
		],
		[answer(200, { status: 'in_progress' }), { kind: 'again' }],
		[answer(404, { error_code: 404001 }), { kind: 'notFound' }],
		[answer(500, { outcome: 'cancelled' }), { kind: 'again' }],
	])('%j', (given, expected) => expect(readDeploymentCancel(given, 'r', 0)).toMatchObject(expected));

	it.each<[ApiAnswer, string]>([
		[answer(200, { request_id: 'r1' }), 'accepted'],
		[answer(429, {}), 'busy'],
		[answer(401, { error_code: 401001 }), 'refused'],
		[answer(403, { error_code: 403003 }), 'refused'],
		[answer(404, { error_code: 404001 }), 'refused'],
		[answer(422, { error_code: 422001, detail: [] }), 'refused'],
		[answer(402, { error_code: 10001 }), 'refused'],
		[answer(400, { error_code: 10003 }), 'refused'],
		// Not documented for deployments, or no code at all.
		[answer(400, { error_code: 400002 }), 'outcomeUnknown'],
		[answer(422, { detail: [] }), 'outcomeUnknown'],
		[answer(404, '<html>'), 'outcomeUnknown'],
		[answer(500, { error_code: 500001 }), 'outcomeUnknown'],
		[answer(200, {}), 'outcomeUnknown'],
		[answer(422, { error_code: 422001, request_id: 'r1' }), 'outcomeUnknown'],
	])('a submit answered with %j is %s', (given, kind) =>
		expect(readSubmit(given, 0, DEPLOYMENT_CODES).kind).toBe(kind),
	);

	it('names an ID in an unexpected place', () => {
		const body = { status_url: 'https://api.runcomfy.net/prod/v2/deployments/d1/requests/r-7/status' };
		expect(readSubmit(answer(200, body), 0, DEPLOYMENT_CODES)).toMatchObject({
			kind: 'outcomeUnknown',
			requestId: 'r-7',
		});
	});

	it('shows the detail of a validation error beside its sentence', () => {
		const detail = [{ loc: ['body', 'overrides', '3', 'inputs', 'steps'], msg: 'is too large' }];
		const body = { error_code: 422001, error_message: 'Invalid.', detail };
		expect(explainAnswer(answer(422, body), DEPLOYMENT_CODES).what).toBe(
			'RunComfy did not accept the inputs: “Invalid. overrides.3.inputs.steps: is too large”',
		);
	});
});

describe('A deployment as an endpoint', () => {
	const calls: string[] = [];
	const endpointWith = (answers: Record<string, ApiAnswer>) => {
		calls.length = 0;
		const client = new RunComfyClient(
			{ baseUrl: 'https://models.test', platformBaseUrl: 'https://platform.test' },
			async ({ url }) => {
				const name = url.split('/').pop() ?? '';
				calls.push(name);
				return answers[name] ?? answer(500, {});
			},
			() => 0,
		);
		return deploymentEndpoint(client, 'd1');
	};
	const QUEUED = answer(200, { status: 'in_queue', queue_position: 1 });

	it('polls with one call', async () => {
		const endpoint = endpointWith({ result: QUEUED });
		expect(await endpoint.getResult('r')).toMatchObject({ phase: 'queued' });
		expect(calls).toEqual(['result']);
	});

	it.each<[string, ApiAnswer]>([
		['not ready', answer(400, { error_code: 400005 })],
		['not found', answer(404, { error_code: 404001 })],
		['empty', answer(200, '')],
		['without a state', answer(200, { outputs: null })],
		['refused for its state', answer(409, { message: 'not finished' })],
		['of an unknown state', answer(200, { status: 'odd' })],
	])('asks for the status where the result is %s', async (_name, result) => {
		expect(await endpointWith({ result, status: QUEUED }).getResult('r')).toMatchObject({ phase: 'queued' });
		expect(calls).toEqual(['result', 'status']);
	});

	it.each<[string, ApiAnswer, string]>([
		['the token', answer(401, { error_code: 401001 }), 'refused'],
		['a server error', answer(500, {}), 'again'],
		['too many requests', answer(429, {}), 'again'],
	])('does not ask again after %s', async (_name, result, kind) => {
		expect(await endpointWith({ result, status: QUEUED }).getResult('r')).toMatchObject({ kind });
		expect(calls).toEqual(['result']);
	});

	it('does not take the status “completed” for a result', async () => {
		const answers = {
			result: answer(404, { error_code: 404001 }),
			status: answer(200, { status: 'completed' }),
		};
		expect(await endpointWith(answers).getResult('r')).toMatchObject({ kind: 'notFound' });
	});

	it('is found again by the ID that the ledger keeps', async () => {
		const endpoint = endpointWith({ cancel: answer(200, { outcome: 'cancelled' }) });
		expect(deploymentIdOf(endpoint.id)).toBe('d1');
		expect(deploymentIdOf('a/b')).toBeUndefined();
		const client = new RunComfyClient(
			{ baseUrl: 'https://models.test', platformBaseUrl: 'https://platform.test' },
			async ({ url }) =>
				answer(200, { outcome: url.includes('/deployments/d1/') ? 'cancelled' : 'not_cancellable' }),
			() => 0,
		);
		const apiOf = requestApisOf(client);
		expect(apiOf(endpoint.id).cancelsRunning).toBe(true);
		expect(await apiOf(endpoint.id).cancel('r')).toMatchObject({ outcome: 'cancelled' });
		expect(apiOf('a/b').cancelsRunning).toBe(modelRequests(client).cancelsRunning);
		expect(await apiOf('a/b').cancel('r')).toMatchObject({ outcome: 'not_cancellable' });
	});

	it('describes a failure by the node that ComfyUI names', () => {
		const error = { node_id: '3', node_type: 'KSampler', exception_message: 'Out of memory' };
		expect(endedProblem('r', { status: 'failed', phase: 'failed', error }).message).toBe(
			'RunComfy request r failed in node 3 (KSampler): “Out of memory”',
		);
		expect(endedProblem('r', { status: 'canceled', phase: 'cancelled' }).message).toBe(
			'RunComfy request r was cancelled',
		);
	});
});
