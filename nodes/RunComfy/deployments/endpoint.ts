import type { RunComfyClient } from '../api/client';
import { nameRequest, type Problem } from '../api/problems';
import type { PollAnswer } from '../api/responses';
import type { EndedState, Endpoint, RequestApi } from '../jobs/types';
import { describeComfyError } from './comfyError';

/** No model has a colon in its ID. */
const PREFIX = 'deployment:';

/** The ID of a deployment as an endpoint. */
function deploymentEndpointId(deploymentId: string): string {
	return `${PREFIX}${deploymentId}`;
}

/** The deployment of an endpoint; undefined when it is another kind of endpoint. */
export function deploymentIdOf(endpointId: string): string | undefined {
	return endpointId.startsWith(PREFIX) ? endpointId.slice(PREFIX.length) : undefined;
}

/** The requests of one deployment. */
export function deploymentRequests(client: RunComfyClient, deploymentId: string): RequestApi {
	return {
		// Documented in two places; a third one says “queued”. Where RunComfy refuses it, nothing is lost.
		cancelsRunning: true,
		requestsPage: 'the requests of this deployment on RunComfy',
		async getResult(requestId, { includeCost: _none, ...options } = {}) {
			const result = await client.getDeploymentResult(deploymentId, requestId, options);
			if (!needsStatus(result)) return result;
			const state = await client.getDeploymentStatus(deploymentId, requestId, options);
			// That the request cannot be found is believed only once the status has been read.
			if (state.kind === 'again') return state;
			// That it has ended is of no use without its result.
			return state.kind === 'state' && state.phase !== 'finished' ? state : result;
		},
		getStatus: async (requestId, options) =>
			await client.getDeploymentStatus(deploymentId, requestId, options),
		cancel: async (requestId, options) =>
			await client.cancelDeploymentRequest(deploymentId, requestId, options),
		endedProblem,
		describeProgress: ({ phase, status, queuePosition }) =>
			phase === 'queued'
				? `${status}${queuePosition === undefined ? '' : `, position ${queuePosition}`}; the deployment may have to start first, which takes 3 to 5 minutes`
				: status,
	};
}

/** `/result` gives the state of a request that is not finished (documented). Where it does not, `/status` is asked. */
function needsStatus(answer: PollAnswer): boolean {
	if (answer.kind === 'again') return answer.hasNoState === true;
	if (answer.kind === 'state') return answer.phase === 'unknown';
	const { httpStatus } = answer.problem;
	return answer.kind === 'notFound' || httpStatus === 400 || httpStatus === 409;
}

/** One deployment, where requests are submitted. */
export function deploymentEndpoint(client: RunComfyClient, deploymentId: string): Endpoint {
	return {
		...deploymentRequests(client, deploymentId),
		id: deploymentEndpointId(deploymentId),
		submit: async (body, signal) => await client.submitToDeployment(deploymentId, body, signal),
	};
}

/** A request that failed or was cancelled. */
export function endedProblem(requestId: string, { phase, error }: EndedState): Problem {
	if (phase === 'cancelled') {
		return {
			message: `${nameRequest(requestId)} was cancelled`,
			advice: 'Run the item again to submit it again. GPU time that it had used is billed.',
			requestId,
		};
	}
	const { reason, node } = describeComfyError(error);
	const where = node === undefined ? '' : ` in ${node}`;
	return {
		message: `${nameRequest(requestId)} failed${where}${reason === undefined ? '' : `: “${reason}”`}`,
		advice:
			'Check the inputs of the node that ComfyUI names, then run the item again: it will be submitted again. GPU time is billed for failed requests, too.',
		requestId,
	};
}
