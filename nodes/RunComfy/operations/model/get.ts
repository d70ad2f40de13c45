import type { IDataObject } from 'n8n-workflow';

import type { ModelEntry } from '../../api/modelApi';
import { simplifyField } from '../../fields/limit';
import { modelIdField, readModelChoice } from '../../fields/locators';
import { findModel } from '../../models/catalog';
import { readInputFields } from '../../models/inputSchema';
import { omitUndefined, priceText } from '../../util/values';
import type { FreeOperation } from '../operation';

export const getModel: FreeOperation = {
	name: 'Get',
	action: 'Get model',
	description: 'Get the inputs and the price of a model (free)',
	fields: [modelIdField, simplifyField],

	async run({ query }, item) {
		const model = await findModel(query, readModelChoice(item.raw(modelIdField)));
		const inputs = readInputFields(model.inputSchema, model.requiredInputs);
		const { kind, ...facts } = modelJson(model);
		const raw = item.boolean(simplifyField) ? {} : { kind, inputSchema: model.inputSchema };
		return { json: omitUndefined({ ...facts, inputs, ...raw }) as IDataObject };
	},
};

/** The output of a model in a list. */
export function modelJson(model: ModelEntry) {
	const { modelId, displayName, description, kind, categories, price, url } = model;
	return omitUndefined({
		modelId,
		displayName,
		description,
		kind,
		categories: categories.length === 0 ? undefined : categories,
		price: priceText(price),
		priceUsd: price.usd,
		priceUnit: price.unit,
		pricingNote: price.note,
		url,
	});
}
