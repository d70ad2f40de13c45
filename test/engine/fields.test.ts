import type { IDataObject } from 'n8n-workflow';

import { items, failure, outputItems, sharedEnvironment, TestEnvironment } from './testEnvironment';

/** Bad input is refused before anything is sent, in the words of the field. */
describe('Bad input', () => {
	const env = sharedEnvironment({ items: items(2) });

	const colors = (count: number) => ({
		color: Array.from({ length: count }, () => ({ hex: '#112233', weight: 0.5 })),
	});

	it.each<[Record<string, unknown>, string]>([
		[{ prompt: '  ' }, '“Prompt” must not be empty'],
		[{ prompt: '={{ $json.nothing }}' }, '“Prompt” must not be empty'],
		[{ prompt: '={{ $json }}' }, '“Prompt” must be text'],
		[{ imageUrl: '={{ "" }}' }, '“Image URL” must not be empty'],
		[{ imageUrl: 'product.png' }, '“Image URL” is not a complete web address'],
		[{ imageUrl: 'https://192.168.0.1/a.png' }, '“Image URL” points to this computer or a private network'],
		[{ options: { seed: -1 } }, '“Seed” must be a whole number from 0 to 2147483647'],
		[{ options: { seed: 'lucky' } }, '“Seed” must be a whole number'],
		[{ colorPalette: 'custom', paletteColors: {} }, '“Palette Colors” must contain at least one color'],
		[
			{ colorPalette: 'custom', paletteColors: colors(9) },
			'“Palette Colors” may contain at most 8 colors, but there are 9',
		],
		[
			{ colorPalette: 'custom', paletteColors: { color: [{ hex: '#12g456', weight: 0.5 }] } },
			'“Palette Colors → Color 1” must be a color like #ff8800',
		],
		[
			{ colorPalette: 'custom', paletteColors: { color: [{ hex: '#123456', weight: 0.04 }] } },
			'“Palette Colors → Color 1 → Weight” must be a number from 0.05 to 1',
		],
		[
			{
				colorPalette: 'custom',
				paletteColors: {
					color: [{ hex: '#123456' }, { hex: '#123456', weight: 1.1 }],
				},
			},
			'“Palette Colors → Color 2 → Weight” must be a number',
		],
		[{ colorPalette: 'json', paletteJson: '[1]' }, '“Palette (JSON)” must be a JSON object'],
		[{ style: 'json', styleJson: '"Auto"' }, '“Style (JSON)” must be a JSON object'],
		[{ colorPalette: '={{ "Neon" }}' }, '“Color Palette” must be one of'],
		[{ renderingSpeed: '={{ "FAST" }}' }, '“Rendering Speed” must be one of: BALANCED, QUALITY, TURBO'],
		[{ options: { timeout: 0 } }, '“Timeout (Seconds)” must be a number from 1 to 86400'],
		[{ options: { pollInterval: 0.1 } }, '“Poll Interval (Seconds)” must be a number from 0.2 to 60'],
		[{ options: { maxConcurrency: 101 } }, '“Max Concurrency” must be a whole number from 1 to 100'],
		[{ downloadFiles: true, options: { fileName: '={{ $json.x }}' } }, '“File Name” must not be empty'],
		[{ options: { maxFileSize: 0 } }, '“Max File Size (MB)” must be a number from 1 to 350'],
		[
			{ downloadFiles: true, binaryPropertyOutput: '={{ "" }}' },
			'“Put Output File in Field” must not be empty',
		],
		[
			{ resource: 'request', operation: 'getStatus', requestId: '..' },
			'“Request ID” cannot be the ID of a request',
		],
		[{ resource: 'request', operation: 'cancel', requestId: '={{ "" }}' }, '“Request ID” must not be empty'],
	])('%j: %s', async (parameters, message) => {
		const found = failure(await env().run(parameters));
		expect(found.message).toContain(message);
		expect(found.itemIndex).toBe(0);
		expect(env().sandbox.stats).toMatchObject({ submits: 0, statusPolls: 0, resultPolls: 0, cancels: 0 });
	});

	it.each(
		[
			['spendingLimit', 'Spending Limit (USD)'],
			['maxConcurrency', 'Max Concurrency'],
			['timeout', 'Timeout (Seconds)'],
			['pollInterval', 'Poll Interval (Seconds)'],
			['maxFileSize', 'Max File Size (MB)'],
			['cancelOnStop', 'Cancel on Stop'],
			['includeCost', 'Include Cost'],
		]
			.flatMap(([name = '', label = '']) =>
				['={{ $json.noSuchField }}', ''].map((value) => [name, value, label]),
			)
			.concat([['seed', '={{ $json.noSuchField }}', 'Seed']]),
	)('an option without a value: %s is %j', async (name = '', value, label) => {
		const { message } = failure(await env().run({ options: { [name]: value } }));
		expect(message).toMatch(new RegExp(`“${label.replace(/[()]/g, '\\$&')}” must be .*, but is empty`));
		expect(env().sandbox.stats.submits).toBe(0);
	});

	it('in one item keeps the others from being submitted when the workflow stops at an error', async () => {
		const found = failure(await env().run({ prompt: '={{ $json.n === 1 ? "" : "A beach" }}' }));
		expect(found).toMatchObject({
			itemIndex: 1,
			message: '“Prompt” must not be empty',
			description: 'Nothing was submitted in this run. Correct the field, and run again.',
		});
		expect(env().sandbox.stats.submits).toBe(0);
	});

	it('in one item does not affect the others under “continue on fail”', async () => {
		const run = await env().run(
			{ prompt: '={{ $json.n === 0 ? "" : "A beach" }}' },
			{ onError: 'continueErrorOutput' },
		);
		expect(outputItems(run)).toHaveLength(1);
		expect(outputItems(run)[0]?.pairedItem).toEqual({ item: 1 });
		expect(outputItems(run, 'RunComfy', 1)[0]?.json).toMatchObject({
			n: 0,
			error: {
				message: '“Prompt” must not be empty',
				description: 'Nothing was submitted for this item. Correct the field, and run again.',
			},
		});
		expect(env().sandbox.stats.submits).toBe(1);
	});
});

describe('An error that concerns all items', () => {
	it('becomes an error item for each under “continue on fail”, and no success item', async () => {
		const env = await TestEnvironment.open({ items: items(2), credential: { apiToken: 'a b' } });
		const run = await env.run({}, { onError: 'continueErrorOutput' });
		expect(outputItems(run)).toEqual([]);
		expect(
			outputItems(run, 'RunComfy', 1).map(({ json }) => (json.error as { message: string }).message),
		).toEqual(Array(2).fill(expect.stringContaining('API Token')));
	});
});

describe('The credential', () => {
	it.each([
		[{ apiToken: 'a b' }, '“API Token” must not contain spaces'],
		[{ baseUrl: 'http://example.com' }, '“Base URL” must begin with https://'],
	])('%j is refused before anything is sent', async (credential, message) => {
		const env = await TestEnvironment.open({ credential });
		expect(failure(await env.run()).message).toContain(message);
		expect(env.sandbox.stats).toMatchObject({ submits: 0, refusedTokens: 0 });
	});

	it('asks for https images when the base URL is RunComfy’s own', async () => {
		const env = await TestEnvironment.open({ credential: { baseUrl: 'https://model-api.runcomfy.net' } });
		for (const imageUrl of [
			'http://example.com/a.png',
			'http://127.0.0.1/a.png',
			'https://localhost/a.png',
		]) {
			expect(failure(await env.run({ imageUrl })).message).toContain('“Image URL”');
		}
	});
});

it('A wrong option of the first item fails that item only, and not the run', async () => {
	const env = await TestEnvironment.open({ items: items(3), settings: { onError: 'continueErrorOutput' } });
	const run = await env.run({ options: { timeout: '={{ $json.n === 0 ? "soon" : 60 }}' } });
	expect(outputItems(run)).toHaveLength(2);
	expect(outputItems(run, 'RunComfy', 1).map(({ json }) => json)).toMatchObject([
		{
			n: 0,
			error: {
				message: '“Timeout (Seconds)” must be a number from 1 to 86400',
				description: 'Nothing was submitted for this item. Correct the field, and run again.',
			},
		},
	]);
});

describe('An item that refers to itself', () => {
	const itself: IDataObject = { n: 0 };
	itself.self = itself;

	it.each<[string, IDataObject, string]>([
		['a text', { prompt: '={{ JSON.stringify($json) }}' }, '“Prompt” must not be empty'],
		[
			'JSON',
			{
				...{ resource: 'model', operation: 'run', inputMode: 'json', inputsJson: '={{ $json }}' },
				modelId: { __rl: true, mode: 'id', value: 'ideogram/ideogram-v3/replace-background' },
			},
			'“Inputs (JSON)” is nested too deeply, or refers to itself',
		],
	])('fails alone where a field needs all of it: %s', async (_, parameters, message) => {
		const env = await TestEnvironment.open({
			items: [{ json: itself }, ...items(1)],
			settings: { onError: 'continueRegularOutput' },
		});
		const [first, second] = outputItems(await env.run(parameters));
		expect(first?.json.error).toMatchObject({ message });
		expect(JSON.stringify(second?.json)).toMatch(/requestId|RunComfy did not accept/);
	});
});
