import type { IDataObject } from 'n8n-workflow';

import type { Deployment } from '../../api/deployments';
import { graphFactsOf } from '../../deployments/graphFacts';
import { omitUndefined } from '../../util/values';
import { deploymentIdField, readDeploymentChoice } from '../shared/deploymentIdField';
import type { Operation } from '../shared/operation';

/** One deployment with its inputs and its graph. Free. */
export const getDeployment: Operation = {
	fields: [deploymentIdField],

	async prepare({ context, deployments }, itemIndex) {
		const deploymentId = readDeploymentChoice(context.getNodeParameter('deploymentId', itemIndex));
		return {
			run: async () => {
				const deployment = await deployments.get(deploymentId);
				const { graph } = deployment;
				return {
					json: {
						...deploymentJson(deployment),
						...omitUndefined({ graph: graph as IDataObject | undefined }),
					},
				};
			},
		};
	},
};

/** The output of a deployment; with its inputs where its workflow is known. */
export function deploymentJson({ graph, objectInfoUrl: _url, ...facts }: Deployment): IDataObject {
	const inputs = graph === undefined ? undefined : graphFactsOf(graph).fields;
	return omitUndefined({
		...facts,
		inputs: inputs?.map(({ isHidden: _isHidden, ...input }) => input as unknown as IDataObject),
	});
}
