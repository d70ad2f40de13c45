import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';

import { omitUndefined } from '../../nodes/RunComfy/common/omitUndefined';
import { createFingerprints } from '../../nodes/RunComfy/host/fingerprint';

async function fingerprint(item: INodeExecutionData, parameters: object = { prompt: '={{ $now }}' }) {
	const context = { getNode: () => ({ type: 'runComfy', parameters }), getInputData: () => [item] };
	const fingerprintOf = await createFingerprints(context as unknown as IExecuteFunctions);
	return await fingerprintOf(0);
}

const file = (data: string, id?: string) => ({
	data: { data, mimeType: 'image/png', ...omitUndefined({ id }) },
});

describe('The fingerprint of an item', () => {
	it('is the same for the same parameters, as written, and the same input item', async () => {
		const item = { json: { n: 1 }, binary: file('AAAA') };
		expect(await fingerprint(item)).toBe(await fingerprint(structuredClone(item)));
		expect(await fingerprint(item)).toMatch(/^[0-9a-f]{64}$/);
	});

	it.each([
		['another field', { json: { n: 2 }, binary: file('AAAA') }],
		['another file', { json: { n: 1 }, binary: file('AAAB') }],
		['a file kept elsewhere', { json: { n: 1 }, binary: file('filesystem', 'filesystem:1') }],
		['no file', { json: { n: 1 } }],
	])('differs for %s', async (_what, item) =>
		expect(await fingerprint(item)).not.toBe(await fingerprint({ json: { n: 1 }, binary: file('AAAA') })),
	);

	it('differs for other parameters', async () =>
		expect(await fingerprint({ json: {} }, { prompt: 'a' })).not.toBe(
			await fingerprint({ json: {} }, { prompt: 'b' }),
		));

	it('does not depend on the id of an agent’s call', async () =>
		expect(await fingerprint({ json: { prompt: 'x', toolCallId: 'call_1' } })).toBe(
			await fingerprint({ json: { prompt: 'x', toolCallId: 'call_2' } }),
		));

	it('distinguishes large files by their last byte', async () => {
		const large = 'A'.repeat(2_500_000);
		expect(await fingerprint({ json: {}, binary: file(`${large}A`) })).not.toBe(
			await fingerprint({ json: {}, binary: file(`${large}B`) }),
		);
	});
});
