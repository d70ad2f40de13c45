import type { RunComfyClient } from '../api/client';
import { cleanReason, flattenReason, GENERATIONS_PAGE, nameRequest, type Problem } from '../api/problems';
import type { EndedState, Endpoint, RequestApi } from '../jobs/types';
import { omitUndefined } from '../util/values';

/** The requests of all models: RunComfy finds them by their ID alone (documented). */
export function modelRequests(client: RunComfyClient): RequestApi {
	return {
		cancelsRunning: false,
		requestsPage: GENERATIONS_PAGE,
		getResult: async (requestId, options) => await client.getResult(requestId, options),
		getStatus: async (requestId, options) => await client.getStatus(requestId, options),
		cancel: async (requestId, options) => await client.cancel(requestId, options),
		endedProblem,
	};
}

/** One model, where requests are submitted. Its ID as an endpoint is the ID of the model. */
export function modelEndpoint(client: RunComfyClient, modelId: string): Endpoint {
	return {
		...modelRequests(client),
		id: modelId,
		submit: async (input, signal) => await client.submit(modelId, input, signal),
	};
}

/** A request that failed or was cancelled. */
export function endedProblem(requestId: string, { phase, error }: EndedState): Problem {
	const reason = cleanReason(flattenReason(error));
	const because = reason === undefined ? '' : `: “${reason}”`;
	const cancelled = phase === 'cancelled';
	return {
		message: `${nameRequest(requestId)} ${cancelled ? 'was cancelled' : 'failed'}${because}`,
		advice: cancelled
			? 'It was cancelled before it ran. Run the item again to submit it again.'
			: 'Check the image and the prompt, then run the item again: it will be submitted again. Whether RunComfy charges for failed requests is not documented; see the Generations page of your RunComfy account.',
		requestId,
		...omitUndefined({ mayBeInput: cancelled ? undefined : (true as const) }),
	};
}
