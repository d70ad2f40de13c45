import type { IExecuteFunctions } from 'n8n-workflow';

import { Item } from '../../nodes/RunComfy/fields/item';
import type { OperationTools } from '../../nodes/RunComfy/operations/operation';
import { runDeployment } from '../../nodes/RunComfy/operations/deployment/run';
import { runModel } from '../../nodes/RunComfy/operations/model/run';
import { itemSource } from '../../nodes/RunComfy/operations/submission';
import { parameterAt } from './fakeApi';

/** How an item of an operation is handled in a retry, with these values of its fields. */
function handlingOf(operation: typeof runModel, parameters: Record<string, unknown>, saved?: unknown) {
	const context = {
		getNode: () => ({ parameters }),
		getNodeParameter: (name: string) => parameterAt(parameters, name),
	} as unknown as IExecuteFunctions;
	const tools = { modelFiles: { allowLoopback: true }, deploymentFiles: { allowLoopback: false } };
	const items = [new Item(context, 0)];
	return itemSource(operation, tools as OperationTools, items, undefined).readHandling(0, saved);
}

const downloads = {
	waitForCompletion: true,
	downloadFiles: true,
	binaryPropertyOutput: 'data',
	options: {},
};

describe('A request that has been paid for', () => {
	it.each([
		['model', runModel, true],
		['deployment', runDeployment, false],
	])('of a %s: its files may be on this machine only where its API is', (_, operation, allowLoopback) =>
		expect(handlingOf(operation, downloads).download).toMatchObject({ allowLoopback }),
	);

	const saved = {
		waits: false,
		limits: { timeoutMs: 5_000, pollIntervalMs: 300, includeCost: true },
		download: { fieldName: 'photo', fileName: '', maxMegabytes: 7, allowLoopback: false },
	};

	it('is handled as the fields say now', () =>
		expect(handlingOf(runModel, { ...downloads, options: { timeout: 70 } }, saved)).toMatchObject({
			waits: true,
			limits: { timeoutMs: 70_000 },
		}));

	it('is handled as the fields say now, where an option cannot be read that is not needed', () => {
		const options = {
			timeout: 70,
			get fileName(): string {
				throw new Error('An expression fails');
			},
		};
		const { limits } = handlingOf(runModel, { ...downloads, downloadFiles: false, options }, saved);
		expect(limits.timeoutMs).toBe(70_000);
	});

	it('is handled as when it was submitted, where a field cannot be read now', () =>
		expect(handlingOf(runModel, { ...downloads, options: { timeout: 'soon' } }, saved)).toEqual(saved));

	it.each([undefined, 'nonsense', { waits: true }, { ...saved, limits: { timeoutMs: 'soon' } }])(
		'is waited for as by default, where what was saved cannot be read either: %j',
		(nonsense) =>
			expect(handlingOf(runDeployment, { ...downloads, options: { timeout: 'soon' } }, nonsense)).toEqual({
				waits: true,
				limits: { timeoutMs: 1_800_000, pollIntervalMs: 1_000, includeCost: true },
			}),
	);
});
