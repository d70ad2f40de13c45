import { RunComfyError } from '../../api/problems';
import { findOutputProblem as findDeploymentOutputProblem } from '../../deployments/outputs';
import { endOf, requireOutput, waitForEnd } from '../../jobs/job';
import { allowsLoopbackFiles } from '../../n8n/credential';
import type { Field } from '../../n8n/identity';
import { omitUndefined } from '../../util/values';
import { readTitles, toDeploymentOutput } from '../shared/deploymentOutput';
import { downloadFields, readDownloadOptions } from '../shared/downloads';
import { findOutputProblem, toFinishedOutput } from '../shared/finishedOutput';
import type { ItemWork, Operation } from '../shared/operation';
import { DEPLOYMENT_OPTIONS, type OptionName, optionsField } from '../shared/optionFields';
import { OptionsReader } from '../shared/options';
import { readBoolean } from '../shared/parameters';
import { pollOnce } from '../shared/pollOnce';
import { readRequest, requestFields } from '../shared/requestFields';

const waitField: Field = {
	displayName: 'Wait for Completion',
	name: 'waitForCompletion',
	decides: false,
	type: 'boolean',
	default: true,
	description:
		'Whether to wait for the result. If off, and the result is not available yet, the status of the request is returned.',
};

const OPTIONS: OptionName[] = ['fileName', 'maxConcurrency', 'maxFileSize', 'pollInterval', 'timeout'];

/** The result of an earlier request: the way to resume after a timeout. Submits nothing and cancels nothing. */
export const getResult: Operation = {
	fields: [
		...requestFields,
		waitField,
		...downloadFields,
		{
			...optionsField([...OPTIONS, 'includeCost']),
			displayOptions: { show: { requestType: ['model'] } },
		},
		{
			...optionsField(OPTIONS, DEPLOYMENT_OPTIONS),
			displayOptions: { show: { requestType: ['deployment'] } },
		},
	],

	async prepare(tools, itemIndex) {
		const { context, access, deployments } = tools;
		const { requestId, deploymentId, api } = readRequest(tools, itemIndex);
		const isDeployment = deploymentId !== undefined;
		const options = new OptionsReader(context, itemIndex, isDeployment);
		const limits = options.waitLimits();
		const wait = readBoolean(context, itemIndex, 'waitForCompletion', 'Wait for Completion');
		const allowLoopback = allowsLoopbackFiles(access, isDeployment);
		const download = wait ? readDownloadOptions(context, itemIndex, options, allowLoopback) : undefined;

		const work: ItemWork['run'] = async (workTools) => {
			const { run } = workTools;
			const request = { requestId, api, submittedAt: run.dependencies.clock.timeOfDay() };
			const poll = wait
				? undefined
				: await pollOnce(
						run,
						requestId,
						async (more) => await api.getResult(requestId, { includeCost: limits.includeCost, ...more }),
					);
			const end = poll === undefined ? await waitForEnd(run, request, limits) : endOf(api, poll);
			if (end === undefined) {
				return {
					json: { requestId, ...omitUndefined({ status: poll?.status, queuePosition: poll?.queuePosition }) },
				};
			}
			if (end.kind !== 'finished') throw new RunComfyError(end.problem);
			if (deploymentId !== undefined) {
				const result = requireOutput(end.result, findDeploymentOutputProblem);
				const titles = await readTitles(workTools, deployments, deploymentId);
				return await toDeploymentOutput(workTools, result, { deploymentId, titles, download });
			}
			// The request may be of any model, and so hold anything.
			const result = requireOutput(end.result, (found) => findOutputProblem(found, false));
			return await toFinishedOutput(workTools, result, { download });
		};
		return { run: work };
	},
};
