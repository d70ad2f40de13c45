import { omitUndefined } from '../../common/omitUndefined';
import { modelRequests } from '../../models/endpoint';
import type { Operation } from '../shared/operation';
import { pollOnce } from '../shared/pollOnce';
import { readRequestId, requestIdField } from '../shared/requestIdField';

/** Polls once: the status in RunComfy's words, and the queue position. A failed request is a status, not an error. */
export const getStatus: Operation = {
	fields: [requestIdField],

	async prepare({ context, client }, itemIndex) {
		const api = modelRequests(client);
		const requestId = readRequestId(context, itemIndex);
		return {
			run: async ({ run }) => {
				const { status, queuePosition } = await pollOnce(
					run,
					requestId,
					async (options) => await api.getStatus(requestId, options),
				);
				return { json: { requestId, status, ...omitUndefined({ queuePosition }) } };
			},
		};
	},
};
