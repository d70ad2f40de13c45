import type {
	ILoadOptionsFunctions,
	INodeListSearchResult,
	INodePropertyOptions,
	INodeType,
	ResourceMapperFields,
} from 'n8n-workflow';

import { RunComfyClient } from './api/client';
import { readAccess } from './host/credential';
import { toNodeError } from './host/nodeErrors';
import { systemRuntime } from './host/runtime';
import { createSend } from './host/transport';
import { Catalog } from './models/catalog';
import { readInputFields } from './models/inputSchema';
import { toMapperField } from './models/mapperFields';
import { findChosenModel } from './operations/shared/modelIdField';
import { dollars } from './common/money';
import { omitUndefined } from './common/omitUndefined';

/**
 * The lists and fields that the editor loads from RunComfy's catalog while a workflow is being built. They are fetched
 * every time, so that nothing of one account is shown to another.
 */

const PAGE_SIZE = 50;

async function openCatalog(context: ILoadOptionsFunctions): Promise<Catalog> {
	const { clock, random, callTimeouts } = systemRuntime;
	const access = await readAccess(context);
	const send = createSend(context, clock, access.redact);
	const client = new RunComfyClient(access, send, clock.timeOfDay, callTimeouts);
	return new Catalog({ client, clock, random, stopSignal: undefined });
}

async function searchModels(
	this: ILoadOptionsFunctions,
	filter?: string,
	paginationToken?: string,
): Promise<INodeListSearchResult> {
	try {
		const catalog = await openCatalog(this);
		const offset = Number(paginationToken ?? 0);
		const query = { ...omitUndefined({ search: filter }), limit: PAGE_SIZE, offset };
		const { models, next } = await catalog.page(query);
		return {
			results: models.map(({ modelId, displayName, description, price, url }) => ({
				name: displayName,
				value: modelId,
				...omitUndefined({ url }),
				description: [
					price.usd === undefined ? '' : `${dollars(price.usd)} per ${price.unit ?? 'request'}`,
					description ?? '',
				]
					.filter((part) => part !== '')
					.join(' · '),
			})),
			...omitUndefined({ paginationToken: next?.toString() }),
		};
	} catch (error) {
		throw toNodeError(this.getNode(), error);
	}
}

async function getCategories(this: ILoadOptionsFunctions): Promise<INodePropertyOptions[]> {
	try {
		const catalog = await openCatalog(this);
		const names = await catalog.query(async (client) => await client.listCategories());
		return names.map((name) => ({ name, value: name }));
	} catch (error) {
		throw toNodeError(this.getNode(), error);
	}
}

async function getModelInputs(this: ILoadOptionsFunctions): Promise<ResourceMapperFields> {
	try {
		const catalog = await openCatalog(this);
		const choice: unknown = this.getCurrentNodeParameter('modelId');
		const { inputSchema, requiredInputs } = await findChosenModel(catalog, choice);
		return { fields: readInputFields(inputSchema, requiredInputs).map(toMapperField) };
	} catch (error) {
		throw toNodeError(this.getNode(), error);
	}
}

export const editorLists = {
	listSearch: { searchModels },
	loadOptions: { getCategories },
	resourceMapping: { getModelInputs },
} satisfies INodeType['methods'];
