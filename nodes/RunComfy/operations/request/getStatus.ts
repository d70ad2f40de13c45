import { omitUndefined } from '../../common/omitUndefined';
import type { Operation } from '../shared/operation';
import { pollOnce } from '../shared/pollOnce';
import { readRequestId, requestIdField } from '../shared/requestIdField';

/** Polls once: the status in RunComfy's words, and the queue position. A failed request is a status, not an error. */
export const getStatus: Operation = {
	fields: [requestIdField],

	async prepare({ context }, itemIndex) {
		const requestId = readRequestId(context, itemIndex);
		return {
			run: async ({ run }) => {
				const { status, queuePosition } = await pollOnce(
					run,
					requestId,
					async (client, options) => await client.getStatus(requestId, options),
				);
				return { json: { requestId, status, ...omitUndefined({ queuePosition }) } };
			},
		};
	},
};
