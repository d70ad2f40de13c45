import { DEPLOYMENT_ID } from '../sandbox/deployments';
import { failure, outputItems, TestEnvironment } from './testEnvironment';

/** Values that no editor offers, and results of another shape than the documented one. */

const runOf = (more: Record<string, unknown>) => ({
	resource: 'deployment',
	operation: 'run',
	deploymentId: { __rl: true, mode: 'id', value: DEPLOYMENT_ID.textToImage },
	inputs: { mappingMode: 'defineBelow', value: {} },
	...more,
	options: { pollInterval: 0.2 },
});

describe('ComfyUI Deployment → Run', () => {
	let env: TestEnvironment;

	beforeEach(async () => {
		env = await TestEnvironment.open();
	});

	afterEach(async () => await env.close());

	it.each([
		[
			'a number that would lose digits',
			'{"3": {"inputs": {"seed": 18446744073709551615}}}',
			'3 → inputs → seed',
		],
		[
			'a text that is nested too deeply',
			`{"3": {"inputs": {"x": ${'['.repeat(9_000)}${']'.repeat(9_000)}}}}`,
			'',
		],
	])('refuses %s in “Overrides (JSON)”', async (_, overridesJson, where) => {
		const { message } = failure(await env.run(runOf({ inputMode: 'json', overridesJson })));
		expect(message).toContain(`“Overrides (JSON)${where === '' ? '' : ` → ${where}`}”`);
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it.each([
		['{"3": null}', '3', 'must be an object such as {"inputs": {"text": "A lighthouse"}}'],
		['{"3": []}', '3', 'must be an object such as {"inputs": {"text": "A lighthouse"}}'],
		['{"3": {"inputs": null}}', '3 → inputs', 'must be an object such as {"text": "A lighthouse"}'],
		['{"6": {"inputs": {"text": "x"}}, "3": {"inputs": [7]}}', '3 → inputs', 'must be an object'],
	])(
		'refuses the overrides %s: RunComfy would put them into the workflow as they are',
		async (overridesJson, where, what) => {
			const { message } = failure(await env.run(runOf({ inputMode: 'json', overridesJson })));
			expect(message).toContain(`“Overrides (JSON) → ${where}” ${what}`);
			expect(env.sandbox.stats.submits).toBe(0);
		},
	);

	it.each(['text', ['a list'], 5])('refuses inputs that are %j, and submits nothing', async (value) => {
		const { message } = failure(await env.run(runOf({ inputs: { mappingMode: 'defineBelow', value } })));
		expect(message).toBe('“Inputs” must be filled in');
		expect(env.sandbox.stats.submits).toBe(0);
	});

	it('draws whole random seeds, whatever bounds are saved', async () => {
		const schema = [{ id: '3.seed', rules: { kind: 'integer', minimum: 2.5, maximum: 4.5 } }];
		await env.run(runOf({ inputs: { mappingMode: 'defineBelow', value: {}, schema } }));
		expect([3, 4]).toContain(env.sandbox.jobs[0]?.graph?.['3']?.inputs.seed);
	});

	it.each<[string, unknown]>([
		['a list', [{ images: [{ url: 'https://files.example/a.png' }] }]],
		['a text', 'https://files.example/a.png'],
		['nodes without channels', { 9: [{ url: 'https://files.example/a.png' }] }],
	])('finds the files of outputs that are %s', async (_, outputs) => {
		env.sandbox.faults.add({
			on: 'result',
			kind: 'answer',
			answer: { status: 200, body: { status: 'succeeded', outputs } },
		});
		const [item] = outputItems(await env.run(runOf({})));
		expect(item?.json).toMatchObject({ status: 'succeeded', outputs, url: 'https://files.example/a.png' });
	});

	const finishedWith = async (body: object) => {
		env.sandbox.faults.clear();
		env.sandbox.faults.add({
			on: 'result',
			kind: 'answer',
			answer: { status: 200, body: { status: 'succeeded', ...body } },
		});
		return await env.run(runOf({}));
	};
	const url = 'https://files.example/a.png';

	it('returns previews, numbers, and results under another key', async () => {
		const preview = { 9: { images: [{ url, filename: 'a.png', type: 'temp' }] } };
		const [shown] = outputItems(await finishedWith({ outputs: preview }));
		expect(shown?.json).toMatchObject({
			url,
			image: url,
			files: [{ nodeId: '9', fileName: 'a.png', preview: true }],
		});
		const [counted] = outputItems(await finishedWith({ outputs: { 5: { value: [42] } } }));
		expect(counted?.json).toMatchObject({ values: [{ nodeId: '5', value: 42 }] });
		const [other] = outputItems(await finishedWith({ output: { 9: { images: [{ url }] } } }));
		expect(other?.json).toMatchObject({ url, files: [{ nodeId: '9', channel: 'images' }] });
	});

	it('shows what came where nothing of it can be returned', async () => {
		const { message, description } = failure(
			await finishedWith({ outputs: { 9: { result: ['3d/a.glb'] } } }),
		);
		expect(message).toContain('succeeded, but has no outputs that can be returned');
		expect(description).toContain('{"9":{"result":["3d/a.glb"]}}');
	});
});
