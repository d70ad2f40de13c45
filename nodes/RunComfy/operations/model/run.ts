import type { INodeProperties } from 'n8n-workflow';

import type { JsonObject } from '../../api/json';
import { omitUndefined } from '../../common/omitUndefined';
import { StoppedError } from '../../common/stoppedError';
import { toError } from '../../common/toError';
import { hasInputFile } from '../../files/inputFile';
import { readInputFields, type InputField } from '../../models/inputSchema';
import { readInputValues, type InputValues } from '../../models/inputValues';
import type { ModelReference } from '../../models/modelReference';
import { explainFileInput, openFileInputs } from '../shared/fileInputs';
import { readMappedInputs } from '../shared/mappedInputs';
import { modelIdField, readModelChoice } from '../shared/modelIdField';
import type { Operation, OperationTools } from '../shared/operation';
import { readChoice, readJsonObject } from '../shared/parameters';
import { randomSeedFor } from '../shared/seeds';
import {
	modelWork,
	noContent,
	readSubmissionOptions,
	submissionFields,
	type RequestContent,
} from '../shared/submission';

/** Any model that RunComfy hosts, with the inputs that RunComfy's catalog lists. */

const INPUT_MODES = ['fields', 'json'] as const;

const fields: INodeProperties[] = [
	modelIdField,
	{
		displayName: 'Specify Inputs',
		name: 'inputMode',
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
				mode: 'add',
				valuesLabel: 'Inputs',
				fieldWords: { singular: 'input', plural: 'inputs' },
				addAllFields: true,
				multiKeyMatch: false,
				supportAutoMap: true,
				noFieldsError: 'RunComfy lists no inputs for this model. Use JSON instead.',
			},
		},
		displayOptions: { show: { inputMode: ['fields'] }, hide: { modelId: [''] } },
	},
	{
		displayName: 'Inputs (JSON)',
		name: 'inputsJson',
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
		const { options, limits, waits, download } = readSubmissionOptions(tools, itemIndex);
		const reference = readModelChoice(context.getNodeParameter('modelId', itemIndex));
		const workOf = (modelId: string, content: RequestContent, seed?: number) =>
			modelWork(tools, itemIndex, {
				...{ modelId, download, request: { ...content, waits, limits }, seed },
				needsFile: false,
				isAnyModel: true,
			});
		const read = await readInputs(tools, itemIndex, reference).catch(toError);
		if (read instanceof StoppedError) throw read;
		if (read instanceof Error) {
			// Requests are found by their ID alone, so the path of the model's page will do where its ID is not known.
			return workOf(reference.kind === 'id' ? reference.modelId : reference.path, noContent(read));
		}
		const { modelId, fields: inputFields, values } = read;
		const files = await openFileInputs(tools, itemIndex, values.files, options.maxFileSize);
		const { input } = values;
		const seed = seedIn(input) ?? randomSeedFor(inputFields, random);
		const content = {
			buildInput: async () => ({ ...input, ...(await files.read()), ...omitUndefined({ seed }) }),
			fixedInput: input,
			identifyRest: async () => await files.identify(),
			inputBytes: files.bytes,
		};
		const work = workOf(modelId, content, seed);
		return files.includeItemFiles ? explainFileInput(work) : work;
	},
};

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
