import { type Deployment, queryDeployment, queryDeployments } from '../api/deploymentApi';
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
		const read = async () => await this.query((http) => queryDeployment(http, deploymentId));
		return await cached(this.known, deploymentId, read);
	}

	/**
	 * All deployments, with their workflows if asked for.
	 * @throws RunComfyError, StoppedError.
	 */
	async list(withGraphs = false): Promise<Deployment[]> {
		const read = async () => await this.query((http) => queryDeployments(http, withGraphs));
		return await cached(this.lists, withGraphs, read);
	}

	/** The titles of a deployment's nodes, by ID; empty when its workflow cannot be read. */
	async titles(deploymentId: string): Promise<ReadonlyMap<string, string>> {
		const { graph } = await this.get(deploymentId).catch(() => ({ graph: undefined }));
		return graphFactsOf(graph ?? {}).titles;
	}
}
