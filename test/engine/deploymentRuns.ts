import { FAST } from './testEnvironment';

/** Parameters of the node for a deployment. */

export const byId = (value: string) => ({ __rl: true, mode: 'id', value });

export const runOf = (
	deploymentId: string,
	value: Record<string, unknown> = {},
	more: Record<string, unknown> = {},
) => ({
	resource: 'deployment',
	operation: 'run',
	deploymentId: byId(deploymentId),
	inputs: { mappingMode: 'defineBelow', value },
	...more,
	options: { ...FAST, ...(more.options as object | undefined) },
});
