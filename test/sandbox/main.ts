import { parseArgs } from 'node:util';

import { Sandbox, SANDBOX_TOKEN } from './sandbox';

/** `npm run sandbox`: the fake of RunComfy's API as its own server. */
async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			port: { type: 'string', default: '4010' },
			'queue-ms': { type: 'string', default: '3000' },
			'run-ms': { type: 'string', default: '5000' },
			'cold-start-ms': { type: 'string', default: '0' },
		},
	});
	const sandbox = await Sandbox.start({
		port: Number(values.port),
		queueMs: Number(values['queue-ms']),
		runMs: Number(values['run-ms']),
		coldStartMs: Number(values['cold-start-ms']),
	});
	console.log(`This is a SANDBOX of RunComfy's APIs. It calls no RunComfy server and costs nothing.
Base URL            ${sandbox.url}
Platform base URL   ${sandbox.url}
API token           ${SANDBOX_TOKEN}
Counts              curl -H "Authorization: Bearer ${SANDBOX_TOKEN}" ${sandbox.url}/sandbox/stats
Press Ctrl-C to end it.`);
	process.once('SIGINT', () => void sandbox.close());
	process.once('SIGTERM', () => void sandbox.close());
}

void main();
