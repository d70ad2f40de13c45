import { queryBalance } from '../../api/deploymentApi';
import type { FreeOperation } from '../operation';

export const getBalance: FreeOperation = {
	name: 'Get Balance',
	action: 'Get account balance',
	description: 'Get the remaining balance of your RunComfy account (free)',
	fields: [],

	async run({ query }) {
		const { balance, currency } = await query(queryBalance);
		return { json: { balance, currency } };
	},
};
