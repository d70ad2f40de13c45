import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { NodeHelpers, type INodeExecutionData, type INodeProperties, type IRun } from 'n8n-workflow';
import sharp from 'sharp';

import { RunComfyApi } from '../../credentials/RunComfyApi.credentials';
import { RunComfy } from '../../nodes/RunComfy/RunComfy.node';
import known from '../examples/knownNodes.json';
import { IMAGE_TO_VIDEO, TEXT_TO_IMAGE } from '../sandbox/catalog';
import { DEPLOYMENT_ID } from '../sandbox/deployments';
import { Sandbox, SANDBOX_TOKEN } from '../sandbox/sandbox';
import { RUNCOMFY_TYPE } from '../workflow';
import { Engine, type EngineWorkflow } from './engine';
import { outputItems } from './testEnvironment';
import { passThrough, source } from './fakeNodes';

const FOLDER = path.resolve(__dirname, '..', '..', 'examples');
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
const TOOL_TYPE = `${RUNCOMFY_TYPE}Tool`;

function load(file: string): EngineWorkflow {
	return JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8')) as EngineWorkflow;
}

type Names = { [name: string]: Names };
const KNOWN = known.nodes as Record<string, Record<string, Names>>;

/** Our own fields by the same shape as the snapshot of n8n's. */
function namesOf(properties: INodeProperties[]): Names {
	const names: Names = {};
	for (const { name, options } of properties) {
		const inner = (options ?? []).filter((option): option is INodeProperties => 'type' in option);
		names[name] = { ...names[name], ...namesOf(inner) };
	}
	return names;
}

function unknownParameters(parameters: object, names: Names, path_ = ''): string[] {
	return Object.entries(parameters).flatMap(([name, value]: [string, unknown]) => {
		const inner = names[name];
		if (inner === undefined) return [`${path_}${name}`];
		// A resource mapper may have the name of another operation's collection.
		const isCollection =
			Object.keys(inner).length > 0 &&
			typeof value === 'object' &&
			value !== null &&
			!('mappingMode' in value);
		if (!isCollection) return [];
		const entries =
			Object.values(inner).every((deeper) => Object.keys(deeper).length === 0) || !Array.isArray(value)
				? [value]
				: value;
		return entries.flatMap((entry: object) =>
			Array.isArray(entry) ? [] : unknownParameters(entry, inner, `${path_}${name}.`),
		);
	});
}

describe.each(FILES)('examples/%s', (file) => {
	const workflow = load(file);

	it('uses node types, versions and parameters that exist', () => {
		for (const node of workflow.nodes) {
			const isOurs = node.type === RUNCOMFY_TYPE || node.type === TOOL_TYPE;
			const versions = isOurs ? { 1: namesOf(new RunComfy().description.properties) } : KNOWN[node.type];
			expect(versions).toBeDefined();
			expect(Object.keys(versions ?? {}).map(Number)).toContain(node.typeVersion);
			// n8n itself adds these two to a node that is used as a tool.
			const { descriptionType: _type, toolDescription: _description, ...parameters } = node.parameters;
			const names = Object.entries(versions ?? {}).find(
				([version]) => Number(version) === node.typeVersion,
			)?.[1];
			expect([node.name, unknownParameters(parameters, (names ?? {}) as Names)]).toEqual([node.name, []]);
		}
	});

	it('connects nodes that are there, and has unique names and ids', () => {
		const names = workflow.nodes.map(({ name }) => name);
		expect(new Set(names).size).toBe(names.length);
		expect(new Set(workflow.nodes.map(({ id }) => id)).size).toBe(names.length);
		for (const [from, outputs] of Object.entries(workflow.connections)) {
			expect(names).toContain(from);
			for (const to of Object.values(outputs).flat(2)) expect(names).toContain(to?.node);
		}
	});

	it('says in a sticky note what to set, and holds no secret', () => {
		const notes = workflow.nodes.filter(({ type }) => type === 'n8n-nodes-base.stickyNote');
		expect(notes.some(({ parameters }) => String(parameters.content).includes('What to set'))).toBe(true);
		for (const { credentials } of workflow.nodes) {
			for (const { id } of Object.values(credentials ?? {})) expect(id).toBe('');
		}
	});

	it('has no issue in its RunComfy nodes once the credential is chosen', () => {
		const { properties } = new RunComfy().description;
		for (const node of workflow.nodes.filter(({ type }) => type === RUNCOMFY_TYPE)) {
			const parameters =
				NodeHelpers.getNodeParameters(properties, node.parameters, true, false, node, null) ?? {};
			const issues = NodeHelpers.getNodeParametersIssues(
				properties,
				{ ...node, parameters },
				new RunComfy().description,
			);
			expect(issues).toBeNull();
		}
	});
});

/** The RunComfy nodes run on the engine; every other node is a fake. */
describe('The examples, with fakes of the other nodes', () => {
	let sandbox: Sandbox;
	let photo: Buffer;

	beforeAll(async () => {
		sandbox = await Sandbox.start({ pictures: 'plain', queueMs: 0, runMs: 50 });
		photo = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#fff' } })
			.jpeg()
			.toBuffer();
	});
	beforeEach(() => sandbox.reset());
	afterAll(async () => await sandbox.close());

	/** Runs an example with these items of its trigger. */
	const run = async (file: string, items: INodeExecutionData[]): Promise<IRun> => {
		const workflow = load(file);
		for (const node of workflow.nodes.filter(({ type }) => type === RUNCOMFY_TYPE)) {
			node.parameters.options = { ...(node.parameters.options as object), pollInterval: 0.2 };
		}
		const others = new Set(workflow.nodes.map(({ type }) => type).filter((type) => type !== RUNCOMFY_TYPE));
		const triggers = [...others].filter((type) => type.endsWith('Trigger'));
		const engine = await Engine.create({
			nodes: {
				...Object.fromEntries([...others].map((type) => [type, passThrough])),
				...Object.fromEntries(triggers.map((type) => [type, source(items)])),
				[RUNCOMFY_TYPE]: new RunComfy(),
			},
			credentialType: new RunComfyApi(),
			credential: {
				...{ apiToken: SANDBOX_TOKEN, useCustomUrls: true },
				...{ baseUrl: sandbox.url, platformBaseUrl: sandbox.url },
			},
		});
		const result = await engine.run(workflow);
		expect(result.data.resultData.error).toBeUndefined();
		return result;
	};

	/** What a form gives. */
	const uploaded = () => ({
		json: { Scene: 'On a beach' },
		binary: { Photo: { data: photo.toString('base64'), mimeType: 'image/jpeg', fileName: 'shoe.jpg' } },
	});

	it('replace-background: one photo', async () => {
		const result = await run('replace-background.json', [{ json: {} }]);
		expect(outputItems(result, 'Replace Background')[0]?.binary?.data?.mimeType).toBe('image/png');
		expect(sandbox.jobs[0]?.input.color_palette).toEqual({ name: 'Ember' });
	});

	it('storage-schedule: each photo of the storage, named as it was', async () => {
		const keys = ['incoming/red shoe.jpg', 'incoming/hat.png'];
		const result = await run(
			'storage-schedule.json',
			keys.map((Key) => ({ json: { Key } })),
		);
		expect(sandbox.jobs.map(({ input }) => input.image).sort()).toEqual([
			'https://my-bucket.s3.example.com/incoming/hat.png',
			'https://my-bucket.s3.example.com/incoming/red%20shoe.jpg',
		]);
		const uploaded = outputItems(result, 'Put result back');
		expect(uploaded.map(({ binary }) => binary?.data?.fileName)).toEqual(['red shoe.png', 'hat.png']);
		expect(uploaded.map(({ pairedItem }) => pairedItem)).toBeDefined();
	});

	it('storage-schedule: a failed photo goes to its own branch', async () => {
		sandbox.faults.add({ job: 'failed', times: 1 });
		const result = await run('storage-schedule.json', [{ json: { Key: 'incoming/a.jpg' } }]);
		expect(outputItems(result, 'Put result back')).toEqual([]);
		expect(outputItems(result, 'Failed photos')[0]?.json.error).toMatchObject({
			requestId: sandbox.jobs[0]?.requestId,
		});
	});

	it('form-upload: the uploaded file goes in and the new one comes out', async () => {
		const result = await run('form-upload.json', [uploaded()]);
		expect(sandbox.jobs[0]?.input).toMatchObject({
			prompt: 'On a beach',
			image: expect.stringMatching(/^data:image\/jpeg;base64,/),
		});
		expect(outputItems(result, 'Show the image')[0]?.json.status).toBe('succeeded');
	});

	it('comfyui-form: the uploaded file and the scene go into the workflow, and the image comes out', async () => {
		const result = await run('comfyui-form.json', [uploaded()]);
		expect(sandbox.jobs).toMatchObject([
			{
				deploymentId: DEPLOYMENT_ID.imageToImage,
				input: {
					overrides: {
						6: { inputs: { text: 'On a beach' } },
						10: { inputs: { image: `data:image/jpeg;base64,${photo.toString('base64')}` } },
					},
				},
			},
		]);
		expect(outputItems(result, 'Show the image')[0]?.json.status).toBe('succeeded');
	});

	const nightly = ['lighthouse', 'market', 'harbor'].map((name) => ({ json: { name, prompt: `A ${name}` } }));

	it('comfyui-nightly: every prompt at once, each with a seed of its own, stored under its name', async () => {
		const result = await run('comfyui-nightly.json', nightly);
		expect(outputItems(result, 'Store the image').map(({ binary }) => binary?.data?.fileName)).toEqual([
			'lighthouse.png',
			'market.png',
			'harbor.png',
		]);
		expect(sandbox.jobs.map(({ prompt }) => prompt).sort()).toEqual(['A harbor', 'A lighthouse', 'A market']);
		expect(new Set(sandbox.jobs.map(({ graph }) => graph?.['3']?.inputs.seed)).size).toBe(3);
	});

	it('comfyui-nightly: a failed prompt goes to its own branch', async () => {
		sandbox.faults.add({ job: 'failed', promptIncludes: 'market' });
		const result = await run('comfyui-nightly.json', nightly);
		expect(outputItems(result, 'Store the image')).toHaveLength(2);
		expect(outputItems(result, 'Failed prompts')).toMatchObject([
			{
				json: {
					name: 'market',
					error: { requestId: sandbox.jobs.find(({ prompt }) => prompt === 'A market')?.requestId },
				},
			},
		]);
	});

	it('email-results: the file is in the field that the mail attaches', async () => {
		const item = {
			json: { imageUrl: 'https://example.com/a.png', scene: 'A park', recipient: 'a@example.com' },
		};
		const result = await run('email-results.json', [item]);
		expect(outputItems(result, 'Send results')[0]?.binary?.data?.fileName).toBe('new-scene.png');
		expect(sandbox.jobs[0]?.input.prompt).toBe('A park');
	});

	it('long-running: submitted without waiting, fetched later', async () => {
		const result = await run('long-running.json', [{ json: {} }]);
		expect(outputItems(result, 'Submit')[0]?.json).toMatchObject({ status: 'in_queue' });
		expect(outputItems(result, 'Fetch the result')[0]?.json).toMatchObject({ status: 'succeeded' });
		expect(sandbox.stats.submits).toBe(1);
	});

	it('text-to-image: all at once, named after what they show, within the limit', async () => {
		const prompts = [
			{ name: 'lighthouse', prompt: 'A lighthouse' },
			{ name: 'market', prompt: 'A market' },
		];
		const result = await run(
			'text-to-image.json',
			prompts.map((json) => ({ json })),
		);
		expect(outputItems(result, 'Make images').map(({ binary }) => binary?.data?.fileName)).toEqual([
			'lighthouse.png',
			'market.png',
		]);
		expect(sandbox.jobs.map(({ modelId, input }) => [modelId, input.prompt]).sort()).toEqual([
			[TEXT_TO_IMAGE, 'A lighthouse'],
			[TEXT_TO_IMAGE, 'A market'],
		]);
	});

	it('image-to-video: the new scene becomes the video', async () => {
		const result = await run('image-to-video.json', [{ json: {} }]);
		const [scene] = outputItems(result, 'New scene');
		expect(sandbox.jobs[1]).toMatchObject({
			modelId: IMAGE_TO_VIDEO,
			input: { image: scene?.json.image, duration: 5, generate_audio: false },
		});
		expect(outputItems(result, 'Make a video')[0]?.binary?.data?.mimeType).toBe('video/mp4');
	});

	it('ai-agent-tool: the tool’s fields are decided by the agent', () => {
		const tool = load('ai-agent-tool.json').nodes.find(({ type }) => type === TOOL_TYPE);
		expect(new RunComfy().description.usableAsTool).toBe(true);
		for (const field of ['imageUrl', 'prompt']) expect(String(tool?.parameters[field])).toContain('$fromAI(');
	});
});
