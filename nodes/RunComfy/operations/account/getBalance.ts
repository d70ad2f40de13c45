import type { Operation } from '../shared/operation';

/** What is left on the account. Free. */
export const getBalance: Operation = {
	fields: [],

	async prepare({ catalogue }) {
		return {
			run: async () => {
				const { balance, currency } = await catalogue.ask(
					async (client, signal) => await client.getBalance(signal),
				);
				return { json: { balance, currency } };
			},
		};
	},
};
