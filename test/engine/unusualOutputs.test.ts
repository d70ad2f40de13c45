import { MODEL_ID, TEXT_TO_IMAGE } from '../sandbox/catalog';
import { failure, outputItems, sharedEnvironment, TestEnvironment } from './testEnvironment';

/** Results of a shape that no page documents: nothing that RunComfy reports is lost. */
describe('An output of unusual shape', () => {
	const env = sharedEnvironment();

	const runWith = async (output: unknown, parameters: Record<string, unknown>) => {
		const answer = { status: 200, body: { status: 'succeeded', output } };
		env().sandbox.faults.add({ on: 'result', kind: 'answer', answer });
		return await env().run(parameters);
	};
	const anyModel = {
		resource: 'model',
		operation: 'run',
		modelId: { mode: 'id', value: TEXT_TO_IMAGE },
		inputMode: 'json',
		inputsJson: '{"prompt": "x"}',
	};
	const URL = 'https://cdn.example.com/a.png';

	it('objects with a url: its files are found, and it is kept as it is', async () => {
		const output = { images: [{ url: URL, width: 8 }] };
		const [item] = outputItems(await runWith(output, anyModel));
		expect(item?.json).toMatchObject({ url: URL, image: URL, images: [URL], output });
		const [image] = outputItems(await runWith(output, {}));
		expect(image?.json).toMatchObject({ image: URL });
	});

	it('URLs under other names: kept, and named in the error where a file is expected', async () => {
		const output = { result: { mesh: 'https://cdn.example.com/a.glb' } };
		const [item] = outputItems(await runWith(output, anyModel));
		expect(item?.json).toMatchObject({ images: [], output });
		expect(failure(await runWith(output, {})).description).toContain('https://cdn.example.com/a.glb');
	});

	it('says which addresses were not downloaded', async () => {
		const mesh = 'https://cdn.example.com/a.glb';
		const run = await runWith({ mesh }, { ...anyModel, downloadFiles: true });
		const [task] = run.data.resultData.runData.RunComfy ?? [];
		expect(JSON.stringify(task?.hints)).toContain(mesh);
	});
});

describe('Empty inputs and file names', () => {
	it('sends an input without keys as {}', async () => {
		const env = await TestEnvironment.open();
		const empty = {
			on: 'submit',
			kind: 'answer',
			answer: { status: 422, body: { error_code: 422001 } },
		} as const;
		env.sandbox.faults.add(empty);
		await env.run({
			resource: 'model',
			operation: 'run',
			modelId: { mode: 'id', value: MODEL_ID },
			inputMode: 'json',
			inputsJson: '{}',
		});
		expect(env.sandbox.lastBody).toEqual({});
	});

	it('takes a number as a file name', async () => {
		const env = await TestEnvironment.open({ items: [{ json: { id: 4711 } }] });
		const run = await env.run({ downloadFiles: true, options: { fileName: '={{ $json.id }}' } });
		expect(outputItems(run)[0]?.binary?.data?.fileName).toBe('4711.png');
	});

	it('refuses a file name of another type', async () => {
		const env = await TestEnvironment.open();
		const run = await env.run({ downloadFiles: true, options: { fileName: '={{ [1] }}' } });
		expect(failure(run).message).toBe('“File Name” must be text');
	});
});
