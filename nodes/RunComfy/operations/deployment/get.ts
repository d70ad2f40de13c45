import type { IDataObject } from 'n8n-workflow';

import type { Deployment } from '../../api/deploymentApi';
import { graphFactsOf } from '../../deployments/graphFacts';
import { deploymentIdField, readDeploymentChoice } from '../../fields/locators';
import { omitUndefined } from '../../util/values';
import type { FreeOperation } from '../operation';

export const getDeployment: FreeOperation = {
	name: 'Get',
	action: 'Get deployment',
	description: 'Get the inputs and the workflow of a deployment (free)',
	fields: [deploymentIdField],

	async run({ deployments }, item) {
		const deployment = await deployments.get(readDeploymentChoice(item.raw(deploymentIdField)));
		const graph = deployment.graph as IDataObject | undefined;
		return { json: { ...deploymentJson(deployment), ...omitUndefined({ graph }) } };
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
