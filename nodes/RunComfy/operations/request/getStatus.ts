import type { GenericValue } from 'n8n-workflow';

import { pollOnce } from '../../jobs/wait';
import { omitUndefined } from '../../util/values';
import type { FreeOperation } from '../operation';
import { readRequest, requestFields } from '../requestFields';

/** Polls once: the status in RunComfy's words, and what comes with it. A failed request is a status, not an error. */
export const getStatus: FreeOperation = {
	name: 'Get Status',
	action: 'Get status of request',
	description: 'Get the status of a request and its position in the queue (free)',
	fields: requestFields,

	async run(tools, item) {
		const { requestId, api } = readRequest(tools, item);
		const state = await pollOnce(
			tools,
			requestId,
			async (options) => await api.getStatus(requestId, options),
		);
		const { status, queuePosition, instanceId, logUrl } = state;
		const error = (state.error ?? undefined) as GenericValue;
		return { json: omitUndefined({ requestId, status, queuePosition, error, instanceId, logUrl }) };
	},
};
