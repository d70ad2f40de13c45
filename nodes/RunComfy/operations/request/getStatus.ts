import { omitUndefined } from '../../util/values';
import type { Operation } from '../shared/operation';
import { pollOnce } from '../shared/pollOnce';
import { readRequest, requestFields } from '../shared/requestFields';

/** Polls once: the status in RunComfy's words, and the queue position. A failed request is a status, not an error. */
export const getStatus: Operation = {
	fields: requestFields,

	async prepare(tools, itemIndex) {
		const { requestId, api } = readRequest(tools, itemIndex);
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
