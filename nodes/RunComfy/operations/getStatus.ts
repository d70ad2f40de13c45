import { lookOnce } from './look';
import type { Operation } from './operation';
import { readRequestId } from './parameters';
import { requestIdField } from './requestIdField';

/** One look: the state in RunComfy's own words and the place in the queue. A failed request is a state, not an error. */
export const getStatus: Operation = {
	fields: [requestIdField],

	async prepare({ context }, itemIndex) {
		const requestId = readRequestId(context, itemIndex);
		return {
			run: async ({ run }) => {
				const { client } = run.dependencies;
				const { status, queuePosition } = await lookOnce(
					run,
					requestId,
					async (look) => await client.getStatus(requestId, look),
				);
				return { json: { requestId, status, ...(queuePosition === undefined ? {} : { queuePosition }) } };
			},
		};
	},
};
