import { queryDeployments } from '../../api/deploymentApi';
import { limitFields, readLimit, simplifyField } from '../../fields/limit';
import type { FreeOperation } from '../operation';
import { deploymentJson } from './get';

export const getManyDeployments: FreeOperation = {
	name: 'Get Many',
	action: 'Get many deployments',
	description: 'List your ComfyUI deployments (free)',
	fields: [...limitFields, simplifyField],

	async run({ query, pool }, item) {
		const limit = readLimit(item);
		const isSimple = item.boolean(simplifyField);
		const all = await query((http) => queryDeployments(http, true));
		pool.throwIfEnded();
		return all.slice(0, limit).map((deployment) => ({ json: deploymentJson(deployment, isSimple) }));
	},
};
