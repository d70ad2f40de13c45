import type { IDataObject, IExecuteFunctions, INode } from 'n8n-workflow';

import type { Field } from '../../nodes/RunComfy/fields/item';
import { createIdentities, decidingValues } from '../../nodes/RunComfy/n8n/identity';
import { allOperations } from '../../nodes/RunComfy/operations';

/** What the node's fields hold, and who calls it. */
interface Call {
	parameters?: IDataObject;
	node?: Partial<INode>;
	json?: IDataObject;
	source?: unknown;
	/** The item that expressions read, where it is not the input. */
	read?: IDataObject;
	runIndex?: number;
}

const fieldsOf = (resource: string, operation: string): Field[] =>
	allOperations.find((one) => one.resource === resource && one.operation === operation)?.fields ?? [];

async function identityOf({
	parameters = {},
	node = {},
	json = {},
	source,
	read = json,
	runIndex = 0,
}: Call) {
	const given: IDataObject = { resource: 'model', operation: 'run', ...parameters };
	const context = {
		getNode: () => ({
			type: 'n8n-nodes-runcomfy.runComfy',
			credentials: { runComfyApi: { id: '1', name: 'RunComfy' } },
			...node,
			parameters: given,
		}),
		getInputData: () => [{ json }],
		getExecuteData: () => ({ source }),
		getWorkflowDataProxy: () => ({ $thisItem: { json: read } }),
	};
	const fields = fieldsOf(String(given.resource), String(given.operation));
	const all = await createIdentities(context as unknown as IExecuteFunctions, runIndex, fields, 1);
	const [identity] = all.values();
	if (identity === undefined) throw new Error('The item has no identity');
	return identity;
}

const model = (more: object) => ({ modelId: { __rl: true, mode: 'list', value: 'a/b', ...more } });
const inputs = (value: IDataObject | null, more: object = {}) => ({
	inputs: { mappingMode: 'defineBelow', value, ...more } as IDataObject,
});
const REPLACE = { resource: 'image', operation: 'replaceBackground' };
const TOOL = { type: 'n8n-nodes-runcomfy.runComfyTool' };

describe('A request is known by', () => {
	it('its place, as a hash that holds no prompt', async () => {
		const { place, identity, isCall } = await identityOf({ parameters: inputs({ prompt: 'A beach' }) });
		expect({ place, isCall }).toEqual({ place: '0:0', isCall: false });
		expect(identity).toMatch(/^[0-9a-f]{64}$/);
		expect((await identityOf({ runIndex: 3 })).place).toBe('3:0');
	});

	it.each<[string, Call, Call]>([
		['the input item, which an expression may change', { json: { list: [1, 2] } }, { json: { list: [1] } }],
		['a cached name', { parameters: model({ cachedResultName: 'A' }) }, { parameters: model({}) }],
		['the same model by ID', { parameters: model({}) }, { parameters: model({ mode: 'id', value: ' a/b' }) }],
		[
			'a refreshed list of inputs',
			{ parameters: inputs({ prompt: 'x' }, { schema: [] }) },
			{ parameters: inputs({ prompt: 'x', seed: null }, { schema: [{ id: 'prompt' }, { id: 'seed' }] }) },
		],
		['a timeout', { parameters: { options: {} } }, { parameters: { options: { timeout: 900 } } }],
		['downloads', { parameters: { downloadFiles: true } }, { parameters: { downloadFiles: false } }],
		['a default that is saved', {}, { parameters: { inputMode: 'fields' } }],
		[
			'the order of the inputs, and an input that an expression has not filled',
			{ parameters: inputs({ prompt: 'x', size: { width: 1, height: 2 } }) },
			{ parameters: inputs({ size: { height: 2, width: 1 }, prompt: 'x', seed: undefined }) },
		],
		[
			'an option about waiting, beside a seed',
			{ parameters: { ...REPLACE, options: { seed: 1, timeout: 1 } } },
			{ parameters: { ...REPLACE, options: { seed: 1, pollInterval: 2 } } },
		],
		['no credential, twice', { node: { credentials: {} } }, { node: { credentials: {} } }],
		[
			'a renamed credential',
			{ node: { credentials: { runComfyApi: { id: '1', name: 'New' } } } },
			{ node: { credentials: { runComfyApi: { id: '1', name: 'RunComfy' } } } },
		],
	])('nothing that n8n changes, and nothing about waiting: %s', async (_, one, other) =>
		expect(await identityOf(one)).toEqual(await identityOf(other)),
	);

	it.each<[string, Call, Call]>([
		['the prompt', { parameters: inputs({ prompt: 'x' }) }, { parameters: inputs({ prompt: 'y' }) }],
		['an emptied input', { parameters: inputs({ prompt: 'x' }) }, { parameters: inputs({ prompt: '' }) }],
		[
			'a text that is empty',
			{ parameters: inputs({ prompt: null }) },
			{ parameters: inputs({ prompt: '' }) },
		],
		['the model', { parameters: model({}) }, { parameters: model({ value: 'a/c' }) }],
		[
			'the way of entering inputs',
			{ parameters: inputs(null) },
			{ parameters: { ...inputs(null), inputMode: 'auto' } },
		],
		[
			'the seed',
			{ parameters: { ...REPLACE, options: { seed: 1 } } },
			{ parameters: { ...REPLACE, options: { seed: 2 } } },
		],
		[
			'an expression that gives all options',
			{ parameters: { options: '={{ { seed: 1 } }}' } },
			{ parameters: { options: '={{ { seed: 2 } }}' } },
		],
		[
			'the model, by an expression',
			{ parameters: { modelId: '={{ $json.a }}' } },
			{ parameters: { modelId: '={{ $json.b }}' } },
		],
		[
			'a number in the place of the model',
			{ parameters: model({ value: 1 }) },
			{ parameters: model({ value: 2 }) },
		],
		[
			'all inputs, by an expression',
			{ parameters: { inputs: '={{ $json.a }}' } },
			{ parameters: { inputs: '={{ $json.b }}' } },
		],
		['the operation', { parameters: { operation: 'run' } }, { parameters: { operation: 'get' } }],
		[
			'the resource',
			{ parameters: { operation: 'get' } },
			{ parameters: { resource: 'x', operation: 'get' } },
		],
		[
			'the account, where n8n knows only its name',
			{ node: { credentials: { runComfyApi: { id: null, name: 'A' } } } },
			{ node: { credentials: { runComfyApi: { id: null, name: 'B' } } } },
		],
		['the account', {}, { node: { credentials: { runComfyApi: { id: '2', name: 'RunComfy' } } } }],
	])('what decides it: %s', async (_, one, other) =>
		expect((await identityOf(one)).identity).not.toBe((await identityOf(other)).identity),
	);

	it('the arguments of an agent’s call, whatever its run and its own id, and the agent’s run', async () => {
		const call = async (json: IDataObject, source: unknown, runIndex = 0, read = json) =>
			await identityOf({ node: TOOL, json, source, runIndex, read });
		const first = await call({ prompt: 'x', toolCallId: 'call_1' }, 'agent 0');
		expect(first.isCall).toBe(true);
		expect(await call({ toolCallId: 'call_2', prompt: 'x' }, 'agent 0', 7)).toEqual(first);
		expect((await call({ prompt: 'y' }, 'agent 0')).place).not.toBe(first.place);
		expect((await call({ prompt: 'x' }, 'agent 1')).place).not.toBe(first.place);
		// The fields of a sub-agent's tool read what the sub-agent was asked for.
		const [cat, dog] = [{ photo: 'cat' }, { photo: 'dog' }];
		expect((await call({ prompt: 'x' }, 'agent 0', 0, cat)).place).not.toBe(
			(await call({ prompt: 'x' }, 'agent 0', 0, dog)).place,
		);
	});

	it.each<[string, IDataObject, IDataObject, boolean]>([
		['a timeout that the agent raises', { prompt: 'x', timeout: 1 }, { prompt: 'x', timeout: 60 }, true],
		['an argument that no field reads', { prompt: 'x', note: 'a' }, { prompt: 'x' }, true],
		['another prompt', { prompt: 'x', timeout: 1 }, { prompt: 'y', timeout: 1 }, false],
		['an argument that is left out', { timeout: 1 }, { timeout: 2 }, false],
	])('the arguments that decide: %s', async (_, one, other, isSame) => {
		const parameters = {
			...{ ...REPLACE, imageUrl: 'https://example.com/a.png' },
			prompt: "={{ /*n8n-auto-generated-fromAI-override*/ $fromAI('prompt', `The scene`, 'string') }}",
			options: { timeout: "={{ $fromAI('timeout', '', 'number') }}" },
		};
		const placeOf = async (json: IDataObject, more: IDataObject = {}) =>
			(await identityOf({ node: TOOL, json, source: 'agent', parameters: { ...parameters, ...more } })).place;
		expect((await placeOf(one)) === (await placeOf(other))).toBe(isSame);
		// Where a field may read all of the item, all of it counts.
		for (const imageUrl of [
			'={{ $json.photo }}',
			'={{ $fromAI("prompt") + $input.item.json.x }}',
			'={{ items }}',
		])
			expect(await placeOf(one, { imageUrl })).not.toBe(await placeOf(other, { imageUrl }));
	});

	it.each<[string, string, boolean]>([
		['in any quotes', '={{ $fromAI("prompt") }}', true],
		['in other letters', '={{ $FROMAI(`prompt`) }}', true],
		['with spaces', "={{ $fromAI( 'prompt' ) }}", true],
		['but not where nothing names them', 'A beach', false],
		['but not under a name that is put together', "={{ $fromAI('prompt' + 1) + item.json.note }}", false],
	])('only the arguments that $fromAI names: %s', async (_, prompt, isSame) => {
		const parameters = { ...REPLACE, prompt };
		const placeOf = async (json: IDataObject) => (await identityOf({ node: TOOL, json, parameters })).place;
		expect((await placeOf({ prompt: 'x', note: 1 })) === (await placeOf({ prompt: 'x', note: 2 }))).toBe(
			isSame,
		);
		expect(await placeOf({ prompt: 'x' })).not.toBe(await placeOf({ prompt: 'y' }));
	});

	it('all fields of the item, where inputs are filled from it', async () => {
		const placeOf = async (json: IDataObject) =>
			(await identityOf({ node: TOOL, json, parameters: { ...inputs(null), inputMode: 'auto' } })).place;
		expect(await placeOf({ prompt: 'x' })).not.toBe(await placeOf({ prompt: 'y' }));
	});

	it('its run, where the arguments of a call refer to themselves and cannot be compared', async () => {
		const itself: IDataObject = {};
		itself.self = itself;
		const call = async (runIndex: number) =>
			await identityOf({ node: TOOL, json: itself, source: 'agent', runIndex });
		expect((await call(1)).place).not.toBe((await call(2)).place);
		expect(await call(1)).toEqual(await call(1));
	});
});

describe('Every field of every operation', () => {
	/** What must not matter in a retry; a field that is missing here decides. */
	const WAIT_AND_OUTPUT = [
		...['waitForCompletion', 'downloadFiles', 'binaryPropertyOutput', 'returnAll', 'limit', 'filters'],
		...[
			'cancelOnStop',
			'expectedCost',
			'fileName',
			'includeCost',
			'maxConcurrency',
			'maxFileSize',
			'pollInterval',
		],
		...['sendFilesAs', 'spendingLimit', 'timeout', 'category', 'search', 'simplify', 'webhookUrl'],
	];
	const all = allOperations.flatMap(({ resource, operation, fields }) =>
		fields.flatMap((field) => {
			const options = field.type === 'collection' ? (field.options as Field[]) : [];
			const name = `${resource} → ${operation} → `;
			return [
				...(field.type === 'collection'
					? []
					: [{ name: name + field.name, fields, field, path: [field.name] }]),
				...options.map((option) => ({
					...{ name: `${name}${field.name} → ${option.name}`, fields, field: option },
					path: [field.name, option.name],
				})),
			];
		}),
	);

	it('is there', () => expect(all.length).toBeGreaterThan(60));

	it.each(all.map((one) => [one.name, one] as const))('%s says whether it decides', (_, one) => {
		const { fields, field, path } = one;
		const with_ = (value: IDataObject | string) => {
			const [first = '', second] = path;
			return decidingValues(fields, { [first]: second === undefined ? value : { [second]: value } });
		};
		const isSame = JSON.stringify(with_('one')) === JSON.stringify(with_('two'));
		expect(typeof field.decides).toBe('boolean');
		expect(isSame).toBe(WAIT_AND_OUTPUT.includes(field.name));
	});
});
