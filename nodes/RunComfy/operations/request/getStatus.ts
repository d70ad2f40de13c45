import { omitUndefined } from '../../common/omitUndefined';
import type { Operation } from '../shared/operation';
import { readRequestId } from '../shared/parameters';
import { pollOnce } from '../shared/pollOnce';
import { requestIdField } from '../shared/requestIdField';

/** One poll: the state in RunComfy's own words and the place in the queue. A failed request is a state, not an error. */
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
