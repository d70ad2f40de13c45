import { isJsonObject } from '../../api/json';
import { limitFields, readLimit } from '../../fields/limit';
import { textOf, type Field, type Item } from '../../fields/item';
import { listModels } from '../../models/catalog';
import { FieldError } from '../../util/errors';
import type { FreeOperation, OperationOutput } from '../operation';
import { modelJson } from './get';

const categoryField: Field = {
	displayName: 'Category Name or ID',
	name: 'category',
	decides: false,
	type: 'options',
	typeOptions: { loadOptionsMethod: 'getCategories' },
	default: '',
	description:
		'Only models of this category. Choose from the list, or specify an ID using an <a href="https://docs.n8n.io/code/expressions/">expression</a>.',
};

const searchField: Field = {
	displayName: 'Search',
	name: 'search',
	decides: false,
	type: 'string',
	default: '',
	placeholder: 'e.g. flux',
	description: 'Text to search for in the names and descriptions of the models',
};

const filtersField: Field = {
	displayName: 'Filters',
	name: 'filters',
	decides: false,
	type: 'collection',
	placeholder: 'Add filter',
	default: {},
	options: [categoryField, searchField],
};

export const getManyModels: FreeOperation = {
	name: 'Get Many',
	action: 'Get many models',
	description: 'List the models that RunComfy hosts (free)',
	fields: [...limitFields, filtersField],

	async run({ query, pool, hint }, item) {
		const limit = readLimit(item);
		const output: OperationOutput[] = [];
		const onCutOff = () =>
			hint(`RunComfy lists more models than these ${output.length}. Use a filter to narrow down the list.`);
		for await (const model of listModels(query, readFilters(item), limit, onCutOff)) {
			pool.throwIfEnded();
			output.push({ json: modelJson(model) });
		}
		return output;
	},
};

function readFilters(item: Item): { search?: string | undefined; category?: string | undefined } {
	const filters = item.raw(filtersField, {});
	if (!isJsonObject(filters)) throw new FieldError(filtersField.displayName, 'must be an object');
	const read = ({ name }: Field, label: string): string | undefined => {
		if (!Object.hasOwn(filters, name)) return undefined;
		const path = `${filtersField.displayName} → ${label}`;
		if (filters[name] === undefined || filters[name] === null) throw new FieldError(path, 'must be text');
		return textOf(filters[name], path) || undefined;
	};
	return { search: read(searchField, 'Search'), category: read(categoryField, 'Category') };
}
