import { example, closeN8nEnvironment, openN8nEnvironment, ROOT } from '../test/e2e/n8nEnvironment';
import { NEWEST } from '../test/n8n/installation';
import { workflowNode } from '../test/workflow';
import { until } from '../test/until';

/**
 * What executions cost whole n8n while a deployment works: those that wait in the node, and those that n8n has suspended.
 * npx tsx --tsconfig test/tsconfig.json bench/suspended.ts
 */
const EXECUTIONS = 100;
const MINUTE = 60_000;

async function measure(isSuspended: boolean): Promise<string> {
	const env = await openN8nEnvironment(NEWEST, { runMs: 60 * MINUTE });
	try {
		const definition = example(env, 'comfyui-background.json');
		const path = isSuspended ? 'suspended' : 'waiting';
		const trigger = workflowNode('Start', 'n8n-nodes-base.webhook', { typeVersion: 2, parameters: { path } });
		const nodes = definition.nodes.filter(({ type }) => !/stickyNote|manualTrigger/.test(type));
		for (const node of nodes) {
			if (node.name === 'Run ComfyUI workflow' && !isSuspended)
				Object.assign(node.parameters, { waitForCompletion: true, options: {} });
		}
		const { 'When clicking ‘Execute workflow’': first = {}, ...others } = definition.connections;
		const connections = { ...others, Start: first };
		const id = await env.n8n.createWorkflow({
			...definition,
			nodes: [{ ...trigger, webhookId: path }, ...nodes],
			connections,
		});
		await env.n8n.activate(id);
		await env.n8n.startByWebhook(path);
		await until('the first is submitted', () => env.sandbox.stats.accepted === 1, MINUTE);
		const before = env.n8n.resources;
		for (let n = 1; n < EXECUTIONS; n++) await env.n8n.startByWebhook(path);
		await until('all are submitted', () => env.sandbox.stats.accepted === EXECUTIONS, 5 * MINUTE);
		await new Promise((resolve) => setTimeout(resolve, 30_000));
		const after = env.n8n.resources;
		const states = (await env.n8n.executionsOf(id)).map(({ status }) => status);
		const count = (status: string) => states.filter((one) => one === status).length;
		return `${path}: ${Math.round(before.peakMb)} MB with one, ${Math.round(after.peakMb)} MB with ${EXECUTIONS}; running ${count('running')}, waiting ${count('waiting')} of the newest ${states.length}`;
	} finally {
		await closeN8nEnvironment(env);
	}
}

void (async () => {
	console.log(`n8n ${NEWEST}, the package of ${ROOT}`);
	console.log(await measure(false));
	console.log(await measure(true));
	process.exit(0);
})();
