import type { RunComfyClient } from '../../api/client';
import { deploymentIdOf, deploymentRequests } from '../../deployments/endpoint';
import type { RequestApi } from '../../jobs/types';
import { modelRequests } from '../../models/endpoint';

/** The requests of an endpoint, by the ID that the ledger keeps. */
export function requestApisOf(client: RunComfyClient): (endpointId: string) => RequestApi {
	return (endpointId) => {
		const deploymentId = deploymentIdOf(endpointId);
		return deploymentId === undefined ? modelRequests(client) : deploymentRequests(client, deploymentId);
	};
}
