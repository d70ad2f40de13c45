import { NodeApiError, type IExecuteFunctions, type INode } from 'n8n-workflow';

import { RunComfyError } from '../../nodes/RunComfy/api/problems';
import { createHint, createLog } from '../../nodes/RunComfy/n8n/log';
import { toNodeError } from '../../nodes/RunComfy/n8n/nodeErrors';

const HOSTILE =
	'r-1\n2026 ERROR forged \u001b[31m <img src="https://evil.example/x"> <a href="//evil">click</a>\u2028end';
const node = {
	name: 'RunComfy',
	type: 'x',
	typeVersion: 1,
	position: [0, 0],
	parameters: {},
} as unknown as INode;

function contextThat(writes: string[]) {
	const write = (message: string) => void writes.push(message);
	return {
		logger: { debug: write, info: write, warn: write },
		getNode: () => node,
		getWorkflow: () => ({ id: '1' }),
		getExecutionId: () => '1',
		addExecutionHints: ({ message }: { message: string }) => write(message),
	} as unknown as IExecuteFunctions;
}

describe('A text from outside', () => {
	it('is one printable line in the log', () => {
		const writes: string[] = [];
		const log = createLog(contextThat(writes), () => {});
		for (const level of ['debug', 'info', 'warn'] as const) log[level](`request ${HOSTILE}`);
		log.notify('warn', HOSTILE);
		expect(writes).toHaveLength(4);
		for (const line of writes) expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
	});

	it('is no HTML in a hint, nor in an error', () => {
		const writes: string[] = [];
		createHint(contextThat(writes))(HOSTILE);
		const error = toNodeError(node, new RunComfyError({ message: HOSTILE, advice: `Do this. ${HOSTILE}` }));
		expect(error).toBeInstanceOf(NodeApiError);
		for (const text of [...writes, error.message, String(error.description)]) {
			expect(text).toContain('‹img src=');
			expect(text).not.toMatch(/[<>\p{Cc}]/u);
		}
	});
});
