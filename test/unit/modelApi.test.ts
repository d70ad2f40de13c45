import * as fc from 'fast-check';

import { queryModel, readCategories, readModelEntry, readModelPage } from '../../nodes/RunComfy/api/modelApi';
import { hostKind } from '../../nodes/RunComfy/api/urls';
import { pagePathOf } from '../../nodes/RunComfy/models/modelReference';
import { httpOf } from './fakeApi';
import { VirtualClock } from './virtualClock';
import { cpuMs } from './cpuMs';

describe('An entry of the catalog', () => {
	const http = httpOf(async () => await Promise.reject(new Error('Nothing is sent')), new VirtualClock());

	it.each([
		['a/b', true],
		['a/c', false],
	])('is that of the model that was asked for, and no other: %s', (modelId, isRead) => {
		const entry = queryModel(http, 'a/b').read({ model_id: modelId, base_price_usd: 9 });
		expect(entry !== undefined).toBe(isRead);
	});
});

describe('Responses of the catalog', () => {
	const entry = {
		model_id: 'a/b',
		display_name: 'A B',
		base_price_usd: 0.06,
		price_unit: 'Request',
		categories: ['x', 7],
		required_inputs: ['prompt'],
		input_schema: { properties: {} },
	};

	it('reads an entry', () =>
		expect(readModelEntry(entry)).toEqual({
			modelId: 'a/b',
			displayName: 'A B',
			categories: ['x'],
			price: { usd: 0.06, unit: 'request' },
			inputSchema: { properties: {} },
			requiredInputs: ['prompt'],
		}));

	it.each([[{ ...entry, model_id: '../x' }], [{ model_id: 7 }], [null], ['text']])('cannot use %j', (body) =>
		expect(readModelEntry(body)).toBeUndefined(),
	);

	it.each([
		[{ base_price_usd: null, price_unit: null }, {}],
		[{ base_price_usd: -1 }, {}],
		[{ base_price_usd: '0.06' }, {}],
		[
			{ base_price_usd: 0.1, price_unit: 'second', pricing_note: '<html><body>x' },
			{ usd: 0.1, unit: 'second' },
		],
	])('reads the price in %j', (more, price) =>
		expect(readModelEntry({ model_id: 'a/b', ...more })?.price).toEqual(price),
	);

	it.each([
		['https://www.runcomfy.com/models/a/b', true],
		['javascript:alert(1)', false],
		['https://', false],
		['https://[broken', false],
		['https://10.0.0.1/models/a/b', false],
		['https://user:password@www.runcomfy.com/', false],
	])('makes a link of %s: %s', (url, isLink) =>
		expect(readModelEntry({ ...entry, model_url: url })?.url !== undefined).toBe(isLink),
	);

	it('reads a page and skips what it cannot use', () =>
		expect(readModelPage({ models: [entry, 7], total: 2 })).toMatchObject({
			received: 2,
			models: [{ modelId: 'a/b' }],
		}));

	it('reads categories as words and as objects', () =>
		expect(readCategories({ categories: ['a', { name: 'b' }, { category: 'c' }, 7] })).toEqual([
			'a',
			'b',
			'c',
		]));
});

describe('Responses of the catalog, whatever they hold', () => {
	it('property: an entry is read or left out, and its link is public', () => {
		const entry = fc.record(
			{
				model_id: fc.oneof(fc.constantFrom('a/b', '../x', 'a/__proto__'), fc.jsonValue()),
				display_name: fc.jsonValue(),
				base_price_usd: fc.jsonValue(),
				price_unit: fc.jsonValue(),
				pricing_note: fc.jsonValue(),
				categories: fc.jsonValue(),
				model_url: fc.oneof(
					fc.webUrl(),
					fc.string(),
					fc.constantFrom('https://10.0.0.1/', 'https://a.b/%', 'https://[::1]/', 'https://u:p@a.b/'),
				),
				required_inputs: fc.jsonValue(),
				input_schema: fc.jsonValue(),
			},
			{ requiredKeys: [] },
		);
		fc.assert(
			fc.property(fc.oneof(entry, fc.jsonValue()), (body) => {
				const read = readModelEntry(body);
				if (read?.url !== undefined) {
					expect(hostKind(new URL(read.url).hostname)).toBe('public');
					pagePathOf(read.url);
				}
				expect(readModelPage({ models: [body] })?.models).toEqual(read === undefined ? [] : [read]);
				readCategories({ categories: [body] });
			}),
			{ numRuns: 1_000 },
		);
	});
	it('is fast on hostile text', () => {
		const from = cpuMs();
		readModelEntry({ model_id: 'a/'.repeat(300_000), model_url: `https://${'a.'.repeat(300_000)}` });
		expect(cpuMs() - from).toBeLessThan(500);
	});
});
