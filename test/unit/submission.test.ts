import type { IExecuteFunctions } from 'n8n-workflow';

import type { Access } from '../../nodes/RunComfy/n8n/credential';
import { readSubmissionOptions } from '../../nodes/RunComfy/operations/shared/submission';

describe('Output files', () => {
	it.each([
		['model', 'API of models', { isLoopback: true, isPlatformLoopback: false }, true],
		['model', 'platform', { isLoopback: false, isPlatformLoopback: true }, false],
		['deployment', 'API of models', { isLoopback: true, isPlatformLoopback: false }, false],
		['deployment', 'platform', { isLoopback: false, isPlatformLoopback: true }, true],
	])('of a %s may be on this machine when only the %s is: %j', (kind, _, access, allowLoopback) => {
		const parameters: Record<string, unknown> = {
			waitForCompletion: true,
			downloadFiles: true,
			binaryPropertyOutput: 'data',
			options: {},
		};
		const context = {
			getNode: () => ({ parameters }),
			getNodeParameter: (name: string) => parameters[name],
		} as unknown as IExecuteFunctions;
		const tools = { context, access: access as Access };
		const { download } = readSubmissionOptions(tools, 0, kind === 'deployment');
		expect(download).toMatchObject({ allowLoopback });
	});
});
