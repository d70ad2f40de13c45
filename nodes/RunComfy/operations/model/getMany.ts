import type { IExecuteFunctions } from 'n8n-workflow';

import { isJsonObject } from '../../api/json';
import { FieldError } from '../../util/errors';
import { omitUndefined } from '../../util/values';
import { limitFields, readLimit } from '../shared/limitFields';
import type { Operation, OperationOutput } from '../shared/operation';
import { modelJson } from './get';

/** The models that RunComfy hosts, one item each. Free. */
export const getManyModels: Operation = {
	fields: [
		...limitFields,
		{
			displayName: 'Filters',
			name: 'filters',
			decides: false,
			type: 'collection',
			placeholder: 'Add filter',
			default: {},
			options: [
				{
					displayName: 'Category Name or ID',
					name: 'category',
					decides: false,
					type: 'options',
					typeOptions: { loadOptionsMethod: 'getCategories' },
					default: '',
					description:
						'Only models of this category. Choose from the list, or specify an ID using an <a href="https://docs.n8n.io/code/expressions/">expression</a>.',
				},
				{
					displayName: 'Search',
					name: 'search',
					decides: false,
					type: 'string',
					default: '',
					placeholder: 'e.g. flux',
					description: 'Text to search for in the names and descriptions of the models',
				},
			],
		},
	],

	async prepare({ context, catalog }, itemIndex) {
		const limit = readLimit(context, itemIndex);
		const filters = readFilters(context, itemIndex);
		return {
			run: async ({ run, hint }) => {
				const output: OperationOutput[] = [];
				const onCutOff = () =>
					hint(
						`RunComfy lists more models than these ${output.length}. Use a filter to narrow down the list.`,
					);
				for await (const model of catalog.entries(filters, limit, onCutOff)) {
					run.throwIfEnded();
					output.push({ json: modelJson(model) });
				}
				return output;
			},
		};
	},
};

function readFilters(context: IExecuteFunctions, itemIndex: number): { search?: string; category?: string } {
	const filters: unknown = context.getNodeParameter('filters', itemIndex, {});
	if (!isJsonObject(filters)) throw new FieldError('Filters', 'must be an object');
	const read = (name: string, label: string): string | undefined => {
		if (!Object.hasOwn(filters, name)) return undefined;
		const value = filters[name];
		if (typeof value !== 'string' && typeof value !== 'number') {
			throw new FieldError(`Filters → ${label}`, 'must be text');
		}
		return String(value).trim() || undefined;
	};
	return omitUndefined({ search: read('search', 'Search'), category: read('category', 'Category') });
}
