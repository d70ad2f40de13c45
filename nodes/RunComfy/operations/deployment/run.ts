import { deploymentEndpoint, deploymentIdOf } from '../../api/deploymentApi';
import { isJsonObject, type JsonObject } from '../../api/json';
import { RunComfyError } from '../../api/problems';
import { toOverrides, type GraphInput } from '../../deployments/graph';
import { graphFactsOf, type GraphFacts } from '../../deployments/graphFacts';
import { chooseSeeds } from '../../deployments/graphSeeds';
import { findDeploymentOutputProblem } from '../../deployments/outputs';
import { readSavedFields, withSavedRules } from '../../deployments/savedRules';
import { openFileInputs, readFileRules } from '../../fields/files';
import { assertExact, type Field, type Item } from '../../fields/item';
import { deploymentIdField, readDeploymentChoice } from '../../fields/locators';
import { inputsField, readMappedInputs } from '../../fields/mapper';
import { DEPLOYMENT_OPTIONS, Options } from '../../fields/options';
import { hasInputFile } from '../../files/inputFile';
import type { InputField } from '../../models/inputSchema';
import { inputLabel, readInputValues, type InputValues } from '../../models/inputValues';
import { FieldError, toError } from '../../util/errors';
import { isEmpty } from '../../util/values';
import { toDeploymentOutput } from '../deploymentOutput';
import type { OperationTools, SubmittingOperation } from '../operation';
import { deploymentSubmissionFields, readHandling } from '../submission';

/** A ComfyUI workflow that the user has deployed on RunComfy, with the literal inputs of its graph as fields. */

const inputModeField: Field = {
	displayName: 'Specify Inputs',
	name: 'inputMode',
	decides: true,
	type: 'options',
	options: [
		{
			name: 'Using Fields Below',
			value: 'fields',
			description: 'One field for each input of the workflow',
		},
		{ name: 'Using JSON', value: 'json', description: 'Sent exactly as you enter it, plus random seeds' },
	],
	default: 'fields',
	description: 'How to specify the inputs of the workflow',
};

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

export const runDeployment: SubmittingOperation = {
	name: 'Run',
	action: 'Run ComfyUI workflow',
	description:
		'Run a ComfyUI workflow that you have deployed on RunComfy. RunComfy bills the GPU time by the second, including the start of the deployment.',
	fields: [
		deploymentIdField,
		inputModeField,
		inputsField('getDeploymentInputs', deploymentIdField, {
			description:
				'The inputs of the workflow. Only what you change is sent, and empty seeds are random. For a file, enter a URL or the name of the input field containing the file.',
			noFieldsError: 'RunComfy lists no inputs for this deployment. Use JSON instead.',
		}),
		overridesField,
		...deploymentSubmissionFields(),
	],
	defaults: DEPLOYMENT_OPTIONS,

	async read(tools, item) {
		const { http, random, deploymentFiles } = tools;
		const options = new Options(item);
		const handling = readHandling(item, options, DEPLOYMENT_OPTIONS, deploymentFiles.allowLoopback);
		const deploymentId = readDeploymentChoice(item.raw(deploymentIdField));
		const { overrides, values, fields, inputs } = await readInputs(tools, item, deploymentId);
		const rules = readFileRules(options, DEPLOYMENT_OPTIONS, deploymentFiles);
		const files = await openFileInputs(item, values.files, rules);
		const isRandom = options.boolean(DEPLOYMENT_OPTIONS.randomizeSeeds);
		const given = (id: string) => givenValue(overrides, placeOf(inputs, id)) ?? values.input[id];
		const seeds = chooseSeeds(fields, given, isRandom ? random : undefined);
		const bodyOf = (filled: JsonObject) => {
			const placed = Object.entries(filled).map(([id, value]) => ({ ...placeOf(inputs, id), value }));
			return { overrides: merge(overrides, toOverrides(placed)) };
		};
		return {
			endpoint: deploymentEndpoint(http, deploymentId),
			handling,
			buildInput: async () => bodyOf({ ...values.input, ...seeds, ...(await files.read()) }),
			inputBytes: files.bytes,
			seeds,
			// RunComfy bills GPU time, and lists no price of a request.
			getPrice: async () => ({}),
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

async function readInputs(tools: OperationTools, item: Item, deploymentId: string): Promise<ReadInputs> {
	const isJson = item.choice(inputModeField) === 'json';
	const overrides = isJson ? readOverrides(item) : {};
	const graph = await readDeployedGraph(tools, deploymentId, isJson);
	const { fields: graphFields, inputs } = graphFactsOf(graph ?? {});
	if (isJson) return { overrides, values: { input: {}, files: [] }, fields: graphFields, inputs };
	if (graph === undefined) {
		throw new FieldError(
			'Inputs',
			'cannot be checked, because RunComfy reports no workflow for this deployment',
			'Set “Specify Inputs” to “Using JSON”. Nothing was submitted.',
		);
	}
	const names = graphFields.map(({ name }) => name);
	const { values: mapped, schema } = readMappedInputs(item, names);
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

/**
 * The workflow as it is deployed now.
 * @param isOptional whether a run can do without it. Then only seeds are not randomized, and nodes have no titles.
 * @throws FieldError, RunComfyError, StoppedError.
 */
async function readDeployedGraph(
	{ deployments }: OperationTools,
	deploymentId: string,
	isOptional: boolean,
): Promise<JsonObject | undefined> {
	try {
		const { graph, isEnabled } = await deployments.get(deploymentId);
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
function givenValue(overrides: Overrides, { nodeId, name }: Pick<GraphInput, 'nodeId' | 'name'>): unknown {
	const inputs = Object.hasOwn(overrides, nodeId) ? overrides[nodeId]?.inputs : undefined;
	return inputs !== undefined && Object.hasOwn(inputs, name) ? inputs[name] : undefined;
}

function placeOf(known: ReadonlyMap<string, GraphInput>, id: string): { nodeId: string; name: string } {
	const input = known.get(id);
	if (input === undefined) throw new Error(`There is no input ${id}`);
	return input;
}

/** The user's overrides with further inputs, which they do not name. */
function merge(overrides: Overrides, more: Record<string, { inputs: JsonObject }>): Overrides {
	const nodes = new Map(Object.entries(overrides));
	for (const [nodeId, override] of Object.entries(more)) {
		const own = nodes.get(nodeId);
		nodes.set(nodeId, { ...own, inputs: { ...own?.inputs, ...override.inputs } });
	}
	return Object.fromEntries(nodes);
}
