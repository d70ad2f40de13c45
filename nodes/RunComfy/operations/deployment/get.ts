import type { IDataObject } from 'n8n-workflow';

import { type Deployment, queryDeployment } from '../../api/deploymentApi';
import { graphFactsOf } from '../../deployments/graphFields';
import { simplifyField } from '../../fields/limit';
import { deploymentIdField, readDeploymentChoice } from '../../fields/locators';
import { omitUndefined } from '../../util/values';
import type { FreeOperation } from '../operation';

export const getDeployment: FreeOperation = {
	name: 'Get',
	action: 'Get deployment',
	description: 'Get the inputs and the workflow of a deployment (free)',
	fields: [deploymentIdField, simplifyField],

	async run({ query }, item) {
		const deploymentId = readDeploymentChoice(item.raw(deploymentIdField));
		const deployment = await query((http) => queryDeployment(http, deploymentId));
		const isSimple = item.boolean(simplifyField);
		const graph = isSimple ? undefined : deployment.graph;
		return { json: omitUndefined({ ...deploymentJson(deployment, isSimple), graph }) as IDataObject };
	},
};

/** The output of a deployment; with its inputs where its workflow is known. */
export function deploymentJson(deployment: Deployment, isSimple: boolean): IDataObject {
	const { graph, objectInfoUrl: _url, ...facts } = deployment;
	const { deploymentId, name, workflowVersion, hardware, status, isEnabled } = facts;
	const inputs = graph === undefined ? undefined : graphFactsOf(graph).fields;
	return omitUndefined({
		...(isSimple ? { deploymentId, name, workflowVersion, hardware, status, isEnabled } : facts),
		inputs: inputs?.map(({ isHidden: _isHidden, ...input }) => input as unknown as IDataObject),
	});
}
