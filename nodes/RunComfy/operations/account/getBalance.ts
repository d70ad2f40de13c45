import type { Operation } from '../shared/operation';

/** The remaining balance of the account. Free. */
export const getBalance: Operation = {
	fields: [],

	async prepare({ query }) {
		return {
			run: async () => {
				const { balance, currency } = await query(async (client, signal) => await client.getBalance(signal));
				return { json: { balance, currency } };
			},
		};
	},
};
