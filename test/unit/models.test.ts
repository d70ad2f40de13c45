import * as fc from 'fast-check';

import { readBalance } from '../../nodes/RunComfy/api/account';
import { DEPLOYMENT_CODES } from '../../nodes/RunComfy/api/deployments';
import { readCategories, readModelEntry, readModelPage } from '../../nodes/RunComfy/api/models';
import { type ErrorCodes, MODEL_CODES } from '../../nodes/RunComfy/api/problems';
import { readQuery } from '../../nodes/RunComfy/api/query';
import { hostKind } from '../../nodes/RunComfy/api/urls';
import { pagePathOf } from '../../nodes/RunComfy/models/modelReference';

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

	it.each([
		[
			{ balance_usd: 12.5, currency: 'USD' },
			{ balance: 12.5, currency: 'USD' },
		],
		[{ balance_usd: 0 }, { balance: 0, currency: 'USD' }],
		[{ balance_usd: '12' }, undefined],
		['', undefined],
	])('reads the balance in %j', (body, expected) => expect(readBalance(body)).toEqual(expected));

	const answer = (status: number, body: unknown, codes?: ErrorCodes) =>
		readQuery({ status, headers: {}, body }, 0, 'The list could not be read', readBalance, codes);
	it.each([
		['an answer', 200, { balance_usd: 1 }, { kind: 'found' }],
		['a gateway’s page', 502, '<html>', { kind: 'again' }],
		['too many requests', 429, {}, { kind: 'again' }],
		['something else', 200, 'hello', { kind: 'again' }],
		[
			'a bad token',
			401,
			{ error_code: 400004 },
			{
				kind: 'refused',
				problem: { message: 'The list could not be read: RunComfy did not accept the API token' },
			},
		],
		['a polite refusal', 200, { error_code: 400001 }, { kind: 'refused', problem: { isNotFound: true } }],
		['no such thing', 404, 'x', { kind: 'refused', problem: { isNotFound: true } }],
	])('recognizes %s', (_, status, body, expected) => expect(answer(status, body)).toMatchObject(expected));

	it.each<[string, number, unknown, string]>([
		['a status alone', 400, {}, ''],
		['a reason', 422, { detail: 'limit: too large' }, ': “limit: too large”'],
		['a code', 400, { error_code: 422001 }, ''],
	])('does not speak of inputs or fields, which a query has none of (%s)', (_, status, body, reason) => {
		for (const codes of [MODEL_CODES, DEPLOYMENT_CODES]) {
			expect(answer(status, body, codes)).toMatchObject({
				kind: 'refused',
				problem: {
					message: `The list could not be read: RunComfy did not accept the request${reason}`,
					advice: expect.not.stringMatching(/input|field/) as string,
				},
			});
		}
	});
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
				readBalance(body);
			}),
			{ numRuns: 1_000 },
		);
	});
	it('is fast on hostile text', () => {
		const from = performance.now();
		readModelEntry({ model_id: 'a/'.repeat(300_000), model_url: `https://${'a.'.repeat(300_000)}` });
		expect(performance.now() - from).toBeLessThan(500);
	});
});
