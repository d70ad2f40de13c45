import { existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import type { INode, ResourceMapperValue } from 'n8n-workflow';
import { chromium, type Browser, type Page } from 'playwright-core';

import { NEWEST } from '../n8n/installation';
import { OWNER } from '../n8n/instance';
import { DEPLOYMENT_ID } from '../sandbox/deployments';
import { SANDBOX_TOKEN } from '../sandbox/sandbox';
import { until } from '../until';
import {
	closeN8nEnvironment,
	example,
	INSTALL_TIMEOUT_MS,
	openN8nEnvironment,
	ROOT,
	type N8nEnvironment,
} from './n8nEnvironment';

/** Debian's Chromium; without it these tests are reported as skipped. */
const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';
const FLAGS = [
	'--no-sandbox',
	'--disable-quic',
	'--no-first-run',
	'--disable-background-networking',
	'--disable-component-update',
	'--disable-sync',
];
const VIEWPORT = { width: 1_440, height: 900 };
const NODE = 'Replace Background';
/** What the node is named when it has another resource. */
const NAMES: Record<string, string> = { model: 'Make a Video', deployment: 'Generate Image' };
/** The README's pictures are taken by this test: UPDATE_SCREENSHOTS=1 npm run test:e2e */
const SCREENSHOTS =
	process.env.UPDATE_SCREENSHOTS === '1'
		? path.join(ROOT, 'docs')
		: mkdtempSync(path.join(tmpdir(), 'runcomfy-shots-'));

(existsSync(CHROMIUM) ? describe : describe.skip)('In the editor', () => {
	let env: N8nEnvironment;
	let images: Server;
	let browser: Browser;
	let page: Page;
	/** The RunComfy node of the workflow that is open, named after what it does. */
	let shownNode = NODE;

	beforeAll(async () => {
		env = await openN8nEnvironment(NEWEST, {
			pictures: 'scene',
			queueMs: (_n, prompt) => (prompt.includes('queued for long') ? 60_000 : 300),
			runMs: (_n, prompt) => (prompt.includes('runs for long') ? 60_000 : 1_200),
		});
		const product = readFileSync(path.join(ROOT, 'examples', 'product.png'));
		images = createServer((_request, response) => response.end(product));
		await new Promise<void>((resolve) => images.listen(0, '127.0.0.1', resolve));
		mkdirSync(SCREENSHOTS, { recursive: true });
		browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
		page = await browser.newPage({ viewport: VIEWPORT });
		page.setDefaultTimeout(15_000);
		await page.goto(`${env.n8n.url}/signin`);
		await page.fill('input[type="email"]', OWNER.email);
		await page.fill('input[type="password"]', OWNER.password);
		await page.keyboard.press('Enter');
		await page.waitForURL(/\/(home|projects|workflow)/);
	}, INSTALL_TIMEOUT_MS);
	beforeEach(() => env.sandbox.reset());
	afterAll(async () => {
		await browser?.close();
		images?.close();
		await closeN8nEnvironment(env);
	});

	const byTestId = (id: string) => page.locator(`[data-test-id="${id}"]`);
	/** A picture of the editor at rest: no notification, no spinner, nothing that fades. */
	const shoot = async (name: string) => {
		// A notification may go by itself before it is closed; a click at its place would then close what is behind it.
		const notifications = page.locator('.el-notification__closeBtn');
		await until('no notification is left', async () => {
			const isLeft = (await notifications.count()) > 0;
			if (isLeft)
				await notifications
					.first()
					.dispatchEvent('click', undefined, { timeout: 1_000 })
					.catch(() => undefined);
			return !isLeft;
		});
		// What is being typed in shows suggestions.
		await page.evaluate(() => {
			if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
		});
		await page.mouse.move(720, 20);
		await page.waitForTimeout(1_500);
		await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), animations: 'disabled' });
	};

	/** Opens the example with the parameters changed; a node of another resource has only the given ones, and a fitting name. */
	const openWorkflow = async (parameters: Record<string, unknown> = {}): Promise<string> => {
		const saved = JSON.stringify(example(env, 'replace-background.json'));
		shownNode = NAMES[String(parameters.resource)] ?? NODE;
		const definition = JSON.parse(saved.replaceAll(NODE, shownNode)) as ReturnType<typeof example>;
		const node = definition.nodes.find(({ name }) => name === shownNode);
		const { port } = images.address() as AddressInfo;
		const imageUrl = `http://127.0.0.1:${port}/product.png`;
		Object.assign(node ?? {}, {
			parameters: parameters.resource ? parameters : { ...node?.parameters, imageUrl, ...parameters },
		});
		const id = await env.n8n.createWorkflow(definition);
		await page.goto(`${env.n8n.url}/workflow/${id}`);
		await byTestId('execute-workflow-button').first().waitFor();
		return id;
	};
	const openPanel = async () => {
		await page.locator(`[data-test-id="canvas-node"][data-node-name="${shownNode}"]`).dblclick();
		await byTestId('node-parameters').waitFor();
	};
	const closePanel = async () => await byTestId('ndv-close-button').first().click();
	const field = (name: string) => byTestId(`parameter-input-${name}`);
	const choose = async (name: string, option: string) => {
		await field(name).click();
		// An option's name and its description are one text to the browser.
		await page.getByRole('option').filter({ hasText: option }).first().click();
	};

	/** Waits until n8n shows a file as an image. */
	const shownImage = async () => {
		const image = page.locator('.binary-data img, [class*="binary"] img').first();
		await image.waitFor();
		await until(
			'the image has loaded',
			async () => await image.evaluate((el) => 'naturalWidth' in el && Number(el.naturalWidth) > 100),
		);
	};
	const searchList = async (name: string, words: string) => {
		await byTestId(`resource-locator-${name}`).locator('input').last().click();
		await byTestId('rlc-search')
			.locator('input')
			.or(page.locator('input[data-test-id="rlc-search"]'))
			.first()
			.fill(words);
	};

	it('finds the node by search, with its actions', async () => {
		await openWorkflow();
		await byTestId('node-creator-plus-button').first().click();
		for (const words of [
			'runcomfy',
			'replace background',
			'generate image',
			'lipsync',
			'nano banana',
			'upscale',
		]) {
			await byTestId('node-creator-search-bar').fill(words);
			await page
				.locator('[data-test-id="node-creator"]')
				.getByText('RunComfy', { exact: true })
				.first()
				.waitFor();
		}
		await byTestId('node-creator').getByText('RunComfy', { exact: true }).first().click();
		for (const action of [
			'Replace image background',
			'Cancel request',
			'Get result of request',
			'Get status of request',
		]) {
			await byTestId('node-creator').getByText(action, { exact: true }).waitFor();
		}
	});

	it('shows the fields of the chosen options, and hides the others', async () => {
		await openWorkflow();
		// The canvas fades in.
		await page.waitForTimeout(1_000);
		await shoot('workflow');
		await openPanel();
		await field('imageUrl').waitFor();
		expect(await field('binaryPropertyName').count()).toBe(0);
		await choose('imageSource', 'Input File');
		await field('binaryPropertyName').waitFor();
		expect(await field('imageUrl').count()).toBe(0);
		await page.getByText('It is not confirmed that RunComfy accepts files for this model').waitFor();

		await choose('colorPalette', 'Custom Colors');
		await page.getByText('Palette Colors', { exact: true }).waitFor();
		await choose('colorPalette', 'JSON');
		await page.getByText('Palette (JSON)', { exact: true }).waitFor();
		expect(await page.getByText('Palette Colors', { exact: true }).count()).toBe(0);

		await field('binaryPropertyOutput').waitFor();
		await field('downloadFiles').locator('.el-switch, [role="switch"]').first().click();
		await until('the output field has gone', async () => (await field('binaryPropertyOutput').count()) === 0);
		await closePanel();
	});

	it('executes and shows the image in the output panel', async () => {
		await openWorkflow();
		await byTestId('execute-workflow-button').first().click();
		await until('it has run', () => env.sandbox.stats.downloads === 1);
		await page.getByText('1 item', { exact: true }).nth(1).waitFor();
		await openPanel();
		await byTestId('ndv-view-binary-data').first().waitFor();
		await shoot('panel');
		await byTestId('ndv-view-binary-data').first().click();
		await shownImage();
		await shoot('image');
	});

	it('runs any model: picked from the list, with its own fields, and shows the video', async () => {
		await openWorkflow({ resource: 'model', operation: 'run' });
		await openPanel();
		await searchList('modelId', 'image to video');
		await byTestId('rlc-item')
			.filter({ hasText: 'Seedance 2.5 · Image to Video 1080p · $0.12 per second' })
			.first()
			.waitFor();
		await shoot('model-list');
		await byTestId('rlc-item')
			.filter({ hasText: 'Seedance 2.5 · Image to Video 1080p · $0.12 per second' })
			.first()
			.click();

		const mapper = byTestId('resource-mapper-container');
		for (const label of ['Prompt', 'Duration', 'Generate Audio']) {
			await mapper.getByText(label, { exact: true }).first().waitFor();
		}
		const input = (name: string) =>
			mapper.locator(`[data-test-id="parameter-input-${name}"]`).locator('input, textarea').first();
		await input('prompt').fill('The camera moves around it');
		await input('image').fill('https://example.com/shoe.png');
		await byTestId('node-execute-button').click();
		await until('it is submitted', () => env.sandbox.stats.accepted === 1);
		await page.getByText('video.mp4').first().waitFor({ timeout: 30_000 });
		await byTestId('node-execute-button').getByText('Execute step').waitFor();
		await shoot('model-result');
		expect(env.sandbox.jobs[0]?.input).toEqual({
			prompt: 'The camera moves around it',
			image: 'https://example.com/shoe.png',
			// The defaults that the panel shows.
			duration: 5,
			generate_audio: true,
		});
		await closePanel();
		await page.getByText('bytedance/seedance-2.5/image-to-video/1080p', { exact: true }).waitFor();
	});

	it('runs a deployment: picked from the list, with the inputs of its workflow as fields, and shows the image', async () => {
		const id = await openWorkflow({ resource: 'deployment', operation: 'run', downloadFiles: true });
		await openPanel();
		await searchList('deploymentId', 'text to image');
		await byTestId('rlc-item').filter({ hasText: 'disabled' }).first().waitFor();
		await byTestId('rlc-item').filter({ hasText: 'Text to image (v1, AMPERE_48, running)' }).first().click();
		const mapper = byTestId('resource-mapper-container');
		await mapper.getByText('Positive Prompt', { exact: true }).first().waitFor();
		const input = (name: string) =>
			mapper.locator(`[data-test-id="parameter-input-${name}"]`).locator('input, textarea').first();
		for (const label of ['Negative Prompt', 'Width', 'Seed', 'Steps', 'Sampler Name']) {
			await mapper.getByText(label, { exact: true }).first().waitFor();
		}
		expect(await input('7.text').inputValue()).toBe('text, watermark');
		expect(await input('3.steps').inputValue()).toBe('20');
		expect(await input('3.seed').inputValue()).toBe('');
		// The others wait under “Add input to send”.
		expect(await mapper.locator('[data-test-id^="remove-field-button-"]').count()).toBeLessThanOrEqual(15);
		await byTestId('add-fields-select').locator('button').first().click();
		await page.getByRole('menuitem').filter({ hasText: 'Ckpt Name · Load Checkpoint' }).first().waitFor();
		await page.getByRole('menuitem').filter({ hasText: 'Filename Prefix · Save Image' }).first().click();
		await input('9.filename_prefix').fill('lighthouse');
		await input('6.text').fill('A lighthouse on a cliff in a storm');
		await input('7.text').fill('');
		// From the deployment to its last input.
		await page.setViewportSize({ ...VIEWPORT, height: 1_340 });
		await byTestId('resource-locator-deploymentId').scrollIntoViewIfNeeded();
		await shoot('deployment-fields');
		await page.setViewportSize(VIEWPORT);

		await byTestId('node-execute-button').click();
		await until('it is submitted', () => env.sandbox.stats.accepted === 1);
		await byTestId('ndv-view-binary-data').first().waitFor({ timeout: 30_000 });
		await byTestId('node-execute-button').getByText('Execute step').waitFor();
		await shoot('deployment-result');
		await byTestId('ndv-view-binary-data').first().click();
		await shownImage();

		// What n8n has saved by itself tells a run the bounds; without them, seeds would be below 2^31.
		const rules = { kind: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, isSeed: true };
		await until('the fields are saved with their rules', async () => {
			const { data } = await env.n8n.rest('GET', `/workflows/${id}`);
			const saved = (data.nodes as INode[]).find(({ name }) => name === shownNode)?.parameters.inputs;
			const { value, schema } = saved as ResourceMapperValue;
			const seed = schema.find((field) => field.id === '3.seed');
			return value?.['6.text'] !== undefined && isDeepStrictEqual(Object(seed).rules, rules);
		});
		const seed = Object(env.sandbox.jobs[0]?.graph?.['3']?.inputs).seed as unknown;
		expect(env.sandbox.jobs[0]?.input).toEqual({
			overrides: {
				3: { inputs: { seed } },
				6: { inputs: { text: 'A lighthouse on a cliff in a storm' } },
				7: { inputs: { text: '' } },
				9: { inputs: { filename_prefix: 'lighthouse' } },
			},
		});
		expect(seed).toBeGreaterThan(2 ** 31);
		expect(seed).toBeLessThanOrEqual(rules.maximum);
	});

	it('Stop cancels the running request of a deployment', async () => {
		await openWorkflow({
			resource: 'deployment',
			operation: 'run',
			deploymentId: { __rl: true, mode: 'id', value: DEPLOYMENT_ID.textToImage },
			inputs: { mappingMode: 'defineBelow', value: { '6.text': 'runs for long' } },
		});
		await byTestId('execute-workflow-button').first().click();
		await until('it runs', () => {
			const [job] = env.sandbox.jobs;
			return job !== undefined && env.sandbox.stateOf(job.requestId) === 'in_progress';
		});
		expect(env.sandbox.stats.cancelled).toBe(0);
		await byTestId('stop-execution-button').first().click();
		await until('it is cancelled', () => env.sandbox.stats.cancelled === 1, 6_000);
	});

	it('Stop cancels the queued request', async () => {
		await openWorkflow({ prompt: 'queued for long' });
		await byTestId('execute-workflow-button').first().click();
		await until('it is submitted', () => env.sandbox.stats.accepted === 1);
		await byTestId('stop-execution-button').first().click();
		await until('it is cancelled', () => env.sandbox.stats.cancelled === 1, 6_000);
	});

	it.each(['form-upload.json', 'comfyui-form.json'])(
		'the form of the example %s answers with the new image',
		async (file) => {
			const definition = example(env, file);
			const id = await env.n8n.createWorkflow(definition);
			const trigger = definition.nodes.find(({ name }) => name === 'Upload form');
			const { data: saved } = await env.n8n.rest('GET', `/workflows/${id}`);
			await env.n8n.rest('POST', `/workflows/${id}/run`, {
				workflowData: saved,
				triggerToStartFrom: { name: 'Upload form' },
			});
			await page.goto(`${env.n8n.url}/form-test/${trigger?.webhookId}`);
			await page.setInputFiles('input[type="file"]', path.join(ROOT, 'examples', 'product.png'));
			await page.fill('textarea', 'On a beach at dawn');
			await page.getByRole('button', { name: 'Submit' }).click();
			await page.getByText('Here is your new image').waitFor({ timeout: 30_000 });
			const shown = page.locator('img[alt="The new image"]');
			await until(
				'the image is shown',
				async () => await shown.evaluate((image) => (image as HTMLImageElement).naturalWidth > 100),
			);
			const [job] = env.sandbox.jobs;
			const [prompt, image] =
				job?.graph === undefined
					? [job?.input.prompt, job?.input.image]
					: [job.graph['6']?.inputs?.text, job.graph['10']?.inputs?.image];
			expect(prompt).toBe('On a beach at dawn');
			expect(image).toMatch(/^data:image\/png;base64,/);
		},
	);

	it('shows a failure with its request and what to do next', async () => {
		env.sandbox.faults.add({ job: 'failed' });
		await openWorkflow();
		await openPanel();
		await choose('colorPalette', 'Default');
		await byTestId('node-execute-button').click();
		await page
			.getByText('The model could not find a subject in the image.')
			.first()
			.waitFor({ timeout: 30_000 });
		await byTestId('node-execute-button').getByText('Execute step').waitFor();
		await shoot('failure');
		const shown = await byTestId('ndv').innerText();
		expect(shown).toContain(`RunComfy request ${env.sandbox.jobs.at(-1)?.requestId} failed`);
	});

	it('shows RunComfy’s words as text: no tag, link or picture of theirs is active in errors, notifications and hints', async () => {
		const active = page.locator('[href*="evil.example"], [src*="evil.example"], b#evil');
		const words =
			'<b id="evil">No.</b> <a href="https://evil.example">Click</a> <img src="https://evil.example/a.png"> [b](https://evil.example/b) ![c](https://evil.example/c.png) https://evil.example/d';
		env.sandbox.faults.add({
			...{ on: 'submit', kind: 'answer' },
			answer: { status: 422, body: { error_code: 422001, error_message: words } },
		});
		await openWorkflow();
		await byTestId('execute-workflow-button').first().click();
		await page.locator('.el-notification').first().waitFor();
		expect(await page.locator('.el-notification').first().innerText()).toContain('evil.example/d');
		expect(await active.count()).toBe(0);
		await openPanel();
		await byTestId('ndv').getByText('evil.example/d').first().waitFor();
		expect(await active.count()).toBe(0);
		await closePanel();

		// A hint names an address.
		env.sandbox.faults.clear();
		env.sandbox.faults.add({ job: 'manyImages' });
		env.sandbox.faults.add({ on: 'output', kind: 'webPage', times: 1 });
		await openWorkflow();
		await byTestId('execute-workflow-button').first().click();
		await until('it has run', () => env.sandbox.stats.downloads === 3);
		await openPanel();
		await byTestId('ndv').getByText('could not be downloaded').first().waitFor();
		expect(
			await byTestId('ndv').locator(`[href*="${env.sandbox.url}"], [src*="${env.sandbox.url}"]`).count(),
		).toBe(0);
		await closePanel();
	});

	// Last, because it changes the credential that the others use.
	it('tests the credential: red with a wrong token, in words a person understands, and green with the right one', async () => {
		await openWorkflow();
		await openPanel();
		const token = byTestId('parameter-input-apiToken').locator('input');
		// The panel is still being drawn at first, and then loses a click.
		await until('the credential is open', async () => {
			if (await token.isVisible()) return true;
			await byTestId('credential-edit-button')
				.first()
				.click({ timeout: 1_000 })
				.catch(() => undefined);
			await page.waitForTimeout(1_000);
			return await token.isVisible();
		});
		await page.getByText('Copy the token from your').waitFor();
		// The sandbox's addresses are shown, because the credential uses them.
		const addresses = ['baseUrl', 'platformBaseUrl'].map((name) => byTestId(`parameter-input-${name}`));
		const customUrls = byTestId('parameter-input-useCustomUrls')
			.locator('.el-switch, [role="switch"]')
			.first();
		for (const address of addresses) await address.waitFor();
		await customUrls.click();
		for (const address of addresses) await address.waitFor({ state: 'detached' });
		await customUrls.click();
		const save = byTestId('credential-save-button')
			.locator('button')
			.or(page.locator('button[data-test-id="credential-save-button"]'));
		await token.fill('wrong-token');
		await save.first().click();
		await page.getByText('More details', { exact: true }).click();
		await page.getByText('RunComfy did not accept the API token').first().waitFor();
		await shoot('credential-refused');
		await token.fill(SANDBOX_TOKEN);
		await save.first().click();
		await byTestId('credentials-config-container-test-success').waitFor();
		expect(env.sandbox.stats).toMatchObject({ submits: 0 });
	});
});
