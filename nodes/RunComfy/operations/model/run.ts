import type { JsonObject } from '../../api/json';
import { hasInputFile } from '../../files/inputFile';
import { type InputField, readInputFields } from '../../models/inputSchema';
import { type InputValues, readInputValues } from '../../models/inputValues';
import type { ModelReference } from '../../models/modelReference';
import type { Field } from '../../n8n/identity';
import { omitUndefined } from '../../util/values';
import { explainFileInput, openFileInputs } from '../shared/fileInputs';
import { INPUTS_MAPPER, readMappedInputs } from '../shared/mappedInputs';
import { modelIdField, readModelChoice } from '../shared/modelIdField';
import type { ItemWork, Operation, OperationTools } from '../shared/operation';
import { readChoice, readJsonObject } from '../shared/parameters';
import { randomSeedFor } from '../shared/seeds';
import {
	modelWork,
	noContent,
	readResumeOptions,
	readSubmissionOptions,
	type RequestContent,
	submissionFields,
	type SubmissionOptions,
} from '../shared/submission';

/** Any model that RunComfy hosts, with the inputs that RunComfy's catalog lists. */

const INPUT_MODES = ['fields', 'json'] as const;

const fields: Field[] = [
	modelIdField,
	{
		displayName: 'Specify Inputs',
		name: 'inputMode',
		decides: true,
		type: 'options',
		options: [
			{ name: 'Using Fields Below', value: 'fields', description: 'One field for each input of the model' },
			{ name: 'Using JSON', value: 'json', description: 'Sent exactly as you enter it' },
		],
		default: 'fields',
		description: 'How to specify the inputs of the model',
	},
	{
		displayName: 'Inputs',
		name: 'inputs',
		decides: true,
		type: 'resourceMapper',
		noDataExpression: true,
		required: true,
		default: { mappingMode: 'defineBelow', value: null },
		description:
			'The inputs of the model. Empty inputs are not sent. For a file, enter a URL or the name of the input field containing the file. Separate several files with commas.',
		typeOptions: {
			loadOptionsDependsOn: ['modelId.value'],
			resourceMapper: {
				resourceMapperMethod: 'getModelInputs',
				...INPUTS_MAPPER,
				noFieldsError: 'RunComfy lists no inputs for this model. Use JSON instead.',
			},
		},
		displayOptions: { show: { inputMode: ['fields'] }, hide: { modelId: [''] } },
	},
	{
		displayName: 'Inputs (JSON)',
		name: 'inputsJson',
		decides: true,
		type: 'json',
		default: '{\n  "prompt": ""\n}',
		typeOptions: { rows: 8 },
		description: 'The inputs as named on the model’s API page. They are sent exactly as you enter them.',
		displayOptions: { show: { inputMode: ['json'] } },
	},
	...submissionFields(),
];

export const runModel: Operation = {
	fields,

	async prepare(tools, itemIndex) {
		const { context, random } = tools;
		const submission = readSubmissionOptions(tools, itemIndex);
		const reference = readModelChoice(context.getNodeParameter('modelId', itemIndex));
		const { modelId, fields: inputFields, values } = await readInputs(tools, itemIndex, reference);
		const { maxFileSize } = submission.options;
		const files = await openFileInputs(tools, itemIndex, values.files, maxFileSize);
		const { input } = values;
		const seed = seedIn(input) ?? randomSeedFor(inputFields, random);
		const content = {
			buildInput: async () => ({ ...input, ...(await files.read()), ...omitUndefined({ seed }) }),
			inputBytes: files.bytes,
		};
		const work = workOf(tools, itemIndex, modelId, submission, content, seed);
		return files.includeItemFiles ? explainFileInput(work) : work;
	},

	resume: (tools, itemIndex, modelId, problem) =>
		workOf(tools, itemIndex, modelId, readResumeOptions(tools, itemIndex), noContent(problem)),
};

function workOf(
	tools: OperationTools,
	itemIndex: number,
	modelId: string,
	{ download, waits, limits }: SubmissionOptions,
	content: RequestContent,
	seed?: number,
): ItemWork {
	return modelWork(tools, itemIndex, {
		...{ modelId, download, request: { ...content, waits, limits }, seed },
		needsFile: false,
		isAnyModel: true,
	});
}

interface ReadInputs {
	modelId: string;
	/** Empty when the inputs are sent as they are. */
	fields: InputField[];
	values: InputValues;
}

async function readInputs(
	{ context, catalog }: OperationTools,
	itemIndex: number,
	reference: ModelReference,
): Promise<ReadInputs> {
	const mode = readChoice(context, itemIndex, 'inputMode', 'Specify Inputs', INPUT_MODES);
	if (mode === 'json') {
		// JSON is sent as it is, so the model's schema is not read: a missing one must not fail the item.
		const modelId = reference.kind === 'id' ? reference.modelId : (await catalog.find(reference)).modelId;
		const example = '{"prompt": "A lighthouse"}';
		const input = readJsonObject(context, itemIndex, 'inputsJson', 'Inputs (JSON)', example);
		return { modelId, fields: [], values: { input, files: [] } };
	}
	const { modelId, inputSchema, requiredInputs } = await catalog.find(reference);
	const fields = readInputFields(inputSchema, requiredInputs);
	const isFileName = (name: string) => hasInputFile(context, itemIndex, name);
	const names = fields.map(({ name }) => name);
	const mapped = readMappedInputs(context, itemIndex, names);
	return { modelId, fields, values: readInputValues(fields, mapped.values, isFileName) };
}

function seedIn({ seed }: JsonObject): number | undefined {
	return typeof seed === 'number' ? seed : undefined;
}
