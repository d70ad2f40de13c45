import type { IDataObject } from 'n8n-workflow';

import type { ModelEntry } from '../../api/modelApi';
import { modelIdField, readModelChoice } from '../../fields/locators';
import { readInputFields } from '../../models/inputSchema';
import { omitUndefined } from '../../util/values';
import type { FreeOperation } from '../operation';

export const getModel: FreeOperation = {
	name: 'Get',
	action: 'Get model',
	description: 'Get the inputs and the price of a model (free)',
	fields: [modelIdField],

	async run({ catalog }, item) {
		const model = await catalog.find(readModelChoice(item.raw(modelIdField)));
		const inputs = readInputFields(model.inputSchema, model.requiredInputs);
		const inputSchema = model.inputSchema as IDataObject | undefined;
		return {
			json: {
				...modelJson(model),
				inputs: inputs.map((input) => ({ ...input }) as IDataObject),
				...omitUndefined({ inputSchema }),
			},
		};
	},
};

/** The output of a model in a list. */
export function modelJson(model: ModelEntry): IDataObject {
	const { modelId, displayName, description, kind, categories, price, url } = model;
	return omitUndefined({
		modelId,
		displayName,
		description,
		kind,
		categories,
		priceUsd: price.usd,
		priceUnit: price.unit,
		pricingNote: price.note,
		url,
	});
}
