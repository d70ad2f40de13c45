import * as fc from 'fast-check';

import { readDeploymentChoice, readModelChoice } from '../../nodes/RunComfy/fields/locators';
import { pagePathOf, readModelReference } from '../../nodes/RunComfy/models/modelReference';
import { cpuMs } from './cpuMs';

describe('readModelReference', () => {
	it.each([
		[
			'blackforestlabs/flux-2/flash/text-to-image',
			{ kind: 'id', modelId: 'blackforestlabs/flux-2/flash/text-to-image' },
		],
		[' /a/b/ ', { kind: 'id', modelId: 'a/b' }],
		[
			'https://www.runcomfy.com/models/blackforestlabs/flux-2-flash/api',
			{ kind: 'page', path: 'blackforestlabs/flux-2-flash' },
		],
		['https://www.runcomfy.com/de/models/a/b/playground?tab=1#x', { kind: 'page', path: 'a/b' }],
		['https://www.runcomfy.com/playground/a/b/c/api', { kind: 'page', path: 'a/b/c' }],
		['https://www.runcomfy.com/ja/playground/a/b', { kind: 'page', path: 'a/b' }],
		['https://model-api.runcomfy.net/v1/models/a/b/c', { kind: 'page', path: 'a/b/c' }],
		['https://evil.test/models/a/b', undefined],
		['https://www.runcomfy.com/about', undefined],
		['just-a-word', undefined],
		['../../v1/requests/x/cancel', undefined],
		['a/../b', undefined],
		['a/b?c=d', undefined],
		['a/b%', undefined],
		['https://www.runcomfy.com/models/a/b%', undefined],
		['https://www.runcomfy.com/models/a/%zz', undefined],
		[`a/b${' '.repeat(2_000)}c`, undefined],
	])('%s', (text, expected) => expect(readModelReference(text)).toEqual(expected));

	it('finds no path in a text that is not a URL', () => expect(pagePathOf('nonsense')).toBeUndefined());
});

describe('readModelReference, whatever the text', () => {
	it('property: a reference is an id, a path or undefined', () => {
		const text = fc.oneof(
			fc.string(),
			fc.webUrl(),
			fc.string().map((path) => `https://www.runcomfy.com/models/${path}`),
			fc
				.array(fc.constantFrom('a', '/', '%', '..', 'models/', 'https://runcomfy.com/', ' '))
				.map((parts) => parts.join('')),
		);
		fc.assert(
			fc.property(text, (given) => {
				const reference = readModelReference(given);
				if (reference === undefined) return;
				const path = reference.kind === 'id' ? reference.modelId : reference.path;
				expect(encodeURI(path)).toBe(path);
				expect(path.split('/')).not.toContain('..');
			}),
			{ numRuns: 2_000 },
		);
	});

	it('is fast on hostile text', () => {
		const from = cpuMs();
		readModelReference(`https://www.runcomfy.com/models/${'/'.repeat(300_000)}x`);
		readModelReference(`a${'/'.repeat(300_000)}b`);
		expect(cpuMs() - from).toBeLessThan(500);
	});
});

describe('The choice of a deployment or a model', () => {
	const choices: Array<[string, (value: unknown) => unknown]> = [
		['Deployment', readDeploymentChoice],
		['Model', readModelChoice],
	];

	it.each(choices)('%s: what is no ID is not called empty', (_, read) => {
		for (const value of ['', ' ', null, undefined, { value: '' }])
			expect(() => read(value)).toThrow('must not be empty');
		for (const value of [5, { value: 5 }, { value: ['a'] }]) expect(() => read(value)).toThrow('the ID of a');
	});

	it.each(['a/b', '..', '../x', 'a?b', 'a#b', 'a%2fb', 'a\u0000b', 'a b', 'x'.repeat(201)])(
		'refuses %j, which could be another path',
		(value) => expect(() => readDeploymentChoice(value)).toThrow('is not the ID of a deployment'),
	);
});
