import { NoAnswerError, type ApiAnswer } from '../../nodes/RunComfy/api/transport';
import { deploymentRequests } from '../../nodes/RunComfy/deployments/endpoint';
import { clientOf, ok, tooMany } from './fakeApi';
import { VirtualClock } from './virtualClock';

const NOT_FOUND: ApiAnswer = { status: 404, headers: {}, body: { error_code: 404001 } };
const SERVER_ERROR: ApiAnswer = { status: 503, headers: {}, body: 'busy' };
const LOST = new NoAnswerError('lost');

/** A poll for the result, with these answers. */
async function poll(result: ApiAnswer, status: ApiAnswer | NoAnswerError) {
	const client = clientOf(async ({ url }) => {
		const answer = url.endsWith('/result') ? result : status;
		if (answer instanceof NoAnswerError) throw answer;
		return answer;
	}, new VirtualClock());
	return await deploymentRequests(client, 'some-deployment').getResult('some-request');
}

describe('A poll for the result of a deployment', () => {
	it.each([
		['says that it is not found, and the status that it runs', ok({ status: 'in_progress' }), 'state'],
		['and the status say that it is not found', NOT_FOUND, 'notFound'],
		['is expired, and the status says so', ok({ status: 'completed' }), 'notFound'],
		['says that it is not found, and the status fails', SERVER_ERROR, 'again'],
		['says that it is not found, and the status is refused for now', tooMany(3), 'again'],
		['says that it is not found, and the status is lost', LOST, 'again'],
	])('%s', async (_, status, kind) => expect(await poll(NOT_FOUND, status)).toMatchObject({ kind }));

	it('tells that there were too many requests, for the pace of the next ones', async () =>
		expect(await poll(NOT_FOUND, tooMany(3))).toMatchObject({ tooMany: true, retryAfterMs: 3_000 }));
});
