import type { Answer } from '../api/answers';
import { type Deployment, getDeployment, listDeployments } from '../api/deploymentApi';
import type { FreeQuery } from '../api/http';
import { cached } from '../util/values';
import { graphFactsOf } from './graphFacts';

/** The deployments of the account, for one run of the node, or one request of the editor. It caches what it has read. */
export class Deployments {
	private readonly known = new Map<string, Promise<Deployment>>();
	private readonly lists = new Map<boolean, Promise<Deployment[]>>();

	constructor(private readonly query: FreeQuery) {}

	/**
	 * One deployment with its workflow.
	 * @throws RunComfyError, StoppedError.
	 */
	async get(deploymentId: string): Promise<Deployment> {
		return await cached(
			this.known,
			deploymentId,
			async () =>
				await this.query(async (http, signal) =>
					explainUnknown(await getDeployment(http, deploymentId, signal), deploymentId),
				),
		);
	}

	/**
	 * All deployments, with their workflows if asked for.
	 * @throws RunComfyError, StoppedError.
	 */
	async list(withGraphs = false): Promise<Deployment[]> {
		return await cached(
			this.lists,
			withGraphs,
			async () => await this.query(async (http, signal) => await listDeployments(http, withGraphs, signal)),
		);
	}

	/** The titles of a deployment's nodes, by ID; empty when its workflow cannot be read. */
	async titles(deploymentId: string): Promise<ReadonlyMap<string, string>> {
		const { graph } = await this.get(deploymentId).catch(() => ({ graph: undefined }));
		return graphFactsOf(graph ?? {}).titles;
	}
}

function explainUnknown(answer: Answer<Deployment>, deploymentId: string): Answer<Deployment> {
	if (answer.kind !== 'refused' || answer.problem.isNotFound !== true) return answer;
	const message = `RunComfy has no deployment “${deploymentId}”`;
	const advice = 'Choose the deployment from the list, or copy its ID from its page on RunComfy.';
	return { ...answer, problem: { ...answer.problem, message, advice } };
}
