import { RunComfyError } from '../../api/problems';
import { findDeploymentOutputProblem } from '../../deployments/outputs';
import { downloadFields } from '../../fields/downloads';
import type { Field } from '../../fields/item';
import { DEPLOYMENT_OPTIONS, OPTIONS, optionsField } from '../../fields/options';
import { endOf, pollOnce, waitForEnd } from '../../jobs/wait';
import { omitUndefined } from '../../util/values';
import { toDeploymentOutput } from '../deploymentOutput';
import { findModelOutputProblem, toModelOutput } from '../modelOutput';
import type { FreeOperation } from '../operation';
import { readRequest, requestFields } from '../requestFields';
import { readSubmission, RESULT_OPTIONS, waitField } from '../submission';

const waitForResultField: Field = {
	...waitField,
	description:
		'Whether to wait for the result. If off, and the result is not available yet, the status of the request is returned.',
};

/** The result of an earlier request: the way to resume after a timeout. Submits nothing and cancels nothing. */
export const getResult: FreeOperation = {
	name: 'Get Result',
	action: 'Get result of request',
	description: 'Get the result of an earlier request, for example after a timeout (free)',
	fields: [
		...requestFields,
		waitForResultField,
		...downloadFields,
		{
			...optionsField([...RESULT_OPTIONS, 'includeCost']),
			displayOptions: { show: { requestType: ['model'] } },
		},
		{
			...optionsField(RESULT_OPTIONS, DEPLOYMENT_OPTIONS),
			displayOptions: { show: { requestType: ['deployment'] } },
		},
	],

	async run(tools, item) {
		const { requestId, deploymentId, api } = readRequest(tools, item);
		const isDeployment = deploymentId !== undefined;
		const { waits, limits, download } = isDeployment
			? readSubmission(item, DEPLOYMENT_OPTIONS, tools.deploymentFiles).handling
			: readSubmission(item, OPTIONS, tools.modelFiles).handling;
		const { includeCost } = limits;
		const request = { requestId, api, submittedAt: tools.clock.timeOfDay() };
		const poll = waits
			? undefined
			: await pollOnce(
					tools,
					requestId,
					async (more) => await api.getResult(requestId, { includeCost, ...more }),
				);
		const end = poll === undefined ? await waitForEnd(tools, request, limits) : endOf(api, poll);
		if (end === undefined) {
			const { status, queuePosition } = poll ?? {};
			return { json: omitUndefined({ requestId, status, queuePosition }) };
		}
		if (end.kind !== 'finished') throw new RunComfyError(end.problem);
		const { result } = end;
		// The request may be of any model, and so hold anything.
		const problem = isDeployment ? findDeploymentOutputProblem(result) : findModelOutputProblem(result);
		if (problem !== undefined) throw new RunComfyError(problem);
		return isDeployment
			? await toDeploymentOutput(tools, result, deploymentId, download, tools.pool)
			: await toModelOutput(tools, result, download, tools.pool);
	},
};
