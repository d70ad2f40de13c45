import type {
	ILoadOptionsFunctions,
	INodeListSearchResult,
	INodePropertyOptions,
	ResourceMapperFields,
} from 'n8n-workflow';

import { type Deployment, queryDeployment, queryDeployments } from './api/deploymentApi';
import { createFreeQuery, type FreeQuery, Http } from './api/http';
import { type ModelEntry, queryCategories } from './api/modelApi';
import { readGraph } from './deployments/graph';
import { readGraphFields } from './deployments/graphFields';
import { readObjectInfo } from './deployments/objectInfo';
import { toDeploymentMapperField } from './deployments/savedRules';
import { fetchJson } from './files/fetchJson';
import { findModel, queryModelPage } from './models/catalog';
import { labelOf } from './models/inputNames';
import { withinBudget } from './models/fieldBudget';
import { readInputFields } from './models/inputSchema';
import { toMapperFields } from './models/mapperFields';
import { type Access, readAccess } from './n8n/credential';
import { withoutExpressions } from './n8n/expressions';
import { toNodeError } from './n8n/nodeErrors';
import { createSend } from './n8n/request';
import { systemRuntime } from './n8n/runtime';
import { readDeploymentChoice, readModelChoice } from './fields/locators';
import { priceText } from './util/values';

/**
 * The lists and fields that the editor loads from RunComfy while a workflow is being built. They are fetched
 * every time, so that nothing of one account is shown to another.
 */

/**
 * Loads something with the credential that the user has chosen. None of its texts is an expression for n8n.
 * @throws NodeApiError.
 */
async function load<T>(
	context: ILoadOptionsFunctions,
	read: (query: FreeQuery, access: Access) => Promise<T>,
): Promise<T> {
	try {
		const { clock, random, callTimeouts } = systemRuntime;
		const access = await readAccess(context);
		const send = createSend(context, clock, access.redact);
		const http = new Http(access, send, clock.timeOfDay, callTimeouts);
		const query = createFreeQuery({
			...{ http, clock, random, stopSignal: undefined, patienceMs: PATIENCE_MS },
		});
		return withoutExpressions(await read(query, access));
	} catch (error) {
		throw toNodeError(context.getNode(), error);
	}
}

/** The editor shows nothing while it waits. */
const PATIENCE_MS = 10_000;

const PAGE_SIZE = 50;

export async function searchModels(
	this: ILoadOptionsFunctions,
	filter?: string,
	paginationToken?: string,
): Promise<INodeListSearchResult> {
	return await load(this, async (query) => {
		const wanted = { search: filter, limit: PAGE_SIZE, offset: Number(paginationToken ?? 0) };
		const { models, next } = await queryModelPage(query, wanted);
		const results = models.map((model) => ({
			...{ name: modelLabel(model), value: model.modelId, url: model.url },
		}));
		return { results, paginationToken: next?.toString() };
	});
}

/** `FLUX 2 Flash · Text to Image · $0.02 per output`: n8n shows nothing of a model but its name. */
function modelLabel({ displayName, categories: [category = ''], price }: ModelEntry): string {
	const parts = displayName.split(/\s*\|\s*/);
	const task = categoryLabel(category);
	// RunComfy's own name usually says what the model does.
	const isNamed = parts.length > 1 || displayName.toLowerCase().includes(task.toLowerCase());
	return [...parts, isNamed ? '' : task, priceText(price) ?? ''].filter((part) => part !== '').join(' · ');
}

/** `text-to-image` → `Text to Image`. */
function categoryLabel(category: string): string {
	return labelOf(category.replaceAll('-', ' ')).replaceAll(' To ', ' to ');
}

export async function getCategories(this: ILoadOptionsFunctions): Promise<INodePropertyOptions[]> {
	return await load(this, async (query) => {
		const names = await query(queryCategories);
		return names.map((name) => ({ name: categoryLabel(name), value: name }));
	});
}

export async function getModelInputs(this: ILoadOptionsFunctions): Promise<ResourceMapperFields> {
	return await load(this, async (query) => {
		const reference = readModelChoice(this.getCurrentNodeParameter('modelId'));
		const { inputSchema, requiredInputs } = await findModel(query, reference);
		return { fields: toMapperFields(withinBudget(readInputFields(inputSchema, requiredInputs))) };
	});
}

/** The user's deployments. RunComfy has no search for them, and documents no pages. */
export async function searchDeployments(
	this: ILoadOptionsFunctions,
	filter = '',
): Promise<INodeListSearchResult> {
	return await load(this, async (query) => {
		const deployments = await query((http) => queryDeployments(http, false));
		const wanted = filter.trim().toLowerCase();
		const all = deployments.map((one) => ({ name: deploymentLabel(one), value: one.deploymentId }));
		return { results: all.filter(({ name, value }) => `${name} ${value}`.toLowerCase().includes(wanted)) };
	});
}

/** `Product photo (v3, AMPERE_48, standby)`. */
function deploymentLabel({ name, workflowVersion, hardware, status, isEnabled }: Deployment): string {
	const facts = [workflowVersion, ...hardware, isEnabled === false ? 'disabled' : status];
	const known = facts.filter((fact) => fact !== undefined && fact !== '');
	return known.length === 0 ? name : `${name} (${known.join(', ')})`;
}

/** Of ComfyUI's node definitions, which are several megabytes. */
const MAX_OBJECT_INFO_MB = 20;
const OBJECT_INFO_MS = 15_000;

export async function getDeploymentInputs(this: ILoadOptionsFunctions): Promise<ResourceMapperFields> {
	return await load(this, async (query, { isPlatformLoopback }) => {
		const deploymentId = readDeploymentChoice(this.getCurrentNodeParameter('deploymentId'));
		const { graph = {}, objectInfoUrl } = await query((http) => queryDeployment(http, deploymentId));
		// An empty address is none that is called.
		const objectInfo = await fetchJson(objectInfoUrl ?? '', {
			context: this,
			clock: systemRuntime.clock,
			allowLoopback: isPlatformLoopback,
			maxMegabytes: MAX_OBJECT_INFO_MB,
			deadlineMs: OBJECT_INFO_MS,
		});
		const classNames = readGraph(graph).flatMap(({ className }) => className ?? []);
		const definitions = readObjectInfo(objectInfo, classNames);
		return { fields: withinBudget(readGraphFields(graph, definitions)).map(toDeploymentMapperField) };
	});
}
