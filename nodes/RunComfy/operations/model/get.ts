import type { IDataObject } from 'n8n-workflow';

import type { ModelEntry } from '../../api/models';
import { readInputFields } from '../../models/inputSchema';
import { omitUndefined } from '../../util/values';
import { findChosenModel, modelIdField } from '../shared/modelIdField';
import type { Operation } from '../shared/operation';

/** One model with its inputs, its price, and the unit of the price. Free. */
export const getModel: Operation = {
	fields: [modelIdField],

	async prepare({ context, catalog }, itemIndex) {
		const choice: unknown = context.getNodeParameter('modelId', itemIndex);
		return {
			run: async () => {
				const model = await findChosenModel(catalog, choice);
				const inputs = readInputFields(model.inputSchema, model.requiredInputs);
				return {
					json: {
						...modelJson(model),
						inputs: inputs.map((input) => ({ ...input }) as IDataObject),
						...omitUndefined({ inputSchema: model.inputSchema as IDataObject | undefined }),
					},
				};
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
