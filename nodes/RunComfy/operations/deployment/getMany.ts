import type { Operation } from '../shared/operation';
import { limitFields, readLimit } from '../shared/limitFields';
import { deploymentJson } from './get';

/** The user's deployments with their inputs, one item each. Free. */
export const getManyDeployments: Operation = {
	fields: limitFields,

	async prepare({ context, deployments }, itemIndex) {
		const limit = readLimit(context, itemIndex);
		return {
			run: async ({ run }) => {
				const all = await deployments.list(true);
				run.throwIfEnded();
				return all.slice(0, limit).map((deployment) => ({ json: deploymentJson(deployment) }));
			},
		};
	},
};
