import type { FreeQuery } from '../../api/http';
import { isTooDeep, type JsonObject } from '../../api/json';
import { modelEndpoint, queryModel } from '../../api/modelApi';
import { downloadFields } from '../../fields/downloads';
import { openFileInputs } from '../../fields/files';
import { assertExact, TOO_DEEP, type Field, type Item } from '../../fields/item';
import { modelIdField, readModelChoice } from '../../fields/locators';
import { inputModeField, inputsField, readItemInputs, readMappedInputs } from '../../fields/mapper';
import { OPTIONS, optionsField } from '../../fields/options';
import { hasInputFile } from '../../files/inputFile';
import type { Seeds } from '../../jobs/types';
import { findModel } from '../../models/catalog';
import { readInputFields, type InputField } from '../../models/inputSchema';
import { asFileField, readInputValues, type InputValues } from '../../models/inputValues';
import { randomSeedFor } from '../../models/seeds';
import { FieldError } from '../../util/errors';
import { findModelOutputProblem, toModelOutput } from '../modelOutput';
import type { SubmittingOperation } from '../operation';
import { MODEL_OPTIONS, waitField } from '../submission';

/** Any model that RunComfy hosts, with the inputs that RunComfy's catalog lists. */

const FIELDS_HELP =
	'In the fields, an empty seed is random; for a file, enter a URL or the name of the input field containing the file, and separate several files with commas';

const modeField = inputModeField('model', '“prompt”', FIELDS_HELP, [
	{ name: 'Using JSON', value: 'json', description: 'Sent exactly as you enter it' },
]);

const inputsJsonField: Field = {
	displayName: 'Inputs (JSON)',
	name: 'inputsJson',
	decides: true,
	type: 'json',
	default: '{\n  "prompt": ""\n}',
	typeOptions: { rows: 8 },
	description: 'The inputs as named on the model’s API page. They are sent exactly as you enter them.',
	displayOptions: { show: { inputMode: ['json'] } },
};

export const runModel: SubmittingOperation = {
	name: 'Run',
	action: 'Run model',
	description:
		'Generate images, videos, or audio with any model. Costs money: the list of models shows the prices.',
	fields: [
		modelIdField,
		modeField,
		inputsField('getModelInputs', modelIdField, {
			description: `${FIELDS_HELP}.`,
			noFieldsError:
				'No inputs could be loaded. Check the model and the credential, and whether an expression in “Model” has a value yet. Where RunComfy lists no inputs, set “Specify Inputs” to “Using JSON”.',
		}),
		inputsJsonField,
		...downloadFields,
		waitField,
		optionsField(MODEL_OPTIONS),
	],
	options: OPTIONS,

	async read({ http, random, query }, item, { options, fileRules }) {
		const { modelId, fields, values } = await readInputs(query, item);
		const files = await openFileInputs(item, values.files, fileRules);
		const { input } = values;
		const given = typeof input.seed === 'number' ? input.seed : undefined;
		const seed = given ?? randomSeedFor(fields, random);
		const seeds: Seeds = seed === undefined ? {} : { seed };
		return {
			endpoint: modelEndpoint(http, modelId),
			buildInput: async () => ({ ...input, ...(await files.read()), ...seeds }),
			inputBytes: files.bytes,
			seeds,
			getPrice: async () => (await query((to) => queryModel(to, modelId))).price,
			expectedUsd: options.optionalNumber('expectedCost'),
			inputAdvice: files.advice,
		};
	},

	findOutputProblem: (result) => findModelOutputProblem(result),

	toOutput: async (tools, { result }, { download }, run) => await toModelOutput(tools, result, download, run),
};

interface ReadInputs {
	modelId: string;
	/** Empty when the inputs are sent as they are. */
	fields: InputField[];
	values: InputValues;
}

async function readInputs(query: FreeQuery, item: Item): Promise<ReadInputs> {
	const reference = readModelChoice(item.raw(modelIdField));
	const mode = item.choice(modeField);
	if (mode === 'json') {
		const input: JsonObject = item.jsonObject(inputsJsonField, '{"prompt": "A lighthouse"}');
		// JSON is sent as it is, so the model's schema is not read: a missing one must not fail the item.
		const modelId = reference.kind === 'id' ? reference.modelId : (await findModel(query, reference)).modelId;
		return { modelId, fields: [], values: { input, files: [] } };
	}
	const { modelId, inputSchema, requiredInputs } = await findModel(query, reference);
	const fields = readInputFields(inputSchema, requiredInputs);
	const isFileName = (name: string) => hasInputFile(item.context, item.index, name);
	const mapped = mode === 'auto' ? readItemInputs(item, fields) : readMappedInputs(item).values;
	if (isTooDeep(mapped)) throw new FieldError('Inputs', TOO_DEEP);
	const asFields = fields.map((field) => asFileField(field, mapped[field.name], isFileName));
	const values = readInputValues(asFields, mapped, isFileName);
	assertExact(values.input, 'Inputs');
	return { modelId, fields, values };
}
