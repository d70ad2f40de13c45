import { deploymentEndpoint, deploymentIdOf, queryDeployment } from '../../api/deploymentApi';
import { isJsonObject, type JsonObject } from '../../api/json';
import { RunComfyError } from '../../api/problems';
import type { AddressRules } from '../../api/urls';
import type { GraphInput } from '../../deployments/graph';
import { graphFactsOf, type GraphFacts } from '../../deployments/graphFields';
import { chooseSeeds } from '../../deployments/graphSeeds';
import { findDeploymentOutputProblem } from '../../deployments/outputs';
import { readSavedFields, withSavedRules } from '../../deployments/savedRules';
import { downloadFields } from '../../fields/downloads';
import { openFileInputs } from '../../fields/files';
import { assertExact, type Field, type Item, urlOf } from '../../fields/item';
import { deploymentIdField, readDeploymentChoice } from '../../fields/locators';
import {
	inputModeField,
	inputsField,
	type MappedInputs,
	readItemInputs,
	readMappedInputs,
} from '../../fields/mapper';
import { DEPLOYMENT_OPTIONS, type Options, optionsField } from '../../fields/options';
import { hasInputFile } from '../../files/inputFile';
import type { InputField } from '../../models/inputSchema';
import { inputLabel, readInputValues, type InputValues } from '../../models/inputValues';
import { FieldError, toError } from '../../util/errors';
import { isEmpty } from '../../util/values';
import { toDeploymentOutput } from '../deploymentOutput';
import type { OperationTools, SubmittingOperation } from '../operation';
import { RUN_DEPLOYMENT_OPTIONS, waitField } from '../submission';

/** A ComfyUI workflow that the user has deployed on RunComfy, with the literal inputs of its graph as fields. */

const FIELDS_HELP =
	'Of the fields, only what you change is sent, and empty seeds are random; for a file, enter a URL or the name of the input field containing the file';

const modeField = inputModeField('workflow', '“6.text” or “prompt”', FIELDS_HELP, [
	{ name: 'Using JSON', value: 'json', description: 'Sent exactly as you enter it, plus random seeds' },
	{
		name: 'Using Raw Body',
		value: 'body',
		description: 'The whole request as you enter it, for a LoRA and other deployments without a workflow',
	},
]);

const overridesField: Field = {
	displayName: 'Overrides (JSON)',
	name: 'overridesJson',
	decides: true,
	type: 'json',
	default: '{\n  "6": {\n    "inputs": {\n      "text": ""\n    }\n  }\n}',
	typeOptions: { rows: 8 },
	description:
		'The inputs to change, by node ID, as in the API format of the workflow. They are sent exactly as you enter them; seeds that you leave out are random unless you switch off “Randomize Seeds”.',
	displayOptions: { show: { inputMode: ['json'] } },
};

const bodyField: Field = {
	displayName: 'Body (JSON)',
	name: 'bodyJson',
	decides: true,
	type: 'json',
	default: '{\n  "prompt": ""\n}',
	typeOptions: { rows: 8 },
	description:
		'The body of the request as the page of the deployment on RunComfy describes it. It is sent exactly as you enter it.',
	displayOptions: { show: { inputMode: ['body'] } },
};

export const runDeployment: SubmittingOperation = {
	name: 'Run',
	action: 'Run ComfyUI workflow',
	description:
		'Run a ComfyUI workflow that you have deployed. Costs money: GPU time by the second, with its start.',
	fields: [
		deploymentIdField,
		modeField,
		inputsField('getDeploymentInputs', deploymentIdField, {
			description: `${FIELDS_HELP}.`,
			noFieldsError:
				'No inputs could be loaded. Check the deployment and the credential, and whether an expression in “Deployment” has a value yet. Where RunComfy reports no workflow, set “Specify Inputs” to “Using Raw Body”.',
		}),
		overridesField,
		bodyField,
		...downloadFields,
		waitField,
		optionsField(RUN_DEPLOYMENT_OPTIONS, DEPLOYMENT_OPTIONS),
	],
	options: DEPLOYMENT_OPTIONS,

	async read(tools, item, { options, fileRules, handling }) {
		const { http, random, comfyOrgApiKey } = tools;
		const deploymentId = readDeploymentChoice(item.raw(deploymentIdField));
		const webhookUrl = handling.waits ? undefined : readWebhookUrl(options, fileRules);
		const request = {
			endpoint: deploymentEndpoint(http, deploymentId, webhookUrl),
			// RunComfy bills GPU time, and lists no price of a request.
			getPrice: async () => ({}),
		};
		const mode = item.choice(modeField);
		if (mode === 'body') {
			const body = item.jsonObject(bodyField, '{"prompt": "A lighthouse"}');
			await readDeployedGraph(tools, deploymentId, true);
			return { ...request, buildInput: async () => withApiKey(body, comfyOrgApiKey), inputBytes: 0 };
		}
		const { overrides, values, fields, inputs } = await readInputs(tools, item, deploymentId, mode);
		const files = await openFileInputs(item, values.files, fileRules);
		const isRandom = options.boolean('randomizeSeeds');
		const given = (id: string) => givenValue(overrides, inputs.get(id)) ?? values.input[id];
		const seeds = chooseSeeds(fields, given, isRandom ? random : undefined);
		hintAtNames(tools, fields, given);
		return {
			...request,
			buildInput: async () => {
				const sent = { ...values.input, ...seeds, ...(await files.read()) };
				return withApiKey({ overrides: withValues(overrides, sent, inputs) }, comfyOrgApiKey);
			},
			inputBytes: files.bytes,
			seeds,
		};
	},

	findOutputProblem: findDeploymentOutputProblem,

	async toOutput(tools, { result, endpointId }, { download }, run) {
		const deploymentId = deploymentIdOf(endpointId) ?? endpointId;
		return await toDeploymentOutput(tools, result, deploymentId, download, run);
	},

	reportSeeds: (seeds) => (Object.keys(seeds).length === 0 ? {} : { seeds }),
};

interface ReadInputs {
	/** As the user wrote them; empty when the inputs are specified by fields. */
	overrides: Overrides;
	/** Of fields, by the ID of the input. */
	values: InputValues;
	/** The inputs of the graph; empty when it could not be read. */
	fields: InputField[];
	inputs: GraphFacts['inputs'];
}

async function readInputs(
	tools: OperationTools,
	item: Item,
	deploymentId: string,
	mode: string,
): Promise<ReadInputs> {
	const isJson = mode === 'json';
	const overrides = isJson ? readOverrides(item) : {};
	const graph = await readDeployedGraph(tools, deploymentId, isJson);
	const { fields: graphFields, inputs } = graphFactsOf(graph ?? {});
	if (isJson) return { overrides, values: { input: {}, files: [] }, fields: graphFields, inputs };
	if (graph === undefined) {
		throw new FieldError(
			'Inputs',
			'cannot be checked, because RunComfy reports no workflow for this deployment',
			'Set “Specify Inputs” to “Using Raw Body”. Nothing was submitted.',
		);
	}
	const { values: mapped, schema }: MappedInputs =
		mode === 'auto' ? { values: readItemInputs(item, graphFields) } : readMappedInputs(item);
	const saved = readSavedFields(schema);
	const fields = graphFields.map((field) => withSavedRules(field, saved.get(field.name)));
	// What the user left alone is not sent, so that a workflow that is deployed again applies its own new values.
	const isChanged = ([id, value]: [string, unknown]) => value !== saved.get(id)?.defaultValue;
	const changed = Object.fromEntries(Object.entries(mapped).filter(isChanged));
	assertKnown(changed, inputs);
	const isFileName = (name: string) => hasInputFile(item.context, item.index, name);
	const values = readInputValues(fields, changed, isFileName);
	for (const field of fields) assertExact(values.input[field.name], inputLabel(field));
	return { overrides, values, fields, inputs };
}

/** ComfyUI's own paid nodes need the user's key for them (documented). Only a body for a workflow may hold it. */
function withApiKey(body: JsonObject, key: string | undefined): JsonObject {
	const isForWorkflow = body.overrides !== undefined || body.workflow_api_json !== undefined;
	if (key === undefined || !isForWorkflow) return body;
	const own = isJsonObject(body.extra_data) ? body.extra_data : {};
	return { ...body, extra_data: { api_key_comfy_org: key, ...own } };
}

/** RunComfy calls it over the internet. A retry may have another one, and resumes the request all the same. */
function readWebhookUrl(options: Options, rules: AddressRules): string | undefined {
	if (!options.isAdded('webhookUrl')) return undefined;
	return urlOf(options.text('webhookUrl'), DEPLOYMENT_OPTIONS.webhookUrl.displayName, rules);
}

/** A workflow without seeds may be the same as before. Another name for its files makes ComfyUI save them again. */
function hintAtNames({ hint }: OperationTools, fields: InputField[], given: (id: string) => unknown): void {
	const prefix = fields.find(({ name }) => name.endsWith('.filename_prefix'));
	if (fields.length === 0 || fields.some(({ isSeed }) => isSeed === true)) return;
	if (prefix !== undefined && given(prefix.name) !== undefined) return;
	const advice =
		prefix === undefined
			? ''
			: ` To get files every time, also give the input “${prefix.label}” (${prefix.name}) a value that is never the same, such as run-{{ $execution.id }}-{{ $itemIndex }}.`;
	hint(
		`This workflow has no seed. ComfyUI does not run again what has not changed: a request whose inputs are all the same as before returns nothing.${advice}`,
		'info',
	);
}

/**
 * The workflow as it is deployed now.
 * @param isOptional whether a run can do without it. Then only seeds are not randomized, and nodes have no titles.
 * @throws FieldError, RunComfyError, StoppedError.
 */
async function readDeployedGraph(
	{ query }: OperationTools,
	deploymentId: string,
	isOptional: boolean,
): Promise<JsonObject | undefined> {
	try {
		const { graph, isEnabled } = await query((http) => queryDeployment(http, deploymentId));
		if (isEnabled === false) {
			throw new FieldError(
				deploymentIdField.displayName,
				'is disabled on RunComfy, so it does not accept requests',
				'Enable it on its page on RunComfy, and run again. Nothing was submitted.',
			);
		}
		return graph;
	} catch (error) {
		const { isNotFound, httpStatus } = error instanceof RunComfyError ? error.problem : {};
		// A deployment that is not there, or not for this token, is not there for the submit either.
		const isDenied = isNotFound === true || httpStatus === 401 || httpStatus === 403;
		if (!isOptional || !(error instanceof RunComfyError) || isDenied) throw toError(error);
		return undefined;
	}
}

/** Overrides by node ID. */
type Overrides = Record<string, JsonObject & { inputs?: JsonObject }>;

function readOverrides(item: Item): Overrides {
	const example = '{"6": {"inputs": {"text": "A lighthouse"}}}';
	const overrides = item.jsonObject(overridesField, example);
	const [name, ...others] = Object.keys(overrides);
	if (name === 'overrides' && others.length === 0 && isJsonObject(overrides.overrides)) {
		throw new FieldError(
			overridesField.displayName,
			'must hold node IDs, not the key “overrides”',
			`Enter only what is inside of it, for example ${example}.`,
		);
	}
	return Object.fromEntries(
		Object.entries(overrides).map(([nodeId, override]) => [nodeId, readOverride(nodeId, override)]),
	);
}

/** RunComfy merges overrides into the workflow, and ComfyUI could not run a node without inputs. */
function readOverride(nodeId: string, override: unknown): Overrides[string] {
	const label = `${overridesField.displayName} → ${nodeId}`;
	if (!isJsonObject(override)) {
		throw new FieldError(label, 'must be an object such as {"inputs": {"text": "A lighthouse"}}');
	}
	const { inputs } = override;
	if (inputs !== undefined && !isJsonObject(inputs)) {
		throw new FieldError(`${label} → inputs`, 'must be an object such as {"text": "A lighthouse"}');
	}
	return inputs === undefined ? override : { ...override, inputs };
}

/** RunComfy would refuse an input that the workflow no longer has; this error says how to fix it. */
function assertKnown(values: JsonObject, known: ReadonlyMap<string, GraphInput>): void {
	for (const [id, value] of Object.entries(values)) {
		if (known.has(id) || isEmpty(value)) continue;
		throw new FieldError(
			`Inputs → ${id}`,
			'is no input of the workflow that is deployed now',
			'The workflow may have changed since the fields were loaded. Refresh the list of inputs in this node. Nothing was submitted.',
		);
	}
}

/** The value in the user's own overrides. */
function givenValue(overrides: Overrides, input: GraphInput | undefined): unknown {
	if (input === undefined || !Object.hasOwn(overrides, input.nodeId)) return undefined;
	const { inputs = {} } = overrides[input.nodeId] ?? {};
	return Object.hasOwn(inputs, input.name) ? inputs[input.name] : undefined;
}

/** The user's overrides with values of further inputs, by their ID. */
function withValues(overrides: Overrides, values: JsonObject, inputs: GraphFacts['inputs']): Overrides {
	// A map, because assigning a name such as `__proto__` to an object would not create a key.
	const nodes = new Map(Object.entries(overrides));
	for (const [id, value] of Object.entries(values)) {
		const input = inputs.get(id);
		if (input === undefined) throw new Error(`There is no input ${id}`);
		const own = nodes.get(input.nodeId);
		nodes.set(input.nodeId, { ...own, inputs: { ...own?.inputs, [input.name]: value } });
	}
	return Object.fromEntries(nodes);
}
